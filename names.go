package understudy

// Site names one region's clusters, such as "east".
type Site string

// PlanName names what fails over together, such as "contoso".
type PlanName string

// WorkloadName names one protected thing within a plan, such as "orders".
type WorkloadName string

// ClusterName names a set of endpoints that exists under the same name at several sites.
type ClusterName string

// KindName names an engine family that understudy can protect, such as "kafka".
type KindName string

// Object is what an error, a proof or a metric is about: a workload of a plan, and optionally a site
// and a shard (a topic partition, a table, a tree) of it. Empty fields are not part of the name.
type Object struct {
	Plan     PlanName     `json:"plan,omitempty"`
	Workload WorkloadName `json:"workload,omitempty"`
	Site     Site         `json:"site,omitempty"`
	Shard    string       `json:"shard,omitempty"`
}

// String gives the object as plan/workload, then @site and #shard where they are known.
func (o Object) String() string {
	s := string(o.Plan)
	if o.Workload != "" {
		if s != "" {
			s += "/"
		}
		s += string(o.Workload)
	}
	if o.Site != "" {
		s += "@" + string(o.Site)
	}
	if o.Shard != "" {
		s += "#" + o.Shard
	}
	return s
}

// Architecture is a workload's topology, in the words of the article "Azure HDInsight business
// continuity architectures".
type Architecture string

// The architectures of the article. Which of them a kind offers is stated by the kind.
const (
	ActivePassive     Architecture = "active-passive"
	ActiveActive      Architecture = "active-active"
	OnDemandSecondary Architecture = "on-demand-secondary"
	StandbySecondary  Architecture = "standby-secondary"
	LeaderFollower    Architecture = "leader-follower"
	LeaderLeader      Architecture = "leader-leader"
	Cyclic            Architecture = "cyclic"
	Independent       Architecture = "independent"
	Mirrored          Architecture = "mirrored"
)

// SingleWriter says whether at most one site may take writes at any moment.
func (a Architecture) SingleWriter() bool {
	switch a {
	case ActiveActive, LeaderLeader, Cyclic, Independent:
		return false
	default:
		return true
	}
}

// Engine is the means by which a link moves its data.
type Engine string

// The engines of the design. Which pairs of kind, architecture and engine exist is stated by each kind.
const (
	Native       Engine = "native"
	MirrorMaker2 Engine = "mirrormaker2"
	Repl         Engine = "repl"
	DistCp       Engine = "distcp"
	Replication  Engine = "replication"
	Capture      Engine = "capture"
	ExportImport Engine = "export-import"
	Snapshot     Engine = "snapshot"
	CopyTable    Engine = "copy-table"
	CopyFolder   Engine = "copy-folder"
	// Auto leaves the choice between the kind's engines to each run, which says what it chose and why.
	Auto Engine = "auto"
)

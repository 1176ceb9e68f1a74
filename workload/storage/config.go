package storage

import (
	"fmt"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
)

// Config is a storage workload's own part of a plan.
type Config struct {
	Trees []Tree `yaml:"trees" json:"trees" doc:"the directories to protect; none lies within another"`
	Guard Guard  `yaml:"guard" json:"guard" doc:"what one run may delete; there is no default"`
	// Relist and Repair are when runs do more than copying what changed.
	Relist Rhythm `yaml:"relist,omitempty" json:"relist,omitempty" doc:"when a run lists the whole source, to find changes of times alone, which a difference of HDFS snapshots does not tell: as a schedule, or never" default:"every 24h"`
	Repair Rhythm `yaml:"repair,omitempty" json:"repair,omitempty" doc:"when a run lists the whole target too, and puts right path by path what is not there as it was published: as a schedule, or never" default:"every 7d"`
	// Proof says whose word is taken that a staged file holds what was read.
	Proof string `yaml:"proof,omitempty" json:"proof,omitempty" enum:"checksum,read" doc:"what proves a staged file before it is shown. checksum: what the store says of what it took, on HDFS from the sums that DataNodes keep, so a replica that rots on a disk before it is shown passes; read: understudy reads each file back at the target once all are staged, which costs a second reading there" default:"checksum"`
	// Bandwidth limits a run by the time of day; the first window that covers the moment holds.
	Bandwidth []Window `yaml:"bandwidth,omitempty" json:"bandwidth,omitempty" doc:"limits of a run, of what verify reads and of a ledger's comparison, by the time of day; the first that covers the moment holds. With DistCp the limit is that of the moment when its job begins"`
	// Parallel is the highest number of files in flight.
	Parallel int `yaml:"parallel,omitempty" json:"parallel,omitempty" doc:"the highest number of files in flight; left out, the mover finds what pays"`
	// Link is what the way between the sites carries in a second.
	Link understudy.Size `yaml:"link,omitempty" json:"link,omitempty" doc:"bytes per second that the way between the sites carries; engine auto goes by it"`
	// Mover is what one member of understudy brings over that way in a second.
	Mover      understudy.Size `yaml:"mover,omitempty" json:"mover,omitempty" doc:"bytes per second that understudy's own mover brings from one site to the other, as its machine and its network allow; engine auto goes by it" default:"100MiB"`
	Principals Principals      `yaml:"principals,omitempty" json:"principals,omitempty" doc:"names of owners and groups that differ between the sites"`
}

// Tree is one directory.
type Tree struct {
	Path string `yaml:"path" json:"path" doc:"absolute path, the same at every site"`
	// NoXattrs spares HDFS a call for each entry that is listed.
	NoXattrs bool `yaml:"noXattrs,omitempty" json:"noXattrs,omitempty" doc:"leave extended attributes out: between HDFS and local trees they are then not copied and not compared. HDFS tells of them entry by entry only, so each listing spares a call for each entry"`
}

// Guard bounds what one run may delete.
type Guard struct {
	Deletes int           `yaml:"deletes" json:"deletes" doc:"the highest number of entries of a tree that one run may delete"`
	Percent int           `yaml:"percent" json:"percent" doc:"the highest share of a tree's entries that one run may delete, 0 to 100"`
	Keep    time.Duration `yaml:"keep" json:"keep" doc:"how long what was deleted is kept in the quarantine beside the tree"`
}

// Window is a limit for a part of the day.
type Window struct {
	From  ClockTime       `yaml:"from" json:"from" doc:"such as 08:00, in UTC"`
	To    ClockTime       `yaml:"to" json:"to" doc:"such as 18:00; earlier than from it is on the next day"`
	Limit understudy.Size `yaml:"limit" json:"limit" doc:"bytes per second"`
}

// ClockTime is a time of day, written as 15:04.
type ClockTime time.Duration

// UnmarshalText reads 15:04.
func (c *ClockTime) UnmarshalText(text []byte) error {
	t, err := time.Parse("15:04", string(text))
	if err != nil {
		return fmt.Errorf("%q is not a time such as 08:00", text)
	}
	*c = ClockTime(time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute)
	return nil
}

// MarshalText writes 15:04.
func (c ClockTime) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// String gives 15:04.
func (c ClockTime) String() string {
	return fmt.Sprintf("%02d:%02d", int(time.Duration(c).Hours()), int(time.Duration(c).Minutes())%60)
}

// Principals maps names of the plan's home site to those of the other sites.
type Principals struct {
	Users  map[string]string `yaml:"users,omitempty" json:"users,omitempty" doc:"users of home to users elsewhere"`
	Groups map[string]string `yaml:"groups,omitempty" json:"groups,omitempty" doc:"groups of home to groups elsewhere"`
}

// HDFS is an HDFS cluster in a site file.
type HDFS struct {
	Namenodes []string `yaml:"namenodes" json:"namenodes" doc:"host:port of the NameNodes' RPC: one, or all of a highly available set"`
	// User acts with simple authentication.
	User     string    `yaml:"user,omitempty" json:"user,omitempty" doc:"as whom understudy acts with simple authentication; left out, the user of the process"`
	Kerberos *Kerberos `yaml:"kerberos" json:"kerberos,omitempty" doc:"how understudy proves who it is"`
	Writer   *Writer   `yaml:"writer" json:"writer,omitempty" doc:"an ordinary user, as whom the refused write of a fence is tried"`
	URI      string    `yaml:"uri,omitempty" json:"uri,omitempty" doc:"the file system's name for jobs on YARN, such as hdfs://west; left out, hdfs:// and the only NameNode"`
	YARN     *YARN     `yaml:"yarn" json:"yarn,omitempty" doc:"where jobs run that copy into this cluster"`
	// Hostnames says to reach DataNodes by name.
	Hostnames  bool     `yaml:"hostnames,omitempty" json:"hostnames,omitempty" doc:"reach DataNodes by name, not by the address that they registered with"`
	SuperUsers []string `yaml:"superUsers,omitempty" json:"superUsers,omitempty" doc:"users whom no permission stops; they are named beside every proof of a fence"`
}

// Kerberos is a login by keytab.
type Kerberos struct {
	Principal string                `yaml:"principal" json:"principal" doc:"such as understudy/host@REALM"`
	Keytab    understudy.SecretName `yaml:"keytab" json:"keytab" doc:"the secret that holds the keytab"`
	Config    string                `yaml:"config,omitempty" json:"config,omitempty" doc:"path of krb5.conf" default:"/etc/krb5.conf"`
	Service   string                `yaml:"service,omitempty" json:"service,omitempty" doc:"the NameNodes' principal" default:"hdfs/_HOST"`
	// Protection is what NameNodes are asked for at least, DataProtection what DataNodes are spoken to with.
	Protection     string `yaml:"protection,omitempty" json:"protection,omitempty" doc:"the least that is taken of NameNodes, as in hadoop.rpc.protection: authentication, integrity or privacy; left out, what they offer"`
	DataProtection string `yaml:"dataProtection,omitempty" json:"dataProtection,omitempty" doc:"what the cluster's dfs.data.transfer.protection says: authentication, integrity or privacy; left out where it says nothing"`
}

// Writer is an ordinary user.
type Writer struct {
	User     string    `yaml:"user,omitempty" json:"user,omitempty" doc:"the name, with simple authentication"`
	Kerberos *Kerberos `yaml:"kerberos" json:"kerberos,omitempty" doc:"the login, with Kerberos"`
}

// Local is a directory of the machine on which understudy runs, such as a mounted file system.
type Local struct {
	Root string `yaml:"root" json:"root" doc:"absolute path; the trees of plans lie below it"`
}

// The proofs of a staged file.
const (
	proofChecksum = "checksum"
	proofRead     = "read"
)

// bare gives the paths of the trees whose extended attributes are left out.
func (c *Config) bare() []string {
	var out []string
	for _, t := range c.Trees {
		if t.NoXattrs {
			out = append(out, t.Path)
		}
	}
	return out
}

// guard gives the mover's form of the guard.
func (c *Config) guard() filecopy.Guard {
	return filecopy.Guard{MaxDeletes: int64(c.Guard.Deletes), MaxShare: float64(c.Guard.Percent) / 100, Retention: c.Guard.Keep}
}

// limits gives the mover's form of the limits.
func (c *Config) limits() filecopy.Limits {
	l := filecopy.Limits{MaxParallel: c.Parallel}
	for _, w := range c.Bandwidth {
		l.Bandwidth = append(l.Bandwidth, filecopy.Window{From: time.Duration(w.From), To: time.Duration(w.To), BytesPerSecond: int64(w.Limit)})
	}
	return l
}

// principals gives the table for one direction: names of home are the keys, except on the way home.
func (c *Config) principals(home, to understudy.Site) filecopy.Principals {
	p := filecopy.Principals{Users: c.Principals.Users, Groups: c.Principals.Groups}
	if to == home {
		p.Users, p.Groups = turned(p.Users), turned(p.Groups)
	}
	return p
}

func turned(m map[string]string) map[string]string {
	out := map[string]string{}
	for k, v := range m {
		out[v] = k
	}
	return out
}

package storage

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/distcp"
	"github.com/understudy-dr/understudy/offload/yarn"
	"github.com/understudy-dr/understudy/wire/hdfs"
	"github.com/understudy-dr/understudy/workload"
)

// YARN is where jobs run that copy into a cluster, in a site file.
type YARN struct {
	ResourceManagers []string `yaml:"resourceManagers" json:"resourceManagers" doc:"host:port, or https://host:port, of the ResourceManager's web address: one, or all of a highly available set"`
	History          string   `yaml:"history,omitempty" json:"history,omitempty" doc:"web address of the MapReduce history server; left out, the final counters of a job are not known"`
	Queue            string   `yaml:"queue,omitempty" json:"queue,omitempty" doc:"the queue of copy jobs; left out, YARN's default"`
	Staging          string   `yaml:"staging,omitempty" json:"staging,omitempty" doc:"yarn.app.mapreduce.am.staging-dir of the cluster" default:"/tmp/hadoop-yarn/staging"`
	Classpath        string   `yaml:"classpath,omitempty" json:"classpath,omitempty" doc:"where containers find the jars of Hadoop and DistCp; left out, those of a plain installation"`
	Maps             int      `yaml:"maps,omitempty" json:"maps,omitempty" doc:"the highest number of maps side by side" default:"20"`
	// MapMemory and MasterMemory are those of containers.
	MapMemory    understudy.Size `yaml:"mapMemory,omitempty" json:"mapMemory,omitempty" doc:"memory of a map's container; left out, the cluster's default"`
	MasterMemory understudy.Size `yaml:"masterMemory,omitempty" json:"masterMemory,omitempty" doc:"memory of the application master's container; left out, 1536MiB"`
	// Properties are for the job.
	Properties map[string]string `yaml:"properties,omitempty" json:"properties,omitempty" doc:"properties of the job, such as the other site's nameservice; those that decide what is copied, to where, and how it is compared are refused"`
}

const (
	// megabyte is YARN's unit of memory.
	megabyte = 1 << 20
	// mapMegabytes is what MapReduce gives a map unless it is told otherwise.
	mapMegabytes = 1024
)

// engineArgs is who brings the files of a run, as far as that is known before anything is listed.
type engineArgs struct {
	Wanted understudy.Engine `json:"wanted"`
	// Why is told where the native mover does it although the plan leaves the choice.
	Why string `json:"why,omitempty"`
}

// engine decides by the plan and by whether the target's YARN takes jobs. While a takeover waits for the last difference the quicker engine
// is taken, whatever the plan says: nobody writes at that time, and YARN takes about a minute before the first byte.
func (p *plan) engine() *engineArgs {
	wanted := p.w.spec.Engine
	switch p.stage.Verb {
	case understudy.Protect, understudy.Replicate, understudy.Reprotect:
	default:
		if wanted == understudy.DistCp {
			wanted = understudy.Auto
		}
	}
	switch wanted {
	case understudy.DistCp:
		return &engineArgs{Wanted: wanted}
	case understudy.Auto:
		if err := p.w.unusable(p.stage.To, p.facts.Sites[p.stage.To].YARN); err != nil {
			return &engineArgs{Wanted: understudy.Native, Why: err.Summary}
		}
		return &engineArgs{Wanted: wanted}
	default:
		return nil
	}
}

// stages says in a step's summary who does it.
func (e *engineArgs) stages(text string) string {
	switch {
	case e == nil:
		return text
	case e.Wanted == understudy.DistCp:
		return "let DistCp on YARN " + text
	case e.Wanted == understudy.Auto:
		return "let the engine that its size asks for " + text
	}
	return fmt.Sprintf("without YARN (%s) %s", e.Why, text)
}

// checkEngine refuses a run by DistCp for which the target's YARN takes no jobs.
func (p *plan) checkEngine() {
	if e := p.engine(); e == nil || e.Wanted != understudy.DistCp || !p.there(p.stage.To) {
		return
	}
	if err := p.w.unusable(p.stage.To, p.facts.Sites[p.stage.To].YARN); err != nil {
		p.refuse(err)
	}
}

// hdfsAt gives the endpoint of a site, if it is an HDFS cluster.
func (w *Workload) hdfsAt(s understudy.Site) *HDFS {
	e, _ := w.spec.Clusters[s].(*HDFS)
	return e
}

// openYARN makes the clients of all sites that have YARN. Nothing is asked.
func (w *Workload) openYARN() error {
	for s := range w.spec.Clusters {
		e := w.hdfsAt(s)
		if e == nil || e.YARN == nil {
			continue
		}
		c, err := yarn.New(yarn.Options{ResourceManagers: e.YARN.ResourceManagers, History: e.YARN.History, User: e.actor()})
		if err != nil {
			return err
		}
		w.yarn[s] = &resources{client: c, queue: e.YARN.Queue, mapMB: cmp.Or(int64(e.YARN.MapMemory)/megabyte, mapMegabytes)}
	}
	return nil
}

// name is how jobs on YARN call the file system.
func (e *HDFS) name() string {
	if e.URI == "" && len(e.Namenodes) > 0 {
		return "hdfs://" + e.Namenodes[0]
	}
	return strings.TrimSuffix(e.URI, "/")
}

// carrier gives what brings files into a site by YARN; nil where a site has none. Also with the native engine it is there, to end what a job
// of an earlier run left.
func (j *job) carrier(to filecopy.Target) (filecopy.Carrier, error) {
	source, target, ours := j.w.hdfsAt(j.args.From), j.w.hdfsAt(j.step.Site), j.w.yarn[j.step.Site]
	store, ok := to.(interface{ Client() *hdfs.Client })
	if ours == nil || source == nil || !ok {
		return nil, nil
	}
	y := target.YARN
	c, err := distcp.New(distcp.Config{
		YARN: ours.client, User: target.actor(), Files: store.Client(), FilesURI: target.name(), SourceURI: source.name(), TargetURI: target.name(),
		Staging: y.Staging, Queue: y.Queue, Classpath: y.Classpath, Properties: y.Properties,
		MasterMB: int(y.MasterMemory / megabyte), MapMB: int(y.MapMemory / megabyte),
		Label:  fmt.Sprintf("%s %s", j.run.Operation, j.step.ID),
		Choice: distcp.Question{Wanted: j.args.Engine.wanted(), Link: int64(j.w.cfg.Link), MemberBytes: int64(j.w.cfg.Mover), Maps: y.Maps},
	})
	if err != nil {
		return nil, err
	}
	return &porter{Carrier: c, job: j}, nil
}

// wanted gives the choice in the carrier's words.
func (e *engineArgs) wanted() distcp.Engine {
	switch {
	case e == nil, e.Wanted == understudy.Native:
		return distcp.Native
	case e.Wanted == understudy.DistCp:
		return distcp.DistCp
	}
	return distcp.Auto
}

// porter is the carrier of one step.
type porter struct {
	*distcp.Carrier
	job *job
}

// Drop ends what a job left. Where the link's folder is barred already, YARN's silence holds nobody up: what still runs of a job writes
// into a place that is no more.
func (p *porter) Drop(ctx context.Context, l filecopy.Load) error {
	err := p.Carrier.Drop(ctx, l)
	if !strings.HasPrefix(p.job.args.Folder, haltedPrefix) || understudy.KindOf(err) != understudy.KindUnreachable {
		return err
	}
	p.job.warnings = append(p.job.warnings, fmt.Sprintf("YARN at %s does not answer, so a copy job may still be running there; it can show nothing. "+
		"End it by hand when YARN is back: yarn application -kill, by its name %q", p.job.step.Site, "understudy … "+l.Lot))
	return nil
}

// carriage remembers what a mover said last of a carrier.
type carriage struct {
	job  *job
	last filecopy.Progress
}

// follow passes on how far a mover is, and what a carrier brings while it does.
func (c *carriage) follow(tell func(filecopy.Progress)) func(filecopy.Progress) {
	return func(p filecopy.Progress) {
		c.last = p
		if p.Phase != filecopy.PhaseStage || !p.Carrying {
			tell(p)
			return
		}
		sp := understudy.StepProgress{
			Text: fmt.Sprintf("carry %s: %s, %d files", c.job.args.Tree, p.Carried.Said, p.Carried.Files), Done: p.Carried.Bytes, Total: p.TotalBytes, Unit: "bytes",
		}
		c.job.report(withRate(sp, p))
	}
}

// withRate adds speeds and time left, where they are known.
func withRate(sp understudy.StepProgress, p filecopy.Progress) understudy.StepProgress {
	if p.Left <= 0 {
		return sp
	}
	if p.Rate > 0 {
		sp.Text += fmt.Sprintf(", %s/s", amount(int64(p.Rate)))
	}
	if p.EntryRate > 0 {
		unit := "files"
		if p.Phase == filecopy.PhasePublish {
			unit = "entries"
		}
		sp.Text += fmt.Sprintf(", %.3g %s/s", p.EntryRate, unit)
	}
	sp.Text += fmt.Sprintf(", %s left", p.Left.Round(time.Second))
	return sp
}

// said tells who brought the files, why it was chosen, and the final counters.
func (c *carriage) said() string {
	e, p := c.job.args.Engine, c.last
	switch {
	case e == nil:
		return ""
	case e.Wanted == understudy.Native:
		return "; by the native mover: " + e.Why
	case p.Carried.Said == "" && p.Why == "":
		return ""
	case p.Carried.Said == "":
		return "; by the native mover: " + p.Why
	}
	text := fmt.Sprintf("; by DistCp: %s, %d files, %s brought", p.Carried.Said, p.Carried.Files, amount(p.Carried.Bytes))
	if p.Missed > 0 {
		text += fmt.Sprintf(", %d not whole and copied by the native mover", p.Missed)
	}
	if p.Why != "" {
		text += "; " + p.Why
	}
	return text
}

// validateEngine wants what DistCp needs to be there.
func validateEngine(s workload.Spec) []workload.FieldError {
	var out []workload.FieldError
	for _, site := range s.Sites {
		e, ok := s.Clusters[site].(*HDFS)
		if ok && s.Engine != understudy.Native && e.YARN == nil && e.URI == "" && len(e.Namenodes) > 1 {
			f := invalid("uri", "jobs on the other site's YARN need one name for several NameNodes", "write the nameservice, such as uri: hdfs://east")
			f.Site, f.Err.Object.Site = site, site
			out = append(out, f)
		}
		switch {
		case s.Engine != understudy.DistCp, s.Clusters[site] == nil:
		case !ok:
			out = append(out, invalid("engine", fmt.Sprintf("DistCp copies from HDFS to HDFS, and the cluster at %s is no HDFS", site), "write native or auto"))
		case e.YARN == nil:
			out = append(out, invalid("engine", fmt.Sprintf("DistCp needs YARN at every site, because each may be copied into, and %s names none", site),
				"add yarn to the cluster's endpoint there, or write auto to use YARN where it is"))
		}
	}
	return out
}

// validateYARN checks what an endpoint says of YARN.
func (e *HDFS) validateYARN() []workload.FieldError {
	var out []workload.FieldError
	if e.URI != "" {
		if u, err := url.Parse(e.URI); err != nil || u.Scheme != "hdfs" || u.Host == "" || strings.Trim(u.Path, "/") != "" {
			out = append(out, invalid("uri", fmt.Sprintf("%q is no name of a file system", e.URI), "write it as hdfs://west"))
		}
	}
	y := e.YARN
	if y == nil {
		return out
	}
	if e.Kerberos != nil {
		f := invalid("yarn", "the YARN of a cluster with Kerberos cannot be used", "remove yarn: the native mover copies with Kerberos")
		f.Err.Code, f.Err.Why = "US660", "jobs are submitted with simple authentication only"
		out = append(out, f)
	}
	if e.URI == "" && len(e.Namenodes) > 1 {
		out = append(out, invalid("uri", "jobs on YARN need one name for several NameNodes", "write the nameservice, such as uri: hdfs://west"))
	}
	if len(y.ResourceManagers) == 0 {
		out = append(out, invalid("yarn.resourceManagers", "no ResourceManager is named", "name host:port of its web address"))
	}
	for i, rm := range y.ResourceManagers {
		if !webServer(rm) {
			out = append(out, invalid(fmt.Sprintf("yarn.resourceManagers[%d]", i), fmt.Sprintf("%q is no web address", rm), "write it as rm-1:8088"))
		}
	}
	if y.History != "" && !webServer(y.History) {
		out = append(out, invalid("yarn.history", fmt.Sprintf("%q is no web address", y.History), "write it as history-1:19888"))
	}
	if y.Staging != "" && (!path.IsAbs(y.Staging) || y.Staging != path.Clean(y.Staging)) {
		out = append(out, invalid("yarn.staging", fmt.Sprintf("%q is not a plain absolute path", y.Staging), "write it as /tmp/hadoop-yarn/staging"))
	}
	for _, name := range slices.Sorted(maps.Keys(y.Properties)) {
		if distcp.Reserved(name) {
			f := invalid("yarn.properties", fmt.Sprintf("%s is not a site's to set: it decides what a job copies, to where, or how that is compared", name), "remove it")
			f.Err.Why = "a copy that nothing compares could be shown"
			out = append(out, f)
		}
	}
	if y.Maps < 0 {
		out = append(out, invalid("yarn.maps", "a number of maps is not negative", "leave it out"))
	}
	return out
}

// webServer says whether a text is host:port, or that with http or https before it.
func webServer(text string) bool {
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	return webAddress(text, false) && err == nil && u.Hostname() != "" && u.Port() != "" && u.Path == ""
}

// unusable says why a site's YARN takes no copy jobs; nil when it does.
func (w *Workload) unusable(s understudy.Site, y *yarnFacts) *understudy.Error {
	switch {
	case w.yarn[s] == nil:
		return w.refuse("US720", s, "", fmt.Sprintf("%s has no YARN", s), "add yarn to the cluster's endpoint, or use the native engine")
	case y == nil:
		return w.refuse("US720", s, "", fmt.Sprintf("YARN at %s was not asked", s), "retry")
	case y.Error != nil:
		e := *y.Error
		e.Object = w.object(s, "")
		e.Summary = fmt.Sprintf("YARN at %s cannot be used: %s", s, e.Summary)
		return &e
	case y.Queue != "":
		return w.refuse("US720", s, "", fmt.Sprintf("YARN at %s: %s", s, y.Queue), "correct the queue in the site file, or start it")
	case y.Nodes == 0:
		return w.refuse("US720", s, "", fmt.Sprintf("YARN at %s has no NodeManager at work", s), "start one")
	}
	return nil
}

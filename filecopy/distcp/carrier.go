package distcp

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/offload/yarn"
	"github.com/understudy-dr/understudy/wire/hdfs"
)

// Config says how DistCp is run.
type Config struct {
	// YARN runs the jobs. Its user is that of Files and of the target.
	YARN *yarn.Client
	User string
	// Files is the file system in which YARN's jobs keep their files, and FilesURI its name for containers, such as hdfs://west:8020.
	Files    *hdfs.Client
	FilesURI string
	// SourceURI and TargetURI are the names of both clusters for containers.
	SourceURI string
	TargetURI string
	// Staging is yarn.app.mapreduce.am.staging-dir; empty is /tmp/hadoop-yarn/staging, Hadoop's default.
	Staging string
	// Label is what people read in YARN's list: operation and step.
	Label string
	// Choice is what the choice of the engine goes by; Files and Bytes are filled in. Its Maps are the maps of a job.
	Choice Question
	// Queue, MasterMB, MapMB and Attempts of a job; zero leaves them to the cluster, and Attempts of the application master is 2.
	Queue    string
	MasterMB int
	MapMB    int
	Attempts int
	// Classpath is where containers find Hadoop and DistCp; empty is that of a plain installation.
	Classpath string
	// Options are further arguments of the application master's Java.
	Options string
	// Properties override those of the job, such as the nameservices of both clusters.
	Properties map[string]string
	// Poll is how long lies between two looks at a job; 0 is 2 s.
	Poll time.Duration
	// Patience is how long YARN may be silent while a job is followed; 0 is 10 minutes.
	Patience time.Duration
	// Jobs is how often a load is tried in one run; 0 is twice.
	Jobs int
}

const (
	defaultStaging  = "/tmp/hadoop-yarn/staging"
	defaultPoll     = 2 * time.Second
	defaultPatience = 10 * time.Minute
	defaultJobs     = 2
	masterAttempts  = 2
	// defaultClasspath finds Hadoop where its environment says, and DistCp among its tools.
	defaultClasspath = "$HADOOP_CONF_DIR:$HADOOP_COMMON_HOME/share/hadoop/common/*:$HADOOP_COMMON_HOME/share/hadoop/common/lib/*:" +
		"$HADOOP_HDFS_HOME/share/hadoop/hdfs/*:$HADOOP_HDFS_HOME/share/hadoop/hdfs/lib/*:$HADOOP_YARN_HOME/share/hadoop/yarn/*:" +
		"$HADOOP_YARN_HOME/share/hadoop/yarn/lib/*:$HADOOP_COMMON_HOME/share/hadoop/mapreduce/*:$HADOOP_COMMON_HOME/share/hadoop/tools/lib/*"
)

// Source is what a store to read from must tell, beside the contract.
type Source interface {
	// SourcePath gives the absolute path of an entry at a pin.
	SourcePath(at filecopy.Pin, p filecopy.Path) string
}

// Target is what a store to write to must tell, beside the contract.
type Target interface {
	filecopy.Dock
	// BerthRoot gives the absolute path below which all berths of a lot lie.
	BerthRoot(lot string) string
	// BerthPath gives the absolute path of one; its error is that of a handle that is none.
	BerthPath(h filecopy.Handle) (string, error)
}

// Carrier runs DistCp. It is safe for concurrent use.
type Carrier struct {
	Config
	hook func(point string) error
}

var _ filecopy.Carrier = &Carrier{}

// New gives a carrier. It asks nothing.
func New(c Config) (*Carrier, error) {
	if c.YARN == nil || c.Files == nil || c.User == "" || c.FilesURI == "" || c.SourceURI == "" || c.TargetURI == "" {
		return nil, failure("US667", understudy.KindInvalid, "configure", "DistCp needs YARN with a user, and the names of three file systems", nil)
	}
	c.Staging = cmp.Or(c.Staging, defaultStaging)
	c.Poll, c.Patience, c.Jobs = cmp.Or(c.Poll, defaultPoll), cmp.Or(c.Patience, defaultPatience), cmp.Or(c.Jobs, defaultJobs)
	c.Attempts = cmp.Or(c.Attempts, masterAttempts)
	c.Classpath = cmp.Or(c.Classpath, defaultClasspath)
	c.Choice = c.Choice.filled()
	return &Carrier{Config: c}, nil
}

func failure(code understudy.Code, kind understudy.ErrorKind, op, summary string, err error) *understudy.Error {
	return &understudy.Error{Code: code, Kind: kind, Op: "distcp." + op, Summary: summary, Err: err}
}

// Takes says whether DistCp is chosen.
func (c *Carrier) Takes(files, bytes int64) (bool, string) {
	q := c.Choice
	q.Files, q.Bytes = files, bytes
	engine, why := Choose(q)
	return engine == DistCp, why
}

// at lets a test abort.
func (c *Carrier) at(point string) error {
	if c.hook == nil {
		return nil
	}
	return c.hook(point)
}

// trip is one load on its way.
type trip struct {
	*Carrier
	load   filecopy.Load
	report func(filecopy.Carried)
	source Source
	target Target
	memo   memo
	// heard is when YARN answered last.
	heard time.Time
}

// open holds a load against what DistCp can do.
func (c *Carrier) open(ctx context.Context, l filecopy.Load, report func(filecopy.Carried)) (*trip, error) {
	t := &trip{Carrier: c, load: l, report: report, heard: time.Now()}
	var from, to bool
	t.source, from = l.Source.(Source)
	t.target, to = l.Target.(Target)
	if !to || !from && l.Each != nil {
		e := failure("US667", understudy.KindInvalid, "carry", "DistCp cannot copy between these stores", filecopy.ErrUnsupported)
		e.Fix = "use the native engine"
		return nil, e
	}
	return t, t.recall(ctx)
}

// digest names something in at most 16 characters.
func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

// lotTag is carried by all applications of a lot, loadTag by those of one load.
func (t *trip) lotTag() string {
	return "understudy-lot-" + digest(t.TargetURI, t.target.BerthRoot(t.load.Lot))
}

func (t *trip) loadTag() string { return "understudy-load-" + digest(t.lotTag(), t.load.Name) }

package hdfs

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/understudy-dr/understudy/lab"
)

// clientStop bounds the orderly end of the client's JVM.
const clientStop = 30 * time.Second

// Access says how to reach a cluster, and as whom.
type Access struct {
	// Properties are those of a Hadoop client.
	Properties map[string]string
	// User is a user's name; of a secure cluster, a principal whose keys are in the file Keytab.
	User   string
	Keytab string
}

// Access is the super user's.
func (c *Cluster) Access() Access {
	if c.opts.Kerberos != nil {
		return Access{Properties: c.Properties(), User: c.opts.principal(), Keytab: filepath.Join(c.opts.Dir, "conf", "hdfs.keytab")}
	}
	return Access{Properties: c.Properties(), User: Superuser}
}

// As is another user's; of a secure cluster, the one whose principal has that name, with its keytab.
func (c *Cluster) As(user, keytab string) Access {
	if c.opts.Kerberos != nil {
		user += "@" + c.opts.Kerberos.Name()
	}
	return Access{Properties: c.Properties(), User: user, Keytab: keytab}
}

// ClientError is what Hadoop's own client threw; its Class is the exception's simple name, such as
// "AccessControlException".
type ClientError = lab.AnswerError

// Client is a running JVM with Hadoop's own client. Its methods may be called side by side; requests to several
// clusters as several users share it.
type Client struct {
	dialogue *lab.Dialogue
	sessions atomic.Int64
}

// NewClient starts the JVM; its log goes to a file in dir. realm is nil, or that of the secure clusters which
// it is to reach: Java knows one at a time. Close it.
func NewClient(ctx context.Context, dir string, realm Realm) (*Client, error) {
	in, err := installed(ctx, Version)
	if err != nil {
		return nil, err
	}
	if in, err = in.archived(ctx); err != nil {
		return nil, err
	}
	j := jvm{archive: hdfsArchive}
	if realm != nil {
		j.more = []string{"-Djava.security.krb5.conf=" + realm.Config()}
	}
	return startClient(in, dir, j)
}

// OpenClient does the same for a test and ends it with the test.
func OpenClient(t lab.Test, realm ...Realm) *Client {
	var of Realm
	if len(realm) > 0 {
		of = realm[0]
	}
	c, err := NewClient(context.Background(), t.TempDir(), of)
	lab.Check(t, err)
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Logf("close the java client: %v", err)
		}
	})
	return c
}

func startClient(in install, dir string, j jvm) (*Client, error) {
	j.heapMB = 256
	d, err := lab.Converse(lab.Command{
		Name: "java client of hadoop", Path: in.jdk.Java(),
		Args: append(in.args(j), "-Dlab.log=WARN", clientClass),
		Log:  filepath.Join(dir, "client.log"),
	})
	if err != nil {
		return nil, err
	}
	return &Client{dialogue: d}, nil
}

// PID is the process id of the client's JVM.
func (c *Client) PID() int { return c.dialogue.PID() }

// Close ends the JVM and everything that runs in it, and waits.
func (c *Client) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), clientStop)
	defer cancel()
	return c.dialogue.Close(ctx)
}

// reply is one line of the Java side before the last; exactly one field is set.
type reply struct {
	Entry  *Entry  `json:"entry"`
	Event  *Event  `json:"event"`
	Change *Change `json:"change"`
	Data   []byte  `json:"data"`
	TxID   int64   `json:"txid"`
	Text   string  `json:"text"`
}

// request is what the Java side is asked, beside its id.
type request = lab.Request

// call sends a request and waits for its outcome; each gets every line but the last. When ctx ends first, the
// Java side still finishes.
func (c *Client) call(ctx context.Context, a Access, do string, r request, each func(reply)) error {
	r["config"], r["user"], r["keytab"] = a.Properties, a.User, a.Keytab
	return c.dialogue.Call(ctx, do, r, func(line []byte) error {
		var answered reply
		if err := json.Unmarshal(line, &answered); err != nil {
			return err
		}
		if each != nil {
			each(answered)
		}
		return nil
	})
}

// Tool runs one of Hadoop's command line tools as the super user would, and returns what it printed: crypto, dfsadmin,
// ec, haadmin, key or storagepolicies. A status other than 0 is an error with the text.
func (c *Client) Tool(ctx context.Context, a Access, tool string, args ...string) (string, error) {
	var text string
	err := c.call(ctx, a, "tool", request{"tool": tool, "args": args}, func(r reply) { text = r.Text })
	return text, err
}

// Failover makes a NameNode of a pair (1 or 2) the active one by Hadoop's haadmin: the other is asked to stand by,
// or, when it is dead, fenced.
func (c *Client) Failover(ctx context.Context, a Access, to int) error {
	if to != 1 && to != 2 {
		return errors.New("a pair has the NameNodes 1 and 2")
	}
	_, err := c.Tool(ctx, a, "haadmin", "-failover", "nn"+strconv.Itoa(3-to), "nn"+strconv.Itoa(to))
	return err
}

// session makes a name for something that stays open in the JVM.
func (c *Client) session() string { return "s" + strconv.FormatInt(c.sessions.Add(1), 10) }

package kafka

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/understudy-dr/understudy/lab"
)

// clientStop bounds the orderly end of the client's JVM.
const clientStop = 30 * time.Second

// Access says how to reach a cluster: anonymous on a plain listener, or as a user of SASL/PLAIN.
type Access struct {
	Addr     string
	User     string
	Password string
}

// Access is the plain listener.
func (b *Broker) Access() Access { return Access{Addr: b.Addr()} }

// As is the SASL listener with the name and password of one of the Users.
func (b *Broker) As(user string) Access {
	return Access{Addr: b.SASLAddr(), User: user, Password: b.opts.Users[user]}
}

// Far is the WAN listener: anonymous with an empty user, else as one of the Users.
func (b *Broker) Far(user string) Access {
	return Access{Addr: b.WANAddr(), User: user, Password: b.opts.Users[user]}
}

// config gives the properties of a Java client, with the caller's over ours.
func (a Access) config(more map[string]string) map[string]string {
	c := map[string]string{"bootstrap.servers": a.Addr}
	if a.User != "" {
		c["security.protocol"], c["sasl.mechanism"] = "SASL_PLAINTEXT", "PLAIN"
		c["sasl.jaas.config"] = fmt.Sprintf(
			"org.apache.kafka.common.security.plain.PlainLoginModule required username=%q password=%q;", a.User, a.Password)
	}
	maps.Copy(c, more)
	return c
}

// ClientError is what Kafka's own client threw; its Class is the exception's simple name, such as
// "TopicAuthorizationException".
type ClientError = lab.AnswerError

// Client is a running JVM with Kafka's own client of one version. Its methods may be called side by side;
// requests to several clusters share it.
type Client struct {
	dialogue *lab.Dialogue
	sessions atomic.Int64
}

// reply is one line of the Java side before the last; exactly one field is set.
type reply struct {
	Started  bool              `json:"started"`
	Record   *Record           `json:"record"`
	Range    *Range            `json:"range"`
	Ack      *Ack              `json:"ack"`
	Refused  *Refusal          `json:"refused"`
	Offset   *Offset           `json:"offset"`
	ACL      *ACL              `json:"acl"`
	Configs  map[string]Config `json:"configs"`
	Assigned []Partition       `json:"assigned"`
}

// NewClient starts the JVM with the client of the version; its log goes to a file in dir. Close it.
func NewClient(ctx context.Context, version, dir string) (*Client, error) {
	in, err := installed(ctx, version)
	if err != nil {
		return nil, err
	}
	if in, err = in.archived(ctx); err != nil {
		return nil, err
	}
	return startClient(ctx, in, dir, lab.SharedArchive(filepath.Join(in.archives, clientArchive))...)
}

// OpenClient does the same for a test and ends it with the test.
func OpenClient(t lab.Test, version string) *Client {
	c, err := NewClient(context.Background(), version, t.TempDir())
	lab.Check(t, err)
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Logf("close the java client: %v", err)
		}
	})
	return c
}

func startClient(ctx context.Context, in install, dir string, jvm ...string) (*Client, error) {
	sources, err := in.sources()
	if err != nil {
		return nil, err
	}
	jar, err := sources.Jar(ctx, in.jdk, in.classpath)
	if err != nil {
		return nil, err
	}
	args := append(Options{HeapMB: 256, JVM: jvm}.jvmArgs(), "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
		"-cp", in.classpath+string(os.PathListSeparator)+jar, "understudy.lab.Client")
	d, err := lab.Converse(lab.Command{
		Name: "java client " + in.version, Path: in.jdk.Java(), Args: args, Log: filepath.Join(dir, "client.log"),
	})
	if err != nil {
		return nil, err
	}
	return &Client{dialogue: d}, nil
}

// PID is the process id of the client's JVM, so that a test can pause it.
func (c *Client) PID() int { return c.dialogue.PID() }

// Close ends the JVM and everything that runs in it, and waits.
func (c *Client) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), clientStop)
	defer cancel()
	return c.dialogue.Close(ctx)
}

// request is what the Java side is asked, beside its id.
type request = lab.Request

// begin sends a request. each gets every line but the last, on the reading goroutine: it must not wait. The
// channel gets the outcome once.
func (c *Client) begin(do string, r request, each func(reply)) (<-chan error, error) {
	return c.dialogue.Begin(do, r, parsed(each))
}

// call sends a request and waits for its outcome. When ctx ends first, the Java side still finishes.
func (c *Client) call(ctx context.Context, do string, r request, each func(reply)) error {
	return c.dialogue.Call(ctx, do, r, parsed(each))
}

// parsed reads each line of an answer before it is handed on.
func parsed(each func(reply)) func([]byte) error {
	return func(line []byte) error {
		var r reply
		if err := json.Unmarshal(line, &r); err != nil {
			return err
		}
		if each != nil {
			each(r)
		}
		return nil
	}
}

// session makes a name for something that stays open in the JVM.
func (c *Client) session() string { return "s" + strconv.FormatInt(c.sessions.Add(1), 10) }

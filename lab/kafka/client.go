package kafka

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
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

// ClientError is what Kafka's own client threw.
type ClientError struct {
	// Do is the request.
	Do string
	// Class is the exception's simple name, such as "TopicAuthorizationException".
	Class   string
	Message string
}

// Error gives the request, the exception and its message.
func (e *ClientError) Error() string {
	return fmt.Sprintf("java client: %s: %s: %s", e.Do, e.Class, e.Message)
}

// Client is a running JVM with Kafka's own client of one version. Its methods may be called side by side;
// requests to several clusters share it.
type Client struct {
	process *lab.Process
	stdin   *os.File
	reading sync.WaitGroup

	mu      sync.Mutex
	next    int64
	pending map[int64]func(reply)
	ended   error
}

// reply is one line of the Java side; exactly one field beside ID is set.
type reply struct {
	ID       int64             `json:"id"`
	Done     bool              `json:"done"`
	Error    string            `json:"error"`
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
	return startClient(ctx, in, dir, "-XX:SharedArchiveFile="+filepath.Join(in.archives, clientArchive))
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
	jar, err := clientJar(ctx, in)
	if err != nil {
		return nil, err
	}
	requests, stdin, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer func() { _ = requests.Close() }()
	stdout, replies, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, stdin.Close())
	}
	defer func() { _ = replies.Close() }()
	args := append(Options{HeapMB: 256, JVM: jvm}.jvmArgs(), "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
		"-cp", in.classpath+string(os.PathListSeparator)+jar, "understudy.lab.Client")
	p, err := lab.Start(lab.Command{
		Name: "java client " + in.version, Path: in.jdk.Java(), Args: args,
		Log: filepath.Join(dir, "client.log"), Stdin: requests, Stdout: replies,
	})
	if err != nil {
		return nil, errors.Join(err, stdin.Close(), stdout.Close())
	}
	c := &Client{process: p, stdin: stdin, pending: make(map[int64]func(reply))}
	c.reading.Go(func() {
		defer func() { _ = stdout.Close() }()
		c.read(bufio.NewReader(stdout))
	})
	return c, nil
}

// PID is the process id of the client's JVM, so that a test can pause it.
func (c *Client) PID() int { return c.process.PID() }

// Close ends the JVM and everything that runs in it, and waits.
func (c *Client) Close() error {
	err := c.stdin.Close()
	ctx, cancel := context.WithTimeout(context.Background(), clientStop)
	defer cancel()
	select {
	case <-c.process.Done():
	case <-ctx.Done():
		err = errors.Join(err, fmt.Errorf("the java client did not end within %v", clientStop), c.process.Kill())
	}
	c.reading.Wait()
	return err
}

// read hands each line to the request that it answers, until the JVM has ended.
func (c *Client) read(in *bufio.Reader) {
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			c.end(fmt.Errorf("the java client has ended, see %s", c.process.Log()))
			return
		}
		var r reply
		if err := json.Unmarshal(line, &r); err != nil {
			c.end(fmt.Errorf("the java client said %q: %w", line, err))
			return
		}
		c.mu.Lock()
		handle := c.pending[r.ID]
		if r.Done || r.Error != "" {
			delete(c.pending, r.ID)
		}
		c.mu.Unlock()
		if handle != nil {
			handle(r)
		}
	}
}

// end answers all that wait.
func (c *Client) end(err error) {
	c.mu.Lock()
	c.ended = err
	pending := c.pending
	c.pending = make(map[int64]func(reply))
	c.mu.Unlock()
	for id, handle := range pending {
		handle(reply{ID: id, Error: "Ended: " + err.Error()})
	}
}

// request is what the Java side is asked, beside its id.
type request map[string]any

// begin sends a request. each gets every line but the last, on the reading goroutine: it must not wait. The
// channel gets the outcome once.
func (c *Client) begin(do string, r request, each func(reply)) (<-chan error, error) {
	done := make(chan error, 1)
	handle := func(line reply) {
		switch {
		case line.Done:
			done <- nil
		case line.Error != "":
			class, message, _ := strings.Cut(line.Error, ": ")
			done <- &ClientError{Do: do, Class: class, Message: message}
		case each != nil:
			each(line)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended != nil {
		return nil, c.ended
	}
	c.next++
	body := maps.Clone(r)
	body["id"], body["do"] = c.next, do
	line, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	c.pending[c.next] = handle
	if _, err := c.stdin.Write(append(line, '\n')); err != nil {
		delete(c.pending, c.next)
		return nil, err
	}
	return done, nil
}

// call sends a request and waits for its outcome. When ctx ends first, the Java side still finishes.
func (c *Client) call(ctx context.Context, do string, r request, each func(reply)) error {
	done, err := c.begin(do, r, each)
	if err != nil {
		return err
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("java client: %s: %w", do, ctx.Err())
	}
}

// session makes a name for something that stays open in the JVM.
func (c *Client) session() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next++
	return "s" + strconv.FormatInt(c.next, 10)
}

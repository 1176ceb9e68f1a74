package lab

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"sync"
)

// Request is what a child of a Dialogue is asked, beside its id and its verb.
type Request map[string]any

// AnswerError is a request that the child refused or could not carry out.
type AnswerError struct {
	// Do is the request's verb.
	Do string
	// Class is the kind of error in the child's own words, such as the simple name of a Java exception.
	Class   string
	Message string
}

// Error gives the request, the class and the message.
func (e *AnswerError) Error() string {
	return fmt.Sprintf("java client: %s: %s: %s", e.Do, e.Class, e.Message)
}

// Dialogue is a child process that is asked by lines of JSON on its standard input, side by side: a request has
// an "id" and a verb "do"; what answers it has that id, and the last line of it "done" or "error". The
// child ends with its input.
type Dialogue struct {
	process *Process
	stdin   *os.File
	reading sync.WaitGroup

	mu      sync.Mutex
	next    int64
	pending map[int64]func(answer)
	ended   error
}

// answer is one line of the child.
type answer struct {
	ID    int64  `json:"id"`
	Done  bool   `json:"done"`
	Error string `json:"error"`
	line  []byte
}

// Converse starts the child; its standard error goes to the command's log. Close it.
func Converse(c Command) (*Dialogue, error) {
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
	c.Stdin, c.Stdout = requests, replies
	p, err := Start(c)
	if err != nil {
		return nil, errors.Join(err, stdin.Close(), stdout.Close())
	}
	d := &Dialogue{process: p, stdin: stdin, pending: make(map[int64]func(answer))}
	d.reading.Go(func() {
		defer func() { _ = stdout.Close() }()
		d.read(bufio.NewReader(stdout))
	})
	return d, nil
}

// PID is the child's process id.
func (d *Dialogue) PID() int { return d.process.PID() }

// Log is the path of the child's log.
func (d *Dialogue) Log() string { return d.process.Log() }

// Close ends the child's input and waits for its end; when ctx ends first it is killed, and that is an error.
func (d *Dialogue) Close(ctx context.Context) error {
	err := d.stdin.Close()
	select {
	case <-d.process.Done():
	case <-ctx.Done():
		err = errors.Join(err, fmt.Errorf("end %s: %w", d.process.name, ctx.Err()), d.process.Kill())
	}
	d.reading.Wait()
	return err
}

// read hands each line to the request that it answers, until the child has ended.
func (d *Dialogue) read(in *bufio.Reader) {
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			d.end(fmt.Errorf("%s has ended, see %s", d.process.name, d.process.Log()))
			return
		}
		a := answer{line: line}
		if err := json.Unmarshal(line, &a); err != nil {
			d.end(fmt.Errorf("%s said %q: %w", d.process.name, line, err))
			return
		}
		d.mu.Lock()
		handle := d.pending[a.ID]
		if a.Done || a.Error != "" {
			delete(d.pending, a.ID)
		}
		d.mu.Unlock()
		if handle != nil {
			handle(a)
		}
	}
}

// end answers all that wait.
func (d *Dialogue) end(err error) {
	d.mu.Lock()
	d.ended = err
	pending := d.pending
	d.pending = make(map[int64]func(answer))
	d.mu.Unlock()
	for id, handle := range pending {
		handle(answer{ID: id, Error: "Ended: " + err.Error()})
	}
}

// Begin sends a request. each gets every line but the last, on the reading goroutine: it must not wait. The
// channel gets the outcome once: nil, the first error of each, or an *AnswerError.
func (d *Dialogue) Begin(do string, r Request, each func(line []byte) error) (<-chan error, error) {
	done := make(chan error, 1)
	var unread error
	handle := func(a answer) {
		switch {
		case a.Done:
			done <- unread
		case a.Error != "":
			class, message, _ := strings.Cut(a.Error, ": ")
			done <- &AnswerError{Do: do, Class: class, Message: message}
		case each != nil && unread == nil:
			unread = each(a.line)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ended != nil {
		return nil, d.ended
	}
	d.next++
	body := maps.Clone(r)
	if body == nil {
		body = Request{}
	}
	body["id"], body["do"] = d.next, do
	line, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	d.pending[d.next] = handle
	if _, err := d.stdin.Write(append(line, '\n')); err != nil {
		delete(d.pending, d.next)
		return nil, err
	}
	return done, nil
}

// Call sends a request and waits for its outcome. When ctx ends first, the child still finishes.
func (d *Dialogue) Call(ctx context.Context, do string, r Request, each func(line []byte) error) error {
	done, err := d.Begin(do, r, each)
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

package conn

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Call is one request in flight.
type Call struct {
	c        *Conn
	req      kmsg.Request
	raw      func([]byte) error
	id       int32
	deadline time.Time

	done chan struct{}
	resp kmsg.Response
	err  error
	body []byte
}

// Wait returns the answer. It breaks the connection when ctx ends, or the call's time is over, while it
// reads: an answer that was cut in the middle cannot be found again.
func (k *Call) Wait(ctx context.Context) (kmsg.Response, error) {
	for {
		select {
		case <-k.done:
			return k.resp, k.err
		default:
		}
		select {
		case <-k.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		case k.c.turn <- struct{}{}:
			k.c.serve(ctx, k)
			<-k.c.turn
		}
	}
}

// Body is the memory of a finished call's answer, as Options.Buffer provided it; the answer's byte slices
// point into it. It is nil when the call failed.
func (k *Call) Body() []byte { return k.body }

func (k *Call) finish(resp kmsg.Response, err error) {
	k.resp, k.err = resp, err
	close(k.done)
}

// serve reads answers until k has its own. The caller holds the turn.
func (c *Conn) serve(ctx context.Context, k *Call) {
	// The reader is released by a past deadline; the socket stays the owner's to close.
	stop := context.AfterFunc(ctx, func() { _ = c.nc.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	for {
		select {
		case <-k.done:
			return
		default:
		}
		if err := c.readOne(ctx); err != nil {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			_ = c.fail(err)
			return
		}
	}
}

// readOne reads the answer of the oldest call.
func (c *Conn) readOne(ctx context.Context) error {
	k := c.oldest()
	if k == nil {
		return errors.New("an answer is awaited that nobody asked for")
	}
	if err := c.nc.SetReadDeadline(k.deadline); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil { // it may have ended just before the deadline was set anew
		return err
	}
	buf, err := readFrame(ctx, c.r, c.o.MaxResponse, c.o.Buffer)
	if err != nil {
		return err
	}
	resp, err := k.parse(buf)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	c.waiting[0] = nil
	c.waiting = c.waiting[1:]
	k.body = buf
	k.finish(resp, nil)
	return nil
}

func (c *Conn) oldest() *Call {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.waiting) == 0 {
		return nil
	}
	return c.waiting[0]
}

// readFrame reads one length-prefixed answer. It trusts the length only up to the limit.
func readFrame(ctx context.Context, r io.Reader, limit int, buffer func(context.Context, int) ([]byte, error)) ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	n := int32(binary.BigEndian.Uint32(size[:]))
	if n < 4 || int64(n) > int64(limit) {
		return nil, fmt.Errorf("the answer claims %d bytes; between 4 and %d are accepted", n, limit)
	}
	if buffer == nil {
		buffer = func(_ context.Context, n int) ([]byte, error) { return make([]byte, n), nil }
	}
	buf, err := buffer(ctx, int(n))
	if err != nil {
		return nil, err
	}
	_, err = io.ReadFull(r, buf)
	return buf, err
}

// parse checks the header of an answer and decodes its body.
func (k *Call) parse(buf []byte) (kmsg.Response, error) {
	if got := int32(binary.BigEndian.Uint32(buf)); got != k.id {
		return nil, fmt.Errorf("answer %d came where %d was due", got, k.id)
	}
	body := buf[4:]
	if k.raw != nil {
		return nil, k.raw(body)
	}
	// The answer to ApiVersions keeps the old header, so that any client can read it.
	if k.req.IsFlexible() && k.req.Key() != apiVersionsKey {
		var err error
		if body, err = skipTags(body); err != nil {
			return nil, err
		}
	}
	resp := k.req.ResponseKind()
	resp.SetVersion(k.req.GetVersion())
	if err := resp.ReadFrom(body); err != nil {
		return nil, fmt.Errorf("decode %s v%d: %w", kmsg.NameForKey(k.req.Key()), k.req.GetVersion(), err)
	}
	return resp, nil
}

// skipTags drops the tagged fields of a flexible header.
func skipTags(b []byte) ([]byte, error) {
	errShort := errors.New("the answer's header is cut short")
	count, n := binary.Uvarint(b)
	if n <= 0 {
		return nil, errShort
	}
	b = b[n:]
	for ; count > 0; count-- {
		if _, n = binary.Uvarint(b); n <= 0 {
			return nil, errShort
		}
		b = b[n:]
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) {
			return nil, errShort
		}
		b = b[n+int(size):]
	}
	return b, nil
}

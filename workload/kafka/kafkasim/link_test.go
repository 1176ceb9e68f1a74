package kafkasim

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestLinkAdvertisesItself: a client that was told the link's address must never leave it.
func TestLinkAdvertisesItself(t *testing.T) {
	c := begin(t, Options{Topics: map[string]int32{"orders": 1}})
	link, err := c.Link(0)
	if err != nil {
		t.Fatal(err)
	}
	cl := client4(t, link.Addr())
	produceAll(t, cl, "orders", 0, 3)
	resp, err := kmsg.NewPtrMetadataRequest().RequestWith(t.Context(), cl)
	if err != nil {
		t.Fatal(err)
	}
	host, port, err := split(link.Addr())
	if b := resp.Brokers[0]; err != nil || b.Host != host || b.Port != port {
		t.Errorf("advertised %s:%d beside %s, %v", b.Host, b.Port, link.Addr(), err)
	}
	if got := consume(t, c.Addr(), "orders", 3); strings.Join(got, " ") != "v0 v1 v2" {
		t.Errorf("got %v", got)
	}
}

func TestLinkDelays(t *testing.T) {
	c := begin(t, Options{Topics: map[string]int32{"orders": 1}})
	const delay = 40 * time.Millisecond
	link, err := c.Link(delay)
	if err != nil {
		t.Fatal(err)
	}
	cl := client4(t, link.Addr())
	produceAll(t, cl, "orders", 0, 1)
	start := time.Now()
	produceAll(t, cl, "orders", 1, 1)
	if took := time.Since(start); took < 2*delay {
		t.Errorf("a round trip took %v", took)
	}
	link.SetDelay(0)
	for tries := range 100 { // one quick round trip is enough: the machine may be busy
		start = time.Now()
		produceAll(t, cl, "orders", 2+tries, 1)
		if time.Since(start) < 2*delay {
			return
		}
	}
	t.Error("the delay never went away")
}

func TestLinkCutAndKillBehindIt(t *testing.T) {
	c := begin(t, Options{Topics: map[string]int32{"orders": 1}})
	link, err := c.Link(time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	cl := client4(t, link.Addr(), kgo.RequestRetries(0), kgo.RetryTimeout(200*time.Millisecond))
	fails := func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		return cl.Ping(ctx) != nil
	}
	works := func() {
		t.Helper()
		deadline := time.Now().Add(10 * time.Second)
		for fails() {
			if time.Now().After(deadline) {
				t.Fatal("the link never worked again")
			}
		}
	}
	works()
	link.Cut()
	if !fails() {
		t.Error("a cut link carries")
	}
	link.Mend()
	works()
	c.Kill()
	if !fails() {
		t.Error("a link to a killed cluster carries")
	}
	if err := c.Restart(); err != nil {
		t.Fatal(err)
	}
	works()
	link.Close()
	if !fails() {
		t.Error("a closed link carries")
	}
}

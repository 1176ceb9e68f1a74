package kafka

import (
	"context"
	"os"
	"strconv"

	"golang.org/x/sync/errgroup"

	"github.com/understudy-dr/understudy/lab"
)

// Boot starts a broker for a test, in the test's temporary directory unless Dir is set. The test is
// skipped with the missing thing's name without Java or Maven; the broker is killed when the test ends, and
// the end of its log is printed when the test failed.
func Boot(t lab.Test, o Options) *Broker {
	return BootAll(t, o)[0]
}

// BootAll does the same for several brokers side by side and returns them in the order of the options.
func BootAll(t lab.Test, options ...Options) []*Broker {
	brokers := make([]*Broker, len(options))
	var group errgroup.Group
	for i, o := range options {
		if o.Dir == "" {
			o.Dir = t.TempDir()
		}
		if o.Name == "" {
			o.Name = "broker " + strconv.Itoa(i+1)
		}
		group.Go(func() (err error) {
			brokers[i], err = Start(context.Background(), o)
			return err
		})
	}
	err := group.Wait()
	for _, b := range brokers {
		if b != nil {
			t.Cleanup(func() { closeAfter(t, b) })
		}
	}
	lab.Check(t, err)
	return brokers
}

// closeAfter kills the broker and shows the end of its log when the test failed.
func closeAfter(t lab.Test, b *Broker) {
	if err := b.Close(); err != nil {
		t.Logf("close %s: %v", b.Name(), err)
	}
	if log, err := os.ReadFile(b.Log()); err == nil && t.Failed() {
		t.Logf("log of %s, its end:\n%s", b.Name(), log[max(0, len(log)-4000):])
	}
}

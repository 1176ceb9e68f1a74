package place

import (
	"testing"

	"github.com/understudy-dr/understudy/filecopy"
)

// plain is a store of which everything staged can be read, and closed one that needs another way for that.
type plain struct{ filecopy.Target }

type closed struct{ filecopy.Target }

func (closed) Legible() filecopy.Target { return plain{} }

// TestABarredTreeIsReadBack wants the bar to stay before a store that stages otherwise.
func TestABarredTreeIsReadBack(t *testing.T) {
	for _, inner := range []filecopy.Target{plain{}, closed{}} {
		b := &barred{Target: inner}
		got, ok := b.Legible().(*barred)
		if !ok || got != b || b.Target != (plain{}) {
			t.Errorf("%T became %T with %T", inner, got, b.Target)
		}
	}
}

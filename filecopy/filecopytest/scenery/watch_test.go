package scenery

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// TestReadersThatCannotReadAreHeard ends a reader with what it met.
func TestReadersThatCannotReadAreHeard(t *testing.T) {
	w := Look(0, []string{"a"}, func(context.Context, string) (string, error) { return "", errors.New("no such server") })
	w.seen, w.fault = make([][]sight, 1), make([]error, 1)
	if w.look(t.Context(), 0, 0) {
		t.Error("it goes on")
	}
	if f := (Course{Scenes: []Scene{{}}}).Faults(w); len(f) != 1 || !strings.Contains(f[0], "a: no such server") {
		t.Errorf("it says %q", f)
	}
}

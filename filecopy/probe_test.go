package filecopy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/understudy-dr/understudy/filecopy"
)

// TestProbesAreKnownByTheirNames tells probes from what only looks like one.
func TestProbesAreKnownByTheirNames(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	name := filecopy.NewProbe(now)
	if at, ok := filecopy.ProbeMade(name); !ok || !at.Equal(now) || name == filecopy.NewProbe(now) {
		t.Errorf("%q was made at %v, %v", name, at, ok)
	}
	probe := filecopy.Entry{Path: filecopy.Path(name), Kind: filecopy.File}
	if !filecopy.IsProbe(probe) {
		t.Errorf("%+v is none", probe)
	}
	for what, change := range map[string]func(*filecopy.Entry){
		"with content":   func(e *filecopy.Entry) { e.Size = 1 },
		"a directory":    func(e *filecopy.Entry) { e.Kind = filecopy.Directory },
		"further down":   func(e *filecopy.Entry) { e.Path = "d/" + e.Path },
		"a shorter name": func(e *filecopy.Entry) { e.Path = e.Path[:len(e.Path)-1] },
		"a longer name":  func(e *filecopy.Entry) { e.Path += "0" },
		"other digits":   func(e *filecopy.Entry) { e.Path = filecopy.Path(strings.ToUpper(name[:len(name)-1])) + "G" },
		"another name":   func(e *filecopy.Entry) { e.Path = e.Path[1:] },
	} {
		e := probe
		if change(&e); filecopy.IsProbe(e) {
			t.Errorf("%s: %+v is taken for one", what, e)
		}
	}
}

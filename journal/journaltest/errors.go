package journaltest

import (
	"errors"

	"github.com/understudy-dr/understudy"
)

// fails checks that an error wraps the sentinel, and has a code of the journal with a page that explains it.
func (s *stage) fails(err, want error) {
	s.Helper()
	if !errors.Is(err, want) {
		s.Fatalf("got error %v, want %v", err, want)
	}
	var e *understudy.Error
	if !errors.As(err, &e) {
		s.Fatalf("%v is not an *understudy.Error", err)
	}
	if _, ok := understudy.Explain(e.Code); !ok || e.Code < "US300" || e.Code > "US399" {
		s.Fatalf("%v has the code %q, which is not one of the journal with a page", err, e.Code)
	}
	if e.Summary == "" || e.Op == "" || e.Kind == "" {
		s.Fatalf("%#v lacks its operation, kind or summary", e)
	}
}

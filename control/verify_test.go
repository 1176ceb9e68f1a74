package control_test

import (
	"testing"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
)

// A verification of a part is no verdict on the whole, unless it finds a difference; one that finds no such part proves
// nothing.
func TestANarrowedVerificationClaimsNoMoreThanItSaw(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := protectedScene(t, nil)
		verify := func(req control.StartRequest, want understudy.Outcome) {
			t.Helper()
			req.Verb = understudy.Verify
			op := s.Do(req, control.Committed)
			if v := op.Parts[0].Verdict; v == nil || v.Outcome != want {
				t.Fatalf("%+v, want %s", v, want)
			}
			if want == understudy.Unknown && (s.noted(op, "MATCH") || !s.noted(op, "nothing was compared")) {
				t.Fatalf("the journal says %+v", s.events(op))
			}
		}
		newest := func() *understudy.Verdict {
			st, err := s.Status(t.Context(), "contoso")
			if err != nil {
				t.Fatal(err)
			}
			return st.Workloads[0].Verified
		}
		verify(control.StartRequest{Shards: []string{"0"}}, understudy.Match)
		verify(control.StartRequest{Quick: true}, understudy.Match)
		verify(control.StartRequest{Shards: []string{"nonesuch", "zero"}}, understudy.Unknown)
		if v := newest(); v != nil {
			t.Fatalf("status says of the whole: %+v", v)
		}
		verify(control.StartRequest{}, understudy.Match)
		s.world.Flip("west", 1)
		verify(control.StartRequest{Shards: []string{"nonesuch"}}, understudy.Unknown)
		if v := newest(); v.Outcome != understudy.Match {
			t.Fatalf("%+v", v)
		}
		verify(control.StartRequest{Quick: true}, understudy.Different)
		if v := newest(); v.Outcome != understudy.Different {
			t.Fatalf("%+v", v)
		}
	})
}

package understudy_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/understudy-dr/understudy"
)

// The cause of an error is not lost where the error is part of another document, and never takes the place of a reason.
func TestAnErrorAsADocumentHasItsCause(t *testing.T) {
	type holder struct {
		Error *understudy.Error `json:"error,omitempty"`
	}
	cause := errors.New("connection refused")
	for _, c := range []struct {
		sent *understudy.Error
		why  string
	}{
		{&understudy.Error{Code: "US100", Kind: understudy.KindUnreachable, Summary: "s", Err: cause}, "connection refused"},
		{&understudy.Error{Code: "US100", Kind: understudy.KindUnreachable, Summary: "s", Err: cause, Why: "it is off"}, "it is off"},
		{&understudy.Error{Code: "US100", Kind: understudy.KindUnreachable, Summary: "s", Object: understudy.Object{Plan: "p"}, Fix: "f", Op: "o"}, ""},
	} {
		b, err := json.Marshal(holder{c.sent})
		if err != nil {
			t.Fatal(err)
		}
		var got holder
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatal(err)
		}
		want := *c.sent
		want.Why, want.Err = c.why, nil
		if *got.Error != want {
			t.Errorf("%s became %+v", b, got.Error)
		}
		if c.sent.Why != "" && c.sent.Why != c.why || c.sent.Err != nil && c.sent.Err != cause {
			t.Errorf("the error itself was changed: %+v", c.sent)
		}
	}
}

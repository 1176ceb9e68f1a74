package filecopy_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/understudy-dr/understudy/filecopy"
)

// TestARestGoesOnWhereItBroke breaks each answer after some bytes.
func TestARestGoesOnWhereItBroke(t *testing.T) {
	const content = "0123456789"
	broken := errors.New("the connection broke")
	sum := filecopy.SumOf(0).Extend([]byte(content))
	var asked []int64
	begin := func(step int, want filecopy.Checksum) *filecopy.Rest {
		asked = nil
		r := &filecopy.Rest{Name: "f", Size: int64(len(content)), Want: want}
		r.Open = func(_ context.Context, at int64) (io.ReadCloser, error) {
			asked = append(asked, at)
			piece := content[at:min(int(at)+step, len(content))]
			return io.NopCloser(io.MultiReader(strings.NewReader(piece), iotest.ErrReader(broken))), nil
		}
		return r.Begin(t.Context(), nil)
	}
	r := begin(4, sum)
	if b, err := io.ReadAll(r); err != nil || string(b) != content || len(asked) != 3 || asked[2] != 8 {
		t.Errorf("read %q, %v, asked from %v", b, err, asked)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if _, err := io.ReadAll(begin(4, filecopy.SumOf(7))); !errors.Is(err, filecopy.ErrCorrupt) {
		t.Errorf("with another sum = %v", err)
	}
	if _, err := io.ReadAll(begin(0, sum)); !errors.Is(err, broken) || len(asked) > 20 {
		t.Errorf("without an end = %v after %d answers", err, len(asked))
	}
}

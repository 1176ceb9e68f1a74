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
		r := &filecopy.Rest{Name: "f", Version: "1", Size: int64(len(content)), Want: want}
		r.Ask = func(_ context.Context, version string, at int64) (filecopy.Answer, error) {
			asked = append(asked, at)
			piece := content[at:min(int(at)+step, len(content))]
			body := io.NopCloser(io.MultiReader(strings.NewReader(piece), iotest.ErrReader(broken)))
			return filecopy.Answer{Body: body, Version: version}, nil
		}
		return r.Later(t.Context())
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

// TestARestIsHeldToItsVersion reads whatever version is there first, and no other one behind a break.
func TestARestIsHeldToItsVersion(t *testing.T) {
	const content = "0123456789"
	sum := filecopy.SumOf(0).Extend([]byte(content))
	read := func(told filecopy.Checksum, versions ...string) (string, error) {
		r, err := (&filecopy.Rest{Name: "f", Ask: func(_ context.Context, version string, at int64) (filecopy.Answer, error) {
			a := filecopy.Answer{Version: versions[0], Size: int64(len(content)) - at, Sum: told}
			if version != "" && version != versions[0] && len(versions) == 1 {
				return a, filecopy.ErrChanged
			}
			if len(versions) > 1 {
				versions = versions[1:]
			}
			a.Body = io.NopCloser(strings.NewReader(content[at:min(at+6, int64(len(content)))]))
			return a, nil
		}}).Begin(t.Context())
		if err != nil {
			return "", err
		}
		b, err := io.ReadAll(r)
		return string(b), errors.Join(err, r.Close())
	}
	if got, err := read(sum, "1"); err != nil || got != content {
		t.Errorf("read %q, %v", got, err)
	}
	if _, err := read(filecopy.SumOf(7), "1"); !errors.Is(err, filecopy.ErrCorrupt) {
		t.Errorf("with another sum = %v", err)
	}
	for _, versions := range [][]string{{"1", "2"}, {"1", "2", "1"}} {
		if _, err := read(sum, versions...); !errors.Is(err, filecopy.ErrChanged) {
			t.Errorf("of versions %v = %v", versions, err)
		}
	}
	if _, err := read(sum, ""); err == nil {
		t.Error("a file without a version was read")
	}
}

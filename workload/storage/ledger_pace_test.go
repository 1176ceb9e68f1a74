package storage

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/local"
	"github.com/understudy-dr/understudy/filecopy/native"
)

// TestALedgerReadsWithinTheBandwidth compares a file of another version by its content, once where no limit holds and once where it would take
// longer than the context lasts.
func TestALedgerReadsWithinTheBandwidth(t *testing.T) {
	root, content := t.TempDir(), make([]byte, 1<<20)
	if err := os.WriteFile(filepath.Join(root, "f"), content, 0o644); err != nil {
		t.Fatal(err)
	}
	store, err := local.New(local.Config{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	view, err := store.Open(t.Context(), filecopy.Pin{})
	if err != nil {
		t.Fatal(err)
	}
	defer view.Close()
	e, err := view.Stat(t.Context(), "f")
	if err != nil {
		t.Fatal(err)
	}
	d := filecopy.Difference{Path: "f", Kind: filecopy.Altered, Fields: filecopy.FieldMode, Size: e.Size, Sum: filecopy.SumOf(0).Extend(content)}
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	free := looking{view, native.NewPace(filecopy.Limits{}, nil)}
	if how, err := free.change(ctx, e, d); err != nil || how != filecopy.Restyled {
		t.Errorf("without a limit: %q, %v", how, err)
	}
	held := looking{view, native.NewPace(filecopy.Limits{Bandwidth: []filecopy.Window{{BytesPerSecond: 1}}}, nil)}
	if how, err := held.change(ctx, e, d); err == nil || ctx.Err() != nil {
		t.Errorf("a megabyte at a byte a second was read at once: %q, %v", how, err)
	}
}

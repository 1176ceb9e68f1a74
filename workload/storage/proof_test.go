package storage

import (
	"strings"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
)

// TestWhatIsSaidOfReadingBack holds progress and warnings to what a mover tells.
func TestWhatIsSaidOfReadingBack(t *testing.T) {
	var told understudy.StepProgress
	j := &job{args: stepArgs{Tree: "/data"}, run: understudy.Run{Report: func(p understudy.StepProgress) { told = p }}}
	j.progress()(filecopy.Progress{Phase: filecopy.PhaseProve, Bytes: 4 << 20, TotalBytes: 4 << 20, ReadBack: 1 << 20, Rate: 1 << 20, Left: 3 * time.Second})
	if told.Text != "read back /data, 1 MiB/s, 3s left" || told.Done != 1<<20 || told.Total != 4<<20 || told.Unit != "bytes" {
		t.Errorf("told %+v", told)
	}
	j.progress()(filecopy.Progress{Phase: filecopy.PhasePublish, Published: 100, TotalEntries: 400, EntryRate: 50, Left: 6 * time.Second})
	if told.Text != "publish /data, 50 entries/s, 6s left" || told.Done != 100 || told.Total != 400 || told.Unit != "entries" {
		t.Errorf("told %+v", told)
	}
	j.progress()(filecopy.Progress{Phase: filecopy.PhaseStage, Bytes: 4 << 20, TotalBytes: 5 << 20, Rate: 1 << 20, EntryRate: 12.5, Left: time.Second})
	if told.Text != "stage /data, 1 MiB/s, 12.5 files/s, 1s left" {
		t.Errorf("told %+v", told)
	}
	j.progress()(filecopy.Progress{Phase: filecopy.PhasePlan, Listed: 100, Relisted: 40})
	if told.Text != "list again /data" || told.Done != 40 || told.Unit != "entries listed" {
		t.Errorf("told %+v", told)
	}
	if w := rotWarnings("/data", "west", filecopy.Set{ReadBack: 7}); len(w) != 0 {
		t.Errorf("warned %v of nothing", w)
	}
	w := rotWarnings("/data", "west", filecopy.Set{ReadBack: 7, Rotten: 2, Flaws: 3})
	if len(w) != 2 || !strings.Contains(w[0], "2 staged files") || !strings.Contains(w[1], "3 replicas at west") {
		t.Errorf("warned %v", w)
	}
}

package e2e_test

import (
	"context"
	"errors"
	"math/rand/v2"
	slash "path"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/understudy-dr/understudy/filecopy/filecopytest/scenery"
	"github.com/understudy-dr/understudy/lab/hdfs"
)

// killedStory is a tree whose runs are killed at moments that nobody chose, under the eyes of a reader who never pauses and of the
// NameNode's own record of every edit.
type killedStory struct {
	*grove
	tree   scenery.Tree
	users  hdfs.Users
	random *rand.Rand
	// versions are those that the west showed as sets, one after the other.
	versions []int
	// last is the edit of the west up to which they are counted.
	last int64
	// whole is how long an undisturbed run takes, from the order to its end.
	whole time.Duration
	// open is how many paths differed as a run was asked for.
	open int
	// died counts the kills by what the west showed then of the run's set.
	died map[string]int
}

// killedAnywhere kills serve while the source changes and runs are asked for again and again.
func killedAnywhere(t *testing.T, l *lake) {
	s := &killedStory{grove: l.plant(t, "wingtip", "/data/killed"), tree: scenery.Tree{Files: 40}, died: map[string]int{}}
	s.users = hdfs.Users{Client: s.judge, Access: as(l.east), Root: s.root}
	var kills int
	kills, s.random = scenery.Kills(t, 8)
	s.begin()
	before, since := s.list(l.west).Paths(), s.mark()
	s.last = since
	w := scenery.Look(1, s.tree.Paths(), s.read)
	defer w.Stop()
	s.measure(w)
	begun := time.Now()
	for version := undisturbed + 1; kills > 0; version++ {
		must(t, s.tree.Change(t.Context(), s.users, version))
		kills -= s.killedRun(kills)
		s.shows(version, w)
	}
	reads := w.Stop()
	s.same()
	course := scenery.Course{Scenes: s.tree.Scenes(s.versions), Sets: true, Whole: true}
	for _, f := range course.Faults(w) {
		t.Errorf("a reader saw what it must not: %s", f)
	}
	unexplained, edits := s.unexplained(before, since, course)
	if len(unexplained) > 0 {
		t.Errorf("the NameNode saw what no set accounts for, %d times:\n%s", len(unexplained), some(unexplained))
	}
	t.Logf("kills %v in %v, undisturbed a run takes %v; %d sets, %d reads, %d edits",
		s.died, time.Since(begun).Round(time.Second), s.whole, len(s.versions), reads, edits)
	if !t.Failed() {
		s.planted(course)
	}
}

// begin protects the first version.
func (s *killedStory) begin() {
	must(s.t, s.tree.Change(s.t.Context(), s.users, 0))
	s.p = s.serve(s.t, "")
	s.p.apply(treeSite("east", s.lake.east, "") + treeSite("west", s.lake.west, "") + s.treePlan("standby-secondary", "every 4h"))
	s.tell(s.p.report("protect", s.plan))
	s.settled()
	s.same()
	s.versions = []int{0}
}

// undisturbed runs are measured.
const undisturbed = 3

// measure takes the time of runs that nobody kills, from the order to the end; the shortest counts, since the first find caches cold.
func (s *killedStory) measure(w *scenery.Watch) {
	s.t.Helper()
	for version := 1; version <= undisturbed; version++ {
		must(s.t, s.tree.Change(s.t.Context(), s.users, version))
		begun := time.Now()
		s.p.report("replicate", s.plan)
		if took := time.Since(begun); version == 1 || took < s.whole {
			s.whole = took
		}
		s.shows(version, w)
	}
}

// killedRun asks for a run and kills serve at a random moment of its length, and while it goes on with what it was in, half of the
// times once more, and so on. Where the order was lost with it there is no run. It gives how often it killed.
func (s *killedStory) killedRun(most int) (kills int) {
	s.t.Helper()
	s.open = s.differ()
	order := s.p.command(s.t.Context(), "replicate", s.plan, "--wait=false")
	must(s.t, order.Start())
	for again := true; again; again = kills < most && s.random.IntN(2) == 0 {
		if kills > 0 {
			s.p.start()
			if s.random.IntN(2) == 0 {
				s.p.ready()
			}
		}
		select {
		case <-time.After(time.Duration(s.random.Int64N(int64(s.whole)))):
		case <-s.t.Context().Done():
			s.t.Fatal(s.t.Context().Err())
		}
		s.p.kill()
		kills++
		s.died[s.amid()]++
	}
	// Whether it was taken, the control plane knows.
	_ = order.Wait()
	s.p.revive()
	return kills
}

// differ counts the paths that differ between both sides; what differs in its bytes does so in its times.
func (s *killedStory) differ() int {
	s.t.Helper()
	return len(s.list(s.lake.east).Diff(s.list(s.lake.west), 10000))
}

// amid says what the west shows of a set while nothing runs.
func (s *killedStory) amid() string {
	s.t.Helper()
	all, err := s.below(s.t.Context(), s.lake.west, s.ours())
	must(s.t, err)
	switch left := s.differ(); {
	case left == 0:
		return "all shown"
	case left < s.open:
		return "a part shown"
	case slices.ContainsFunc(all, func(p string) bool { return strings.Contains(p, "/staging/") }):
		return "copying"
	}
	return "nothing done"
}

// ours is the folder of the link.
func (s *killedStory) ours() string {
	return slash.Dir(s.root) + "/." + slash.Base(s.root) + ".understudy"
}

// shows waits for the end of the run that was killed, if there was any, and asks for one more: then the west shows the version.
func (s *killedStory) shows(version int, w *scenery.Watch) {
	s.t.Helper()
	s.settled()
	s.p.report("replicate", s.plan)
	if n := s.differ(); n > 0 {
		s.t.Fatalf("version %d: %d paths differ after a run", version, n)
	}
	// Each run that was taken shows a set, and all of them since the source changed are of this version.
	events, err := s.judge.Events(s.t.Context(), s.lake.west.Access(), s.last)
	must(s.t, err)
	s.last = s.mark()
	for _, e := range events {
		if s.publishes(e) {
			s.versions = append(s.versions, version)
		}
	}
	w.Shown(len(s.versions) - 1)
}

// mark is where the west's edits are.
func (s *killedStory) mark() int64 {
	s.t.Helper()
	return answer(s.judge.Mark(s.t.Context(), s.lake.west.Access()))(s.t)
}

// publishes says whether an edit is the last of those that show a set: the list of it is in place.
func (s *killedStory) publishes(e hdfs.Event) bool {
	return e.Type == "rename" && slash.Base(e.To) == "head.json" && strings.HasPrefix(e.To, s.ours()+"/")
}

// read reads a file of the west as others do. One that is replaced meanwhile loses its blocks, not its name: it is opened again.
func (s *killedStory) read(ctx context.Context, name string) (string, error) {
	for try := 1; ; try++ {
		b, err := s.judge.Read(ctx, s.lake.west.Access(), s.root+"/"+name)
		var e *hdfs.ClientError
		if errors.As(err, &e) && e.Class == "FileNotFoundException" {
			return "", scenery.ErrAbsent
		}
		if err == nil || ctx.Err() != nil || try == 3 {
			return string(b), err
		}
	}
}

// unexplained gives what the west's NameNode wrote down since a mark that a course does not account for, and of how many edits.
func (s *killedStory) unexplained(before []string, since int64, course scenery.Course) (out []string, edits int) {
	s.t.Helper()
	events, err := s.judge.Events(s.t.Context(), s.lake.west.Access(), since)
	must(s.t, err)
	return hdfs.Unexplained(before, events, s.root, course.Paths(), s.publishes), len(events)
}

// planted is the control of both witnesses: one file is away for a moment, and one is torn.
func (s *killedStory) planted(course scenery.Course) {
	t, ctx := s.t, s.t.Context()
	course.Scenes = course.Scenes[len(course.Scenes)-1:]
	before, since := s.list(s.lake.west).Paths(), s.mark()
	away, torn, half := s.tree.Path(1), s.tree.Path(2), "half of it"
	var missed, tore atomic.Bool
	w := scenery.Look(1, []string{away, torn}, func(ctx context.Context, name string) (string, error) {
		got, err := s.read(ctx, name)
		missed.CompareAndSwap(false, errors.Is(err, scenery.ErrAbsent))
		tore.CompareAndSwap(false, got == half)
		return got, err
	})
	defer w.Stop()
	met := func(what string, by *atomic.Bool) {
		eventually(t, patience, "a reader sees a file that is "+what, func() error {
			if !by.Load() {
				return errors.New("not yet")
			}
			return nil
		})
	}
	west := hdfs.Users{Client: s.judge, Access: s.lake.west.Access(), Root: s.root}
	must(t, west.Move(ctx, away, away+".away"))
	met("away", &missed)
	must(t, west.Move(ctx, away+".away", away))
	must(t, west.Put(ctx, map[string]string{torn: half}))
	met("torn", &tore)
	w.Stop()
	faults := strings.Join(course.Faults(w), "\n")
	if !strings.Contains(faults, away+" is not there") || !strings.Contains(faults, torn+" is none of its contents") {
		t.Errorf("%s was away and %s torn, and of a reader it is said: %q", away, torn, faults)
	}
	unexplained, _ := s.unexplained(before, since, course)
	if !slices.ContainsFunc(unexplained, func(line string) bool { return strings.Contains(line, "a gap: "+s.root+"/"+away+" ") }) {
		t.Errorf("%s was away, and of the NameNode's edits it is said: %q", away, unexplained)
	}
}

package filecopytest

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/understudy-dr/understudy/filecopy"
)

// anyRounds is how many states testAnyChanges makes of a store whose calls cost nothing.
const anyRounds = 150

// testAnyChanges makes changes that nobody chose within a few names, so that they meet: entries come, go, change, become another
// kind and are renamed to where others were. Each run is crashed at calls that nobody chose, up to three times, taken up by the same
// member or another one, and must come to what the source holds. What readers see is held to the contract after each crash.
func testAnyChanges(b *bench) {
	if !b.source.Describe().Capabilities.RenameOver || !b.source.Describe().Capabilities.Directories {
		return
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(b.Name()))
	chance := rand.New(rand.NewPCG(h.Sum64(), 1))
	b.populate()
	b.run()
	for round := range max(anyRounds/max(b.rig.Stride, 1), 5) {
		old := b.tree(b.target)
		var done []string
		for range 1 + chance.IntN(6) {
			done = append(done, b.anyChange(chance, round))
		}
		want := b.tree(b.source)
		b.job.Accept.Deletes = int64(len(old) + len(want))
		// A renamed directory comes as it was, and what changed in it comes after.
		moved := slices.ContainsFunc(done, func(d string) bool { return strings.HasPrefix(d, "move") })
		b.crashes(chance, old, want, moved)
		b.run()
		b.same()
		b.clean()
		if b.Failed() {
			b.Fatalf("round %d: %q", round, done)
		}
	}
	b.agrees()
}

// crashes cuts off the run of one set, some times.
func (b *bench) crashes(chance *rand.Rand, old, want map[filecopy.Path]seen, moved bool) {
	b.Helper()
	for range chance.IntN(4) {
		f := &fuse{at: 1 + chance.IntN(40), after: chance.IntN(2) == 0}
		job := b.job
		job.Target = fragile(b.target, f)
		_, err := b.rig.Mover(b.dir).Run(b.ctx, job, nil)
		if err != nil && !errors.Is(err, errCrash) {
			b.Errorf("crash at call %d: %v", f.at, err)
			return
		}
		if moved {
			b.eachFile(f.at, old, want)
		} else {
			b.mixed(f.at, old, want)
		}
		if chance.IntN(3) == 0 {
			b.dir = b.TempDir()
		}
	}
}

// anyChange makes one change of the source, and tells it.
func (b *bench) anyChange(chance *rand.Rand, round int) string {
	b.Helper()
	now := b.tree(b.source)
	p := anyPath(chance)
	at, there := now[p]
	above, holds := now[p.Dir()]
	switch chance.IntN(5) {
	case 0:
		if there {
			b.must(b.source.Retire(b.ctx, p, fmt.Sprintf("20200101T000000Z-r%d-%d", round, chance.Uint32())))
			return "retire " + string(p)
		}
	case 1:
		if there && at.entry.Kind == filecopy.File {
			b.must(b.source.SetAttributes(b.ctx, p, filecopy.Attributes{Mode: 0o600 + uint32(chance.IntN(8))}, filecopy.FieldMode))
			return "mode of " + string(p)
		}
	case 2, 3:
		to := anyPath(chance)
		_, taken := now[to]
		into, ok := now[to.Dir()]
		if there && !taken && ok && into.entry.Kind == filecopy.Directory && !to.Below(p) {
			b.must(b.source.Move(b.ctx, p, to))
			if at.entry.Kind == filecopy.File && chance.IntN(2) == 0 {
				b.put(p, fmt.Sprintf("round %d, begun anew, %d", round, chance.Uint32()))
				return fmt.Sprintf("move %s to %s and begin anew", p, to)
			}
			return fmt.Sprintf("move %s to %s", p, to)
		}
	}
	if !there && holds && above.entry.Kind == filecopy.Directory && chance.IntN(4) == 0 {
		b.must(b.source.MakeDirectory(b.ctx, filecopy.Entry{Path: p, Kind: filecopy.Directory, Attributes: b.own(plain(0o755))}))
		return "directory " + string(p)
	}
	for q := p.Dir(); q != ""; q = q.Dir() {
		if s, ok := now[q]; ok && s.entry.Kind != filecopy.Directory {
			return "nothing"
		}
	}
	if there && at.entry.Kind == filecopy.Directory {
		return "nothing"
	}
	b.put(p, fmt.Sprintf("round %d of %s, %d", round, p, chance.Uint32()))
	return "put " + string(p)
}

// anyPath gives a path of a few, up to three deep.
func anyPath(chance *rand.Rand) filecopy.Path {
	p := filecopy.Path("")
	for range 1 + chance.IntN(3) {
		p = p.Join([]string{"a", "d", "e"}[chance.IntN(3)])
	}
	return p
}

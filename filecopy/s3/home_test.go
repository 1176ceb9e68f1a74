package s3_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/hdfs"
	"github.com/understudy-dr/understudy/filecopy/native"
	labhdfs "github.com/understudy-dr/understudy/lab/hdfs"
	wire "github.com/understudy-dr/understudy/wire/hdfs"
)

// journey is a tree of HDFS on its way to a bucket and home again, with Hadoop's own client as the judge of both ends.
type journey struct {
	*testing.T
	judge  *labhdfs.Client
	access labhdfs.Access
	out    filecopy.Job
	home   filecopy.Job
	movers [2]filecopy.Mover
}

const away, back = "/away/tree", "/back/tree"

func newJourney(t *testing.T, bucket filecopy.Target) *journey {
	t.Helper()
	c := labhdfs.Boot(t, labhdfs.Options{Name: "east"})
	client, err := wire.Dial(t.Context(), wire.Options{NameNodes: c.Addrs(), User: labhdfs.Superuser})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	j := &journey{T: t, judge: labhdfs.OpenClient(t), access: c.Access(), movers: [2]filecopy.Mover{native.New(t.TempDir()), native.New(t.TempDir())}}
	guard := filecopy.Guard{MaxDeletes: 100, MaxShare: 1}
	j.out = filecopy.Job{Name: "out", Source: tree(t, client, away, true), Target: bucket, Guard: guard}
	j.home = filecopy.Job{Name: "home", Source: bucket, Target: tree(t, client, back, false), Origin: "out", Guard: guard}
	return j
}

func tree(t *testing.T, client *wire.Client, root string, snapshots bool) *hdfs.Store {
	t.Helper()
	if err := client.Mkdirs(t.Context(), root, 0o755); err != nil {
		t.Fatal(err)
	}
	if snapshots {
		if err := client.AllowSnapshots(t.Context(), root); err != nil {
			t.Fatal(err)
		}
	}
	s, err := hdfs.New(hdfs.Config{Client: client, Namespace: "east", Root: root, Snapshots: snapshots})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (j *journey) must(err error) {
	j.Helper()
	if err != nil {
		j.Fatal(err)
	}
}

// there sends the tree out, and brings it home.
func (j *journey) there() {
	j.Helper()
	for i, job := range []filecopy.Job{j.out, j.home} {
		_, err := j.movers[i].Run(j.Context(), job, nil)
		j.must(err)
	}
}

// alike gives what differs, entry by entry with all attributes. The roots are left out: snapshots move the time of the first.
func (j *journey) alike() []string {
	j.Helper()
	var both []labhdfs.Tree
	for _, root := range []string{away, back} {
		t, err := j.judge.Dump(j.Context(), j.access, root)
		j.must(err)
		t.Entries = slices.DeleteFunc(t.Entries, func(e labhdfs.Entry) bool { return e.Path == root })
		both = append(both, t)
	}
	return both[0].Diff(both[1], 10)
}

// fill makes a tree with all that HDFS knows about files and directories.
func (j *journey) fill() {
	j.Helper()
	files := []labhdfs.File{{Path: away + "/zero"}, {Path: away + "/big", Size: 2*partSize + 12345, Seed: 1, Replication: 2}}
	for i := range 12 {
		files = append(files, labhdfs.File{Path: fmt.Sprintf("%s/d%d/f%d", away, i%3, i), Size: int64(i) * 1000, Seed: int64(i)})
	}
	j.must(j.judge.Put(j.Context(), j.access, files...))
	j.must(j.judge.MkdirAll(j.Context(), j.access, away+"/empty/below"))
	owner, group, policy := "ada", "etl", "COLD"
	fileMode, dirMode := 0o640, 0o750
	acl := "user::rw-,user:bob:r--,group::r--,mask::r--,other::---"
	inherited := "user::rwx,group::r-x,other::---,default:user::rwx,default:user:bob:r-x,default:group::r-x,default:mask::r-x,default:other::---"
	j.must(j.judge.Set(j.Context(), j.access, away+"/big", labhdfs.Attributes{
		Owner: &owner, Group: &group, Mode: &fileMode, Policy: &policy, ACL: &acl, XAttrs: map[string][]byte{"user.origin": []byte("east\x00\xff")},
	}))
	j.must(j.judge.Set(j.Context(), j.access, away+"/d1", labhdfs.Attributes{Owner: &owner, Group: &group, ACL: &inherited}))
	j.must(j.judge.Set(j.Context(), j.access, away+"/empty", labhdfs.Attributes{Owner: &owner, Mode: &dirMode}))
}

// TestHomeFromTheBucket sends a tree to S3 and home, and finds it as it was: bytes, owners, groups, modes, times, lists, extended attributes,
// policies, and empty directories; then once more after changes on both sides.
func TestHomeFromTheBucket(t *testing.T) {
	site := boot(t)
	bucket := site.tree(t)
	j := newJourney(t, bucket)
	j.fill()
	j.there()
	for _, line := range j.alike() {
		t.Error(line)
	}
	mode := 0o600
	j.must(j.judge.Set(t.Context(), j.access, away+"/zero", labhdfs.Attributes{Mode: &mode}))
	j.must(j.judge.Put(t.Context(), j.access, labhdfs.File{Path: away + "/d1/new", Size: 99, Seed: 9}))
	j.must(j.judge.Remove(t.Context(), j.access, away+"/d2/f2"))
	if len(j.alike()) == 0 {
		t.Fatal("the judge sees no difference where there is one")
	}
	j.there()
	for _, line := range j.alike() {
		t.Error(line)
	}
	plant(t, bucket, "made/away", "from home")
	_, err := j.movers[1].Run(t.Context(), j.home, nil)
	j.must(err)
	seen, err := j.judge.Dump(t.Context(), j.access, back)
	j.must(err)
	if e, ok := seen.Find(back + "/made/away"); !ok || e.Length != 9 || e.Mode != 0o644 {
		t.Errorf("made away = %v, %t", e, ok)
	}
}

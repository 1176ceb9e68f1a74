package hdfs_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azdatalake"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azdatalake/filesystem"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/adls"
	"github.com/understudy-dr/understudy/filecopy/blob"
	"github.com/understudy-dr/understudy/filecopy/native"
	"github.com/understudy-dr/understudy/filecopy/s3"
	labadls "github.com/understudy-dr/understudy/lab/adls"
	"github.com/understudy-dr/understudy/lab/azurite"
	labhdfs "github.com/understudy-dr/understudy/lab/hdfs"
	"github.com/understudy-dr/understudy/lab/versitygw"
)

// journey is a tree of HDFS on its way to a store in the cloud and home again, with Hadoop's own client as the judge of both ends.
type journey struct {
	*testing.T
	judge      *labhdfs.Client
	access     labhdfs.Access
	away, back string
	out, home  filecopy.Job
	movers     [2]filecopy.Mover
}

func newJourney(t *testing.T, s *site, judge *labhdfs.Client, objects filecopy.Target) *journey {
	t.Helper()
	from, to := s.tree(t, true), s.tree(t, false)
	j := &journey{T: t, judge: judge, access: s.cluster.Access(), movers: [2]filecopy.Mover{native.New(t.TempDir()), native.New(t.TempDir())}}
	j.away, j.back = strings.TrimPrefix(from.Describe().Name, s.name), strings.TrimPrefix(to.Describe().Name, s.name)
	guard := filecopy.Guard{MaxDeletes: 100, MaxShare: 1}
	j.out = filecopy.Job{Name: "out", Source: from, Target: objects, Guard: guard}
	j.home = filecopy.Job{Name: "home", Source: objects, Target: to, Origin: "out", Guard: guard}
	return j
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
	for _, root := range []string{j.away, j.back} {
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
	files := []labhdfs.File{{Path: j.away + "/zero"}, {Path: j.away + "/big", Size: 10<<20 + 12345, Seed: 1, Replication: 2}}
	for i := range 12 {
		files = append(files, labhdfs.File{Path: fmt.Sprintf("%s/d%d/f%d", j.away, i%3, i), Size: int64(i) * 1000, Seed: int64(i)})
	}
	j.must(j.judge.Put(j.Context(), j.access, files...))
	j.must(j.judge.MkdirAll(j.Context(), j.access, j.away+"/empty/below"))
	owner, group, policy := "ada", "etl", "COLD"
	fileMode, dirMode := 0o640, 0o750
	acl := "user::rw-,user:bob:r--,group::r--,mask::r--,other::---"
	inherited := "user::rwx,group::r-x,other::---,default:user::rwx,default:user:bob:r-x,default:group::r-x,default:mask::r-x,default:other::---"
	j.must(j.judge.Set(j.Context(), j.access, j.away+"/big", labhdfs.Attributes{
		Owner: &owner, Group: &group, Mode: &fileMode, Policy: &policy, ACL: &acl, XAttrs: map[string][]byte{"user.origin": []byte("east\x00\xff")},
	}))
	j.must(j.judge.Set(j.Context(), j.access, j.away+"/d1", labhdfs.Attributes{Owner: &owner, Group: &group, ACL: &inherited}))
	j.must(j.judge.Set(j.Context(), j.access, j.away+"/empty", labhdfs.Attributes{Owner: &owner, Mode: &dirMode}))
}

// bucket makes a tree in S3, on a real server.
func bucket(t *testing.T) filecopy.Target {
	t.Helper()
	server := versitygw.Boot(t)
	err := server.MakeBucket("lake")
	var s *s3.Store
	if err == nil {
		keys := s3.Keys{Access: versitygw.AccessKey, Secret: versitygw.SecretKey}
		s, err = s3.New(s3.Config{
			Endpoint: s3.Endpoint{URL: server.Endpoint(), Region: versitygw.Region, Keys: func(context.Context) (s3.Keys, error) { return keys, nil }},
			Bucket:   "lake", Root: "data/tree", PartSize: 5 << 20,
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// blobs makes a tree in Blob Storage, on Microsoft's emulator.
func blobs(t *testing.T) filecopy.Target {
	t.Helper()
	server := azurite.Boot(t)
	key, err := container.NewSharedKeyCredential(azurite.Account, azurite.Key())
	if err != nil {
		t.Fatal(err)
	}
	client, err := container.NewClientWithSharedKeyCredential(server.Endpoint()+"/lake", key, nil)
	if err == nil {
		_, err = client.Create(t.Context(), nil)
	}
	var s *blob.Store
	if err == nil {
		keys := blob.Keys{Account: azurite.Account, Key: azurite.Key()}
		s, err = blob.New(blob.Config{
			URL: server.Endpoint(), Keys: func(context.Context) (blob.Keys, error) { return keys, nil },
			Container: "lake", Root: "data/tree", PartSize: 4 << 20,
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// directories makes a tree in ADLS, on our own server.
func directories(t *testing.T) filecopy.Target {
	t.Helper()
	server := labadls.Host(t, labadls.Config{})
	key, err := azdatalake.NewSharedKeyCredential(labadls.AccountName, labadls.Key())
	if err != nil {
		t.Fatal(err)
	}
	client, err := filesystem.NewClientWithSharedKeyCredential(server.Endpoint()+"/lake", key, nil)
	if err == nil {
		_, err = client.Create(t.Context(), nil)
	}
	var s *adls.Store
	if err == nil {
		keys := adls.Keys{Account: labadls.AccountName, Key: labadls.Key()}
		s, err = adls.New(adls.Config{
			URL: server.Endpoint(), Keys: func(context.Context) (adls.Keys, error) { return keys, nil },
			FileSystem: "lake", Root: "data/tree", PartSize: 4 << 20,
		})
	}
	if err == nil {
		err = s.MakeDirectory(t.Context(), filecopy.Entry{Kind: filecopy.Directory, Attributes: filecopy.Attributes{Mode: 0o755}})
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestHomeFromClouds sends a tree to S3, Blob Storage and ADLS, and home, and finds it as it was: bytes, owners, groups, modes, times, lists,
// extended attributes, policies, and empty directories; then once more after changes at both ends.
func TestHomeFromClouds(t *testing.T) {
	s, judge := sites(t, "east")[0], judge(t)
	for name, objects := range map[string]func(*testing.T) filecopy.Target{"S3": bucket, "Blob": blobs, "ADLS": directories} {
		t.Run(name, func(t *testing.T) {
			j := newJourney(t, s, judge, objects(t))
			j.fill()
			j.there()
			for _, line := range j.alike() {
				t.Error(line)
			}
			j.changes()
			j.madeAway()
		})
	}
}

// changes changes the tree, and sends it again.
func (j *journey) changes() {
	j.Helper()
	mode := 0o600
	j.must(j.judge.Set(j.Context(), j.access, j.away+"/zero", labhdfs.Attributes{Mode: &mode}))
	j.must(j.judge.Put(j.Context(), j.access, labhdfs.File{Path: j.away + "/d1/new", Size: 99, Seed: 9}))
	j.must(j.judge.Remove(j.Context(), j.access, j.away+"/d2/f2"))
	if len(j.alike()) == 0 {
		j.Fatal("the judge sees no difference where there is one")
	}
	j.there()
	for _, line := range j.alike() {
		j.Error(line)
	}
}

// madeAway makes a file in the cloud, where there are directories in one of its own, and brings it home.
func (j *journey) madeAway() {
	j.Helper()
	e := filecopy.Entry{Path: "made/away", Kind: filecopy.File, Size: 9, Attributes: filecopy.Attributes{Mode: 0o644}}
	j.must(j.out.Target.MakeDirectory(j.Context(), filecopy.Entry{Path: "made", Kind: filecopy.Directory, Attributes: filecopy.Attributes{Mode: 0o755}}))
	h, err := j.out.Target.Begin(j.Context(), "other", e)
	j.must(err)
	j.must(j.out.Target.Write(j.Context(), h, filecopy.Part{Size: e.Size}, strings.NewReader("from away")))
	sealed, err := j.out.Target.Seal(j.Context(), h, e, filecopy.SumOf(0).Extend([]byte("from away")))
	j.must(err)
	_, err = j.out.Target.Publish(j.Context(), sealed, e)
	j.must(err)
	_, err = j.movers[1].Run(j.Context(), j.home, nil)
	j.must(err)
	seen, err := j.judge.Dump(j.Context(), j.access, j.back)
	j.must(err)
	if e, ok := seen.Find(j.back + "/made/away"); !ok || e.Length != 9 || e.Mode != 0o644 {
		j.Errorf("made away = %v, %t", e, ok)
	}
}

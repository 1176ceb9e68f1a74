package storage_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/control/controltest"
	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/filecopytest"
	"github.com/understudy-dr/understudy/filecopy/native"
	labhdfs "github.com/understudy-dr/understudy/lab/hdfs"
	wire "github.com/understudy-dr/understudy/wire/hdfs"
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/storage"
	"github.com/understudy-dr/understudy/workload/storage/internal/place"
)

// holder is two clusters without Kerberos under a control plane, and a directory of the tree that somebody takes snapshots of at west.
type holder struct {
	*testing.T
	judge *labhdfs.Client
	all   []*labhdfs.Cluster
	plane *controltest.Plane
	held  string
}

func newHolder(t *testing.T) *holder {
	h := &holder{T: t, judge: labhdfs.OpenClient(t), held: root + "/d"}
	h.all = labhdfs.BootAll(t, labhdfs.Options{Name: "east", DataNodes: 1}, labhdfs.Options{Name: "west", DataNodes: 1})
	spec := workload.Spec{
		Plan: "contoso", Name: "curated", Kind: storage.Name, Architecture: understudy.StandbySecondary, Engine: understudy.Native,
		Home: east, Sites: []understudy.Site{east, west}, RPO: 5 * time.Hour, Clusters: map[understudy.Site]any{},
		Config: &storage.Config{Trees: []storage.Tree{{Path: root}}, Guard: storage.Guard{Deletes: 1000, Percent: 100, Keep: time.Hour}},
	}
	for i, s := range spec.Sites {
		spec.Clusters[s] = &storage.HDFS{Namenodes: h.all[i].Addrs(), User: labhdfs.Superuser}
	}
	every, err := workload.ParseSchedule("every 4h")
	must(t, err)
	h.plane = controltest.Start(t, controltest.Setup{
		Registry: workload.NewRegistry(storage.Kind()), DataDir: t.TempDir(),
		Plan: workload.Plan{Name: "contoso", Home: east, Sites: spec.Sites, Workloads: []workload.Planned{{Spec: spec, OnFailure: understudy.Stop, Schedule: every}}},
	})
	h.plane.Apply()
	return h
}

func (h *holder) at(i int) labhdfs.Access { return h.all[i].As(labhdfs.Superuser, "") }

func (h *holder) puts(path string) {
	h.Helper()
	must(h.T, h.judge.Put(h.Context(), h.at(0), labhdfs.File{Path: root + path, Data: []byte(path)}))
}

func (h *holder) shows(path string) bool {
	h.Helper()
	_, err := h.judge.Read(h.Context(), h.at(1), root+path)
	if e := (*labhdfs.ClientError)(nil); err != nil && (!errors.As(err, &e) || e.Class != "FileNotFoundException") {
		h.Fatal(err)
	}
	return err == nil
}

func (h *holder) hold() error {
	return errors.Join(h.judge.AllowSnapshots(h.Context(), h.at(1), h.held), h.judge.Snapshot(h.Context(), h.at(1), h.held, "theirs"))
}

// free does what the error of an operation that stopped says, and wants it to say so.
func (h *holder) free(op control.Operation, at understudy.StageName) {
	h.Helper()
	h.Logf("%s is %s at %s: %+v", op.Verb, op.State, op.Stage, op.Error)
	if op.Stage != at || op.Error == nil || op.Error.Code != "US748" || !strings.Contains(op.Error.Fix, "-deleteSnapshot '"+h.held+"' NAME") {
		h.Fatalf("at %s it does not say what to do: %+v", op.Stage, op.Error)
	}
	must(h.T, h.judge.RemoveSnapshot(h.Context(), h.at(1), h.held, "theirs"))
}

// showsInPart shows the set that is ready, and takes the snapshot in the midst of that.
func (h *holder) showsInPart() error {
	h.Helper()
	site := place.HDFS(place.HDFSConfig{Login: place.Login{User: labhdfs.Superuser}, Options: wire.Options{NameNodes: h.all[1].Addrs(), User: labhdfs.Superuser}})
	defer func() { must(h.T, site.Close()) }()
	store, err := site.Tree(root).Store(h.Context(), "e1", false)
	must(h.T, err)
	var once sync.Once
	_, err = native.New(h.TempDir()).Finish(h.Context(), filecopy.Job{Name: "contoso.curated.east.west", LeaveRoot: true, Target: filecopytest.Telling(store, func(call string) {
		if call != "publish" {
			return
		}
		once.Do(func() {
			if err := h.hold(); err != nil {
				h.Error(err)
			}
		})
	})}, nil)
	return err
}

// TestAHeldDirectoryStopsAndGoesOn has somebody take a snapshot of a directory of the secondary that the primary then deletes. The run stops before anything
// is shown, and goes on once that is gone. Another set is shown in part when the snapshot is taken, and then the primary is lost: the failover stops with the
// same error, and its retry goes through once the snapshot is gone.
func TestAHeldDirectoryStopsAndGoesOn(t *testing.T) {
	h := newHolder(t)
	h.puts("/d/f")
	h.puts("/e/f")
	h.plane.Do(control.StartRequest{Verb: understudy.Protect}, control.Committed)
	lose := func(with string) control.Operation {
		must(t, h.hold())
		h.puts(with)
		must(t, h.judge.Remove(t.Context(), h.at(0), h.held))
		op := h.plane.Do(control.StartRequest{Verb: understudy.Replicate}, control.PausedByStep)
		if h.shows(with) {
			t.Error("readers see something of the set")
		}
		h.free(op, understudy.StagePublish)
		return op
	}
	op := lose("/one")
	if op = h.plane.Act(h.plane.Retry, control.ActRequest{Operation: op.ID}); op.State != control.Committed || !h.shows("/one") || h.shows("/d/f") {
		t.Fatalf("after the retry the run is %s at %s: %+v", op.State, op.Stage, op.Error)
	}
	h.puts("/d/f")
	h.plane.Do(control.StartRequest{Verb: understudy.Replicate}, control.Committed)
	lose("/two")
	if err := h.showsInPart(); understudy.AsError(err).Code != "US748" || !h.shows("/two") || !h.shows("/d/f") {
		t.Fatalf("the set is not shown in part: %v", err)
	}
	must(t, h.all[0].Kill())
	op = h.plane.Do(control.StartRequest{Verb: understudy.Failover, AcceptFence: []understudy.Site{east}}, control.PausedByStep)
	h.free(op, understudy.StageSalvage)
	if op = h.plane.Act(h.plane.Retry, control.ActRequest{Operation: op.ID}); op.State != control.CommitWindow {
		t.Fatalf("after the retry the failover is %s at %s: %+v", op.State, op.Stage, op.Error)
	}
	if !h.shows("/two") || !h.shows("/e/f") || h.shows("/d/f") {
		t.Error("the set is not shown")
	}
}

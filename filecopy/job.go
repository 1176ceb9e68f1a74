package filecopy

import (
	"context"
	"time"
)

// Mover brings a target to the state of a source. One job of a name runs at most once at a time: the caller's lease sees to it, and
// a lock file in the data directory of a member. All calls return only when nothing of them is in flight.
type Mover interface {
	// Run makes one set: it resumes what an earlier call of the same job began, or begins anew, and returns the published set.
	// report is called from one goroutine at a time, at most some times a second. Errors: ErrGuard, ErrCorrupt, ErrChanged
	// (a file that changes faster than it can be read), and those of the stores.
	Run(ctx context.Context, j Job, report func(Progress)) (Set, error)
	// Stage makes a set and publishes nothing of it: it stops when the run is planned (PhasePlan: the source is captured) or when the
	// set is ready (PhaseReady). It resumes as Run does, but only what was begun under the same Job.Run; a set of that run that is ready or
	// published already is given as it is. ErrGuard while a set of another run is ready: Finish or Drop it first.
	Stage(ctx context.Context, j Job, to Phase, report func(Progress)) (Set, error)
	// Standing reads at the target alone which set is published, and whether one is ready or half shown.
	Standing(ctx context.Context, j Job) (Standing, error)
	// Finish rolls the ready set forward, from the target alone; ErrNothingReady when there is none. A failover calls it after Standing.
	Finish(ctx context.Context, j Job, report func(Progress)) (Set, error)
	// Drop gives up what is staged but not ready, and a ready set of which nothing is shown yet; ErrGuard when it is half shown. With a
	// source it also removes the job's snapshots there but the one of the published set.
	Drop(ctx context.Context, j Job) error
	// Compare holds the target's tree against the published manifest, by version and attributes, or also by reading every byte when
	// deep. It needs the target alone. found is called for each difference, in the order of paths. When the job has published nothing and
	// names an Origin, the target is the tree from which that job read: it is held against the origin's manifest, which is kept at the source.
	Compare(ctx context.Context, j Job, deep bool, found func(Difference) error) (Comparison, error)
}

// Job says what is copied, and how.
type Job struct {
	// Name is the link's: ASCII letters, digits, '.', '_' and '-'. What the job keeps at the target lies under it.
	Name string
	// Source may be nil for Standing, Finish, Drop and Compare.
	Source Store
	Target Target
	// Run names the run, such as the operation that wants it: letters, digits, '.', '_' and '-'. It is kept with the set, and with a
	// snapshot's name, and nothing that was begun under another name is resumed. Empty resumes whatever was begun. Sealed files of the same
	// version are taken over whatever the name.
	Run string
	// Origin, when the source was the target of an earlier job, is that job's name: what the source could not hold is restored from
	// the manifest kept there. The first set also takes from it what both trees hold alike, so that only what changed since is copied.
	Origin string
	// LeaveRoot leaves the attributes of the root itself alone at the target, where somebody else closes and opens the tree by them.
	LeaveRoot bool
	// Relist reads the whole source although a diff could be had: it finds changes that a diff does not show (Capabilities.DiffMisses).
	Relist bool
	// Repair also lists the target, and copies, restores or retires what differs from the manifest: drift.
	Repair bool
	// Accept lets this one run pass a guard that refused; it names what was refused.
	Accept     Acceptance
	Guard      Guard
	Limits     Limits
	Principals Principals
	// ReadBack has every staged file read back at the target once all of them are there, right before the set is ready, and its CRC32C
	// compared with what was read at the source. A file that differs is staged anew, once. A target that is
	// Legible stages so that it can. Without it the store's own proof is taken (Capabilities.Proof).
	ReadBack bool
	// Carrier brings the bytes of large sets into the target, which is a Dock then; nil leaves all of it to the mover. A set that was begun
	// with a carrier is finished or dropped with one of the same kind.
	Carrier Carrier
	// Clock is the time of day; time.Now when nil.
	Clock func() time.Time
}

// Guard bounds what one run may delete. There are no defaults: a job with the zero guard deletes nothing, and refuses a set that needs deletes.
type Guard struct {
	// MaxDeletes is the highest number of entries, MaxShare the highest share (0 to 1) of the published set's.
	MaxDeletes int64
	MaxShare   float64
	// Retention is how long a quarantine is kept; zero keeps it for good.
	Retention time.Duration
}

// Acceptance is a person's word for one run.
type Acceptance struct {
	// Deletes is the number of deletes that the person saw and accepts; a run that needs more is refused all the same.
	Deletes int64
	// Replaced accepts that the root of the source is another one than before, under its new identity.
	Replaced string
	// By names the person.
	By string
}

// Unaccepted is what a person would have to accept for a run that a guard refused. It is found by errors.As, and is ErrGuard.
type Unaccepted struct {
	// Deletes is the number that the run needs, Replaced the identity of the source that it met; one of them is set.
	Deletes  int64
	Replaced string
}

// Error says that nobody has accepted it.
func (u *Unaccepted) Error() string { return ErrGuard.Error() }

// Unwrap gives ErrGuard.
func (u *Unaccepted) Unwrap() error { return ErrGuard }

// Limits bound one job.
type Limits struct {
	// Bandwidth in bytes per second at times of day; the first window that covers the moment holds, none means no limit.
	Bandwidth []Window
	// MaxParallel is the highest number of files in flight, MinParallel the lowest; zero means the mover's choice.
	MinParallel int
	MaxParallel int
}

// Window is a limit for a part of the day. A window that ends before it begins crosses midnight; two equal times are the whole day.
type Window struct {
	// From and To are times since midnight.
	From, To time.Duration
	// Location of the times; UTC when nil.
	Location *time.Location
	// BytesPerSecond; zero means no limit in this window.
	BytesPerSecond int64
}

// Principals maps names of owners, groups, and of users and groups in ACLs. A name that is not in the table stays as it is.
type Principals struct {
	Users  map[string]string
	Groups map[string]string
}

// Set is the state of a tree at one source time.
type Set struct {
	// ID is the digest of the set's manifest, in hex: equal IDs mean equal sets.
	ID string `json:"id"`
	// Number counts the sets of a job from one.
	Number int64 `json:"number"`
	// SourceTime is the moment, by the source's clock, whose state the set holds at least. Exposure is now minus the SourceTime of the
	// last published set.
	SourceTime time.Time `json:"sourceTime"`
	// Asked is when the mover began to ask for this state, by its own clock: before the snapshot was asked for or the listing began.
	Asked time.Time `json:"asked,omitzero"`
	// Run is the Job.Run under which the set was begun.
	Run string `json:"run,omitempty"`
	// PublishedAt is by the mover's clock.
	PublishedAt time.Time `json:"publishedAt,omitzero"`
	// Consistent says that the set was read at a snapshot. Else files of it may be newer than SourceTime, each whole.
	Consistent bool `json:"consistent"`
	// Pin is the snapshot at the source, kept until the next set is published; the zero pin without snapshots.
	Pin Pin `json:"pin,omitzero"`
	// Building are files that were being written when the snapshot was made: no diff names what their writers do later, so the next run looks
	// at them. ManyBuilding says that there were too many to name, and the next run lists the whole source.
	Building     []Path `json:"building,omitempty"`
	ManyBuilding bool   `json:"manyBuilding,omitempty"`
	// Root is the identity of the source's root.
	Root string `json:"root"`
	// Entries, Files and Bytes count what the set holds.
	Entries int64 `json:"entries"`
	Files   int64 `json:"files"`
	Bytes   int64 `json:"bytes"`
	// Copied and CopiedBytes count the files that the run had to stage.
	Copied      int64 `json:"copied,omitempty"`
	CopiedBytes int64 `json:"copiedBytes,omitempty"`
	// Vanished counts entries that a live source no longer had when it was listed again: they stay as they are at the target, and the next set
	// decides about them.
	Vanished int64 `json:"vanished,omitempty"`
	// ReadBack counts the files that were read back at the target before the set was ready; zero without Job.ReadBack.
	ReadBack int64 `json:"readBack,omitempty"`
	// Rotten counts those of them that differed from what was read at the source, or were gone, and were staged anew; Flaws counts bad
	// replicas that a store met and reported while it had a good one to read on from.
	Rotten int64 `json:"rotten,omitempty"`
	Flaws  int64 `json:"flaws,omitempty"`
}

// Standing is what the target shows.
type Standing struct {
	// Published is the last published set; nil when there is none.
	Published *Set `json:"published,omitempty"`
	// Ready is a set that is staged whole and verified; Finish publishes it without the source.
	Ready *Set `json:"ready,omitempty"`
	// Shown says that part of the ready set may be visible already, so that there is only the way forward.
	Shown bool `json:"shown,omitempty"`
}

// Phase is how far a run has come.
type Phase string

// The phases of a run, in order.
const (
	PhasePlan  Phase = "plan"
	PhaseStage Phase = "stage"
	// PhaseProve reads back what is staged; only with Job.ReadBack.
	PhaseProve   Phase = "prove"
	PhaseReady   Phase = "ready"
	PhasePublish Phase = "publish"
	PhaseDelete  Phase = "delete"
	PhaseDone    Phase = "done"
)

// Progress is what a run has done. Totals are known from PhaseStage on.
type Progress struct {
	Phase Phase `json:"phase"`
	// Listed counts entries seen at the source, or changes.
	Listed int64 `json:"listed"`
	// Relisted counts what was seen when a live source was listed again, because something of the target would have to go.
	Relisted int64 `json:"relisted,omitempty"`
	// Files and Bytes are staged and verified, of the totals; what was resumed counts.
	Files      int64 `json:"files"`
	TotalFiles int64 `json:"totalFiles"`
	Bytes      int64 `json:"bytes"`
	TotalBytes int64 `json:"totalBytes"`
	// Published and Deleted count entries. TotalEntries are those that are published, known from PhasePublish on; what was published before a
	// crash counts.
	Published    int64 `json:"published"`
	TotalEntries int64 `json:"totalEntries,omitempty"`
	Deleted      int64 `json:"deleted"`
	// Changed counts files that changed while they were read and were read again.
	Changed int64 `json:"changed"`
	// ReadBack are the bytes that were read back at the target, of TotalBytes; Rotten and Flaws are as in Set.
	ReadBack int64 `json:"readBack,omitempty"`
	Rotten   int64 `json:"rotten,omitempty"`
	Flaws    int64 `json:"flaws,omitempty"`
	// Carried is what a carrier says it has brought so far, and Missed counts files that it did not bring whole: the mover copied them.
	Carried Carried `json:"carried,omitzero"`
	Missed  int64   `json:"missed,omitempty"`
	// Why says why a carrier was asked to bring the set, or was not; Carrying says that it is at work: Rate and Left are of what it brings then.
	Why      string `json:"why,omitempty"`
	Carrying bool   `json:"carrying,omitempty"`
	// Parallel is the number of files in flight that the mover allows itself now.
	Parallel int `json:"parallel"`
	// Rate is in bytes per second over the last half minute, EntryRate in files staged or entries published. Left is the time to the end of
	// staging, reading back or publishing at these rates, zero when unknown.
	Rate      float64       `json:"rate"`
	EntryRate float64       `json:"entryRate,omitempty"`
	Left      time.Duration `json:"left"`
}

// DifferenceKind says how an entry of the target differs from the manifest.
type DifferenceKind string

// The kinds of differences.
const (
	// Missing means that the target lost it.
	Missing DifferenceKind = "missing"
	// Foreign means that somebody else made it.
	Foreign DifferenceKind = "foreign"
	// Altered means that its bytes are, or with a new version may be, others.
	Altered DifferenceKind = "altered"
	// Restyled means that attributes differ.
	Restyled DifferenceKind = "restyled"
)

// Difference is one path that is not as the manifest says.
type Difference struct {
	Path Path           `json:"path"`
	Kind DifferenceKind `json:"kind"`
	// Fields are the attributes that differ, for Restyled, and for an Altered file those that differ besides.
	Fields Fields `json:"fields,omitempty"`
	// Size and Sum are those of the manifest, for a file that is Altered and still a file: a new version may have the
	// same bytes, and who wants to know has to look. The sum may be unknown.
	Size int64    `json:"-"`
	Sum  Checksum `json:"-"`
}

// Comparison is the outcome of a Compare.
type Comparison struct {
	Set Set `json:"set"`
	// Compared counts entries, Read the bytes that were read for it.
	Compared    int64 `json:"compared"`
	Read        int64 `json:"read"`
	Differences int64 `json:"differences"`
}

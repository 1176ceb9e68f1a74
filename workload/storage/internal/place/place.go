// Package place is what the storage workload does at one site beside the mover: it looks who answers, sees understudy's own folder beside
// each tree, bars a folder against late movers, and tries to write as an ordinary user would. It must not know roles, steps or links.
package place

import (
	"context"
	"encoding/json"
	"errors"
	"path"
	"strings"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
)

// Site is a store at one site. It connects when it is first used, and is safe for concurrent use.
type Site interface {
	// Look asks who answers. The error wraps ErrTurnedAway when somebody does and does not let us in, ErrDoubtful when that cannot be told, and
	// ErrUnreachable when nobody does.
	Look(ctx context.Context) (Identity, error)
	// Tree gives a tree by its absolute path. It asks nothing.
	Tree(path string) Tree
	// Close ends the connections.
	Close() error
}

// Identity is who answers at a site.
type Identity struct {
	// Name is the store's own name of itself, and stays the same for good.
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
	// User is the name that files get which we make there; Super says that no permission binds us.
	User  string `json:"user"`
	Super bool   `json:"super,omitempty"`
	// Ordinary is the ordinary user whom the site file names, as whom Try can act; empty where it names none, or none that owns files.
	Ordinary string `json:"ordinary,omitempty"`
	// Writer is why the ordinary user cannot act, so that no fence can be proved; empty when it can.
	Writer string `json:"writer,omitempty"`
	// CouldPass names those whom no permission stops.
	CouldPass []string `json:"couldPass,omitempty"`
	// Skew is about how far the store's clock is before ours, as far as it tells; zero where it runs on ours.
	Skew time.Duration `json:"skew,omitempty"`
	// Nodes counts the servers that hold data, Unreachable are those that do not answer us, and Dead those that the store itself misses. Untried
	// counts those of which nothing is known, since the time for the look was over before they were tried to the end.
	Nodes       int      `json:"nodes,omitempty"`
	Unreachable []string `json:"unreachable,omitempty"`
	Untried     int      `json:"untried,omitempty"`
	Dead        []string `json:"dead,omitempty"`
	// Unlooked says that the servers that hold data were not looked at, for want of rights; Untimed that nothing told the store's time, so that
	// Skew is no figure.
	Unlooked bool `json:"unlooked,omitempty"`
	Untimed  bool `json:"untimed,omitempty"`
	// Unnamed says that the store has no name of its own yet, and may be given one: Named.
	Unnamed bool `json:"unnamed,omitempty"`
	// Notes are what people should know about rights and settings there.
	Notes []Note `json:"notes,omitempty"`
}

// Note is one thing that people should know about a store.
type Note struct {
	// Level is "warning" or "refuse".
	Level   string          `json:"level"`
	Code    understudy.Code `json:"code"`
	Summary string          `json:"summary"`
	Fix     string          `json:"fix"`
}

// Named is a site whose store has to be given a name to be known again by.
type Named interface {
	// Name gives it one. A name that it has stays.
	Name(ctx context.Context) error
}

// Gate is a tree of a store that knows no owners and modes, or none by which understudy could keep writers out: it is closed by what the store has
// instead, if it has anything.
type Gate interface {
	// Rules says how the tree stands.
	Rules(ctx context.Context) (Standing, error)
	// Shut denies ordinary writers, and keeps at the store what its rules were before. It may be repeated. An error with the code US732 means
	// that it would have denied ourselves, and was taken back.
	Shut(ctx context.Context) error
	// Lift takes back what Shut did, and leaves what others changed since. It may be repeated.
	Lift(ctx context.Context) error
}

// GateState says whether ordinary writers are denied.
type GateState string

// The states of a gate.
const (
	GateOpen   GateState = "open"
	GateClosed GateState = "closed"
	// GateNone means that the store has no means of denying, or that none was named.
	GateNone GateState = "none"
)

// Standing is how a tree stands whose store knows no owners and modes.
type Standing struct {
	State GateState `json:"state"`
	// Means says what closes it, and where there is none, why, and what could be named.
	Means string `json:"means,omitempty"`
	// Fix says what people can do where nothing could be named; empty where something could.
	Fix string `json:"fix,omitempty"`
	// Writer says that an ordinary writer's credential is named, so that closing can be proved.
	Writer bool `json:"writer,omitempty"`
	// Rules are the store's own, as they are now.
	Rules json.RawMessage `json:"rules,omitempty"`
}

// Stager is a tree whose store renames no folder: what a link staged stays where it is when its folder is barred.
type Stager interface {
	// Unstage removes what a folder staged, the open uploads among it, so that a late request to show some of it finds nothing.
	Unstage(ctx context.Context, folder string) error
	// Staged counts the lots that a folder has staged, and says what may still come of them at the latest.
	Staged(ctx context.Context, folder string) (lots int, late string, err error)
}

// Tree is one tree, and understudy's folder beside it.
type Tree interface {
	// Store opens the tree for a mover whose own files lie in the named folder of understudy's folder. With pinned it reads from snapshots,
	// where the root is snapshottable.
	Store(ctx context.Context, folder string, pinned bool) (filecopy.Target, error)
	// Folders lists what lies in understudy's folder; nothing when it is not there.
	Folders(ctx context.Context) ([]Folder, error)
	// Bar moves a folder aside, if it is there, and puts a file in its place, so that nothing can be made, kept or renamed below that name any
	// more. It may be repeated. Where aside is taken, what has come since is left beside it under a name of its own.
	Bar(ctx context.Context, folder, aside string) error
	// Rename gives a folder another name; false when it is not there.
	Rename(ctx context.Context, from, to string) (bool, error)
	// Remove removes a folder with all it holds; empty means understudy's folder itself.
	Remove(ctx context.Context, folder string) error
	// Try makes and removes an empty file below the root. ErrRefused when the store forbids it; ErrUnproven when we cannot act as another. It also
	// removes such files of processes that were killed in between, as far as it may.
	Try(ctx context.Context, who Who) error
}

// Snapshots is a tree whose root may be made snapshottable.
type Snapshots interface {
	// Snapshottable says whether the root is.
	Snapshottable(ctx context.Context) (bool, error)
	// Nested gives the directories above and below the root that are snapshottable: the root cannot become so beside them. A store may show us those of
	// our own user only.
	Nested(ctx context.Context) ([]string, error)
	// Allow makes it so.
	Allow(ctx context.Context) error
	// Disallow ends that, unless snapshots are left.
	Disallow(ctx context.Context) error
}

// Limited is a tree of a store that counts: above or at its root there may be quotas.
type Limited interface {
	// Quotas lists those of the root and of all directories above it. It may cost the store a walk below each of them that has none.
	Quotas(ctx context.Context) ([]Quota, error)
	// Size is how many bytes the files below the root hold; negative when it is not known. It may cost the store a walk below the root.
	Size(ctx context.Context) (int64, error)
	// Room is how many bytes of files the store has room for, quotas left out, also where there is no root yet.
	Room(ctx context.Context) (int64, error)
}

// Quota is a limit of a directory and what is left of it; negative where there is none. Space is in bytes, each replica counted.
type Quota struct {
	Path      string `json:"path"`
	Names     int64  `json:"names"`
	NamesLeft int64  `json:"namesLeft"`
	Space     int64  `json:"space"`
	SpaceLeft int64  `json:"spaceLeft"`
	// Replicas is how many copies of a new file count by default.
	Replicas int `json:"replicas"`
}

// Writers is a tree of which somebody may hold files open for writing.
type Writers interface {
	// Building lists files under construction below the root.
	Building(ctx context.Context) ([]string, error)
	// Recover takes one away from its writer; false while that is not done.
	Recover(ctx context.Context, path string) (bool, error)
}

// Folder is one name in understudy's folder.
type Folder struct {
	Name string
	// Barred says that a file stands where a folder was.
	Barred bool
}

// Who tries to write.
type Who string

// Those who try.
const (
	// Ordinary is a user whom permissions bind, and Ourselves is understudy.
	Ordinary  Who = "ordinary"
	Ourselves Who = "ourselves"
)

var (
	// ErrUnreachable means that nobody answered.
	ErrUnreachable = errors.New("storage: nobody answers")
	// ErrTurnedAway means that the store itself answered, and did not let us in: it is there, and may well let others in.
	ErrTurnedAway = errors.New("storage: the store does not let us in")
	// ErrDoubtful means that nothing shows whether the store is there: nobody was asked, because what we were given to ask with is wrong, or who answers
	// is not who it should be.
	ErrDoubtful = errors.New("storage: it is not known whether the store is there")
	// ErrRefused means that the store forbids it.
	ErrRefused = errors.New("storage: refused")
	// ErrBarred means that a file stands where a folder was.
	ErrBarred = errors.New("storage: the folder is barred")
	// ErrUnproven means that we cannot act as another user there.
	ErrUnproven = errors.New("storage: we cannot act as an ordinary user")
)

// FolderOf is where understudy's folder of a tree lies, as the plan writes paths.
func FolderOf(tree string) string { return folderOf(tree) }

// Holds says whether a path is a directory, or lies below it.
func Holds(dir, name string) bool {
	return name == dir || strings.HasPrefix(name, strings.TrimSuffix(dir, "/")+"/")
}

// folderOf is where understudy's folder of a tree lies: hidden, beside the root.
func folderOf(root string) string {
	return path.Join(path.Dir(root), "."+path.Base(root)+".understudy")
}

// tidyTime is how long a probe takes at most to be made, and to be removed.
const tidyTime = 10 * time.Second

// probe names a file for Try.
func probe() string { return filecopy.NewProbe(time.Now()) }

// forgotten is how old a probe is of which nobody comes back to remove it: its maker was killed. It is much longer than tidyTime, and than clocks
// may differ.
const forgotten = time.Hour

// left says whether a name is that of a probe whose maker was killed.
func left(name string) bool {
	made, ok := filecopy.ProbeMade(name)
	return ok && time.Since(made) > forgotten
}

// tried makes a probe and removes it, or what may have been made, also when its step is being given up: nobody would look
// for it later. The answer to the making is waited for then too, since a server may do what nobody waits for any more only
// after the removal.
func tried(ctx context.Context, put, remove func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	made, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyTime)
	defer cancel()
	err := put(made)
	if err != nil && made.Err() == nil {
		return err
	}
	gone, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyTime)
	defer cancel()
	return errors.Join(err, remove(gone))
}

package filecopy

import "context"

// Carrier brings the bytes of many files by means of others, such as a job on a cluster. It takes the place of a mover's own copying, and
// of nothing else: what is copied is planned by the mover, and what was brought is proven, published and written into the manifest by
// it, as if it had copied it itself. What a carrier did not bring, or not whole, the mover copies.
type Carrier interface {
	// Takes says whether a load of so many files and bytes is worth the trouble, and why; a mover asks once for each set. It is pure.
	Takes(files, bytes int64) (bool, string)
	// Carry brings a load to its berths, and returns nil when it has done what it can and nothing of it writes any more. It is harmless
	// to repeat, in any process: a load that is under way is taken up, one that was brought is not brought again. When ctx ends,
	// what is under way goes on, for the next Carry or Drop. report is called from one goroutine at a time.
	Carry(ctx context.Context, l Load, report func(Carried)) error
	// Drop ends what an earlier Carry of the load's lot left, in any process; when it returned nil nothing is begun any more, and what it
	// kept elsewhere is gone. Of the load, Name, Files, Bytes and Each are not set.
	Drop(ctx context.Context, l Load) error
}

// Load is what a carrier is to bring.
type Load struct {
	// Name is of the characters of kept names. Equal names mean the same files for the same berths.
	Name string
	// Lot is that of the set; the loads of one lot follow each other.
	Lot string
	// Source is read at Pin.
	Source Store
	Pin    Pin
	Target Target
	// Files and Bytes count what there is to bring.
	Files int64
	Bytes int64
	// BytesPerSecond is the job's limit at this moment; zero means none.
	BytesPerSecond int64
	// Each gives every file with its berth in the order of paths; it may be called again.
	Each func(ctx context.Context, found func(Entry, Handle) error) error
	// Remember keeps a few KiB of the carrier's own at the target, in one step, and Recall gives what it kept last for the lot; nil when
	// nothing.
	Remember func(ctx context.Context, note []byte) error
	Recall   func(ctx context.Context) ([]byte, error)
}

// Carried is what a carrier says of its work. None of it is verified.
type Carried struct {
	Files int64 `json:"files"`
	Bytes int64 `json:"bytes"`
	// Said is for people: what brings the files, and in which state it is.
	Said string `json:"said,omitempty"`
}

// Dock is a target into which others can bring files for its staging place.
type Dock interface {
	// Berth makes up the place for one file that others will bring, and gives the handle under which it is staged once it was adopted.
	// ErrUnsupported when the file is none for others. It asks nothing.
	Berth(lot string, e Entry) (Handle, error)
	// Adopt takes a file that was brought out of reach of those who brought it, into the staging place, to be sealed there. It is
	// harmless to repeat. ErrNotFound when nothing was brought.
	Adopt(ctx context.Context, h Handle) error
}

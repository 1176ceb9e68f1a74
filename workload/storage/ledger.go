package storage

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/native"
	"github.com/understudy-dr/understudy/workload"
)

// divergent is one line of a ledger: a path that one side has otherwise than the set that was taken over.
type divergent struct {
	Tree string                  `json:"tree"`
	Path filecopy.Path           `json:"path"`
	How  filecopy.DifferenceKind `json:"how"`
	Kind string                  `json:"kind,omitempty"`
	Size int64                   `json:"size,omitempty"`
	// Modified is by the store's clock; Owner, Group and Mode are what the entry had.
	Modified time.Time `json:"modified,omitzero"`
	Owner    string    `json:"owner,omitempty"`
	Group    string    `json:"group,omitempty"`
	Mode     string    `json:"mode,omitempty"`
	// Kept is where the entry is kept at its site, below understudy's folder beside the tree; empty for what was deleted or only restyled.
	Kept string `json:"kept,omitempty"`
}

// plain is a line whose names are text already.
type plain divergent

// written is a line as JSON: names are bytes, and where they are no text, Escaped says that Path and Kept are as filecopy.Path.Text gives them.
type written struct {
	plain
	Escaped bool `json:"escaped,omitempty"`
}

// MarshalJSON keeps every byte of a name.
func (d divergent) MarshalJSON() ([]byte, error) {
	w := written{plain: plain(d), Escaped: !d.Path.IsText()}
	if w.Escaped {
		w.Path, w.Kept = filecopy.Path(d.Path.Text()), filecopy.Path(d.Kept).Text()
	}
	return json.Marshal(w)
}

// UnmarshalJSON reads what MarshalJSON wrote, and lines of versions that escaped nothing.
func (d *divergent) UnmarshalJSON(b []byte) error {
	var w written
	if err := json.Unmarshal(b, &w); err != nil {
		return err
	}
	*d = divergent(w.plain)
	if !w.Escaped {
		return nil
	}
	path, err := filecopy.FromText(string(w.Path))
	kept := filecopy.Path("")
	if err == nil && w.Kept != "" {
		kept, err = filecopy.FromText(w.Kept)
	}
	d.Path, d.Kept = path, string(kept)
	return err
}

// sums is what a ledger adds up to.
type sums struct {
	Lines       int64
	Files       int64
	Bytes       int64
	First, Last time.Time
}

func (s *sums) add(d divergent) {
	s.Lines++
	if d.Kind == filecopy.File.String() {
		s.Files, s.Bytes = s.Files+1, s.Bytes+d.Size
	}
	if d.Modified.IsZero() {
		return
	}
	s.First = earliest(s.First, d.Modified)
	if d.Modified.After(s.Last) {
		s.Last = d.Modified
	}
}

// entry gives the sums of one tree in the form of a ledger.
func (s sums) entry(site understudy.Site, tree string) understudy.LedgerEntry {
	return understudy.LedgerEntry{Shard: tree, Site: site, Last: max(s.Lines-1, 0), Records: s.Lines, Bytes: s.Bytes, FirstAt: s.First, LastAt: s.Last}
}

// diverged finds what a tree of the step's site has otherwise than the set that the other side took over, or than the set that the link into it
// published. Below a directory that is foreign as a whole nothing is named.
func (j *job) diverged(ctx context.Context, tree string, found func(divergent) error) error {
	m, mover, err := j.moverJob(ctx, tree, true)
	if err != nil {
		return err
	}
	view, err := m.Target.Open(ctx, filecopy.Pin{})
	if err != nil {
		return j.failed(tree, "open", err)
	}
	defer view.Close()
	if m.Origin != "" {
		// The manifest is in the names of this very side.
		m.Principals = filecopy.Principals{}
	}
	above, at := filecopy.Path(""), looking{view, native.NewPace(m.Limits, m.Clock)}
	_, err = mover.Compare(ctx, m, false, func(d filecopy.Difference) error {
		if above != "" && d.Path.Below(above) {
			return nil
		}
		line, err := j.line(ctx, at, tree, d)
		if err == nil && line.How == "" {
			return nil
		}
		if err == nil && line.Kept != "" && line.Kind == filecopy.Directory.String() {
			above = d.Path
		}
		if err != nil {
			return err
		}
		return found(line)
	})
	return j.failed(tree, "compare", err)
}

// line describes one difference; it has no How where nothing differs but times that nobody set: a directory's changes
// with what is in it, and that of a file which was open when a set was captured when it is closed.
func (j *job) line(ctx context.Context, at looking, tree string, d filecopy.Difference) (divergent, error) {
	out := divergent{Tree: tree, Path: d.Path, How: d.Kind}
	if d.Kind == filecopy.Missing {
		return out, nil
	}
	e, err := at.view.Stat(ctx, d.Path)
	if errors.Is(err, filecopy.ErrNotFound) {
		out.How = filecopy.Missing
		return out, nil
	}
	if err != nil {
		return out, err
	}
	if out.How, err = at.change(ctx, e, d); err != nil || out.How == "" {
		return out, err
	}
	out.Kind, out.Size, out.Modified = e.Kind.String(), e.Size, e.ModTime()
	out.Owner, out.Group, out.Mode = e.Owner, e.Group, fmt.Sprintf("%04o", e.Mode)
	if out.How != filecopy.Restyled {
		out.Kept = "quarantine/" + j.quarantine() + "/" + string(d.Path)
	}
	return out, nil
}

// looking reads a tree that is compared, within the plan's bandwidth.
type looking struct {
	view filecopy.View
	pace *native.Pace
}

// change says what a difference is to a user; empty for none. A file of the same size under another version is read.
func (l looking) change(ctx context.Context, e filecopy.Entry, d filecopy.Difference) (filecopy.DifferenceKind, error) {
	onlyTimes := d.Fields&^filecopy.FieldModified == 0
	switch {
	case d.Kind == filecopy.Restyled && e.Kind == filecopy.Directory && onlyTimes:
		return "", nil
	case d.Kind != filecopy.Altered || e.Kind != filecopy.File || !d.Sum.Known || e.Size != d.Size:
		return d.Kind, nil
	}
	sum, err := l.sum(ctx, e)
	switch {
	case errors.Is(err, filecopy.ErrCorrupt), err == nil && sum != d.Sum:
		return d.Kind, nil
	case err != nil || onlyTimes:
		return "", err
	default:
		return filecopy.Restyled, nil
	}
}

// sum gives the sum of a file, by the store where that computes it.
func (l looking) sum(ctx context.Context, e filecopy.Entry) (filecopy.Checksum, error) {
	sum, err := l.view.Sum(ctx, e)
	if !errors.Is(err, filecopy.ErrUnsupported) {
		return sum, err
	}
	r, err := l.view.Read(ctx, e, 0)
	if err != nil {
		return filecopy.Checksum{}, err
	}
	defer r.Close()
	sum, _, err = l.pace.Sum(ctx, r)
	return sum, err
}

// quarantine is where the operation keeps what one side alone has. Its name carries no time, so no retention removes it.
func (j *job) quarantine() string { return "ledger-" + string(j.run.Operation) }

// scan counts what only one side has.
func scan(ctx context.Context, j *job) (understudy.Receipt, error) {
	var r understudy.Receipt
	for _, t := range j.w.cfg.Trees {
		var s sums
		if err := j.diverged(ctx, t.Path, func(d divergent) error { s.add(d); return nil }); err != nil {
			return r, err
		}
		if s.Lines > 0 {
			r.Ledger = append(r.Ledger, s.entry(j.step.Site, t.Path))
		}
	}
	return r, nil
}

// listName is the object that holds a tree's list at its site.
func (j *job) listName() string { return "ledger/" + string(j.run.Operation) + ".jsonl" }

// saveLedger lists what only one side has, and moves it into a quarantine at its site. The list is complete and durable, at the site and in the
// ledger's folder, before anything is moved; a repeat takes up that list, and finds what it moved already gone.
func saveLedger(ctx context.Context, j *job) (understudy.Receipt, error) {
	r := understudy.Receipt{}
	p := j.proof(understudy.ProofLedger, 0)
	if err := os.MkdirAll(j.run.LedgerDir, 0o700); err != nil {
		return r, j.ledgerFailed("make the ledger's folder", err)
	}
	for i, t := range j.w.cfg.Trees {
		store, err := j.tree(t.Path).Store(ctx, "", false)
		if err != nil {
			return r, j.failed(t.Path, "open", err)
		}
		file := filepath.Join(j.run.LedgerDir, fmt.Sprintf("tree-%d.jsonl", i))
		if err := j.list(ctx, store, t.Path, file); err != nil {
			return r, err
		}
		s, digest, err := j.keepAll(ctx, store, t.Path, file)
		if err != nil {
			return r, err
		}
		if s.Lines > 0 {
			e := s.entry(j.step.Site, t.Path)
			e.File, e.SHA256 = filepath.Base(file), digest
			r.Ledger = append(r.Ledger, e)
		}
		p.Means += fmt.Sprintf("%s: %d differences listed, %d files (%s) moved aside; ", t.Path, s.Lines, s.Files, amount(s.Bytes))
	}
	r.Proofs = []understudy.Proof{p}
	return r, nil
}

func (j *job) ledgerFailed(doing string, err error) error {
	return &understudy.Error{
		Code: "US709", Kind: understudy.KindRetry, Op: "storage.ledger", Object: j.w.object(j.step.Site, ""), Summary: "cannot " + doing,
		Fix: "make room in the data directory, or correct its rights, and retry; nothing was moved without being listed", Err: err,
	}
}

// list makes the list of a tree, or fetches the one that an earlier pass made.
func (j *job) list(ctx context.Context, store filecopy.Target, tree, file string) error {
	have, err := store.Kept(ctx, j.listName())
	if err == nil {
		defer have.Close()
		return j.toFile(file, func(w io.Writer) error {
			_, err := io.Copy(w, have)
			return err
		})
	}
	if !errors.Is(err, filecopy.ErrNotFound) {
		return j.failed(tree, "read the ledger of", err)
	}
	err = j.toFile(file, func(w io.Writer) error {
		out := json.NewEncoder(w)
		return j.diverged(ctx, tree, func(d divergent) error { return out.Encode(d) })
	})
	if err != nil {
		return err
	}
	f, err := os.Open(file)
	if err != nil {
		return j.ledgerFailed("read the ledger", err)
	}
	defer func() { _ = f.Close() }()
	return j.failed(tree, "keep the ledger of", store.Keep(ctx, j.listName(), f))
}

// toFile writes a file of the ledger, durably.
func (j *job) toFile(file string, write func(io.Writer) error) error {
	f, err := os.Create(file + ".part")
	if err != nil {
		return j.ledgerFailed("write the ledger", err)
	}
	buffered := bufio.NewWriter(f)
	err = write(buffered)
	var coded *understudy.Error
	if errors.As(err, &coded) {
		return errors.Join(err, f.Close())
	}
	if err = errors.Join(err, buffered.Flush(), f.Sync(), f.Close()); err == nil {
		err = os.Rename(file+".part", file)
	}
	if err != nil {
		return j.ledgerFailed("write the ledger", err)
	}
	return nil
}

// keepAll moves what is listed aside, and adds it up.
func (j *job) keepAll(ctx context.Context, store filecopy.Target, tree, file string) (sums, string, error) {
	var s sums
	digest := sha256.New()
	err := eachLine(file, digest, func(d divergent) error {
		s.add(d)
		if d.Kept == "" {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		return j.failed(tree, "move what diverged aside in", store.Retire(ctx, d.Path, j.quarantine()))
	})
	return s, hex.EncodeToString(digest.Sum(nil)), err
}

// eachLine reads a file of a ledger.
func eachLine(file string, digest hash.Hash, found func(divergent) error) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	in := json.NewDecoder(io.TeeReader(f, digest))
	for {
		var d divergent
		err := in.Decode(&d)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = found(d)
		}
		if err != nil {
			return err
		}
	}
}

var _ workload.LedgerHolder = (*Workload)(nil)

// DiscardLedger removes the quarantines in which an operation kept what only one side had, and the lists beside them, at the sites that the
// ledger names. Repeated, it finds them gone.
func (w *Workload) DiscardLedger(ctx context.Context, op understudy.OperationID, sites []understudy.Site, lease understudy.Lease) error {
	ctx, done := leased(ctx, lease)
	defer done()
	j := &job{w: w, run: understudy.Run{Operation: op}}
	for _, s := range sites {
		if w.sites[s] == nil {
			continue
		}
		if w.opening.AbsentByPlan(s) {
			return w.refuse("US702", s, "", "the site's cluster is absent by plan, and holds what the ledger lists", "discard the ledger again when the cluster is there")
		}
		for _, t := range w.cfg.Trees {
			at := w.at(s, t.Path)
			store, err := at.Store(ctx, "", false)
			if err == nil {
				err = at.Remove(ctx, "quarantine/"+j.quarantine())
			}
			if err == nil {
				err = store.Forget(ctx, j.listName())
			}
			if err != nil {
				return w.failure(s, t.Path, "remove the quarantine of the ledger beside", err)
			}
		}
	}
	return nil
}

// exportLedger writes the lines of all trees. A ledger without files on this member is an error, never an empty one.
func exportLedger(ctx context.Context, dir string, write func(line []byte) error) error {
	files, err := filepath.Glob(filepath.Join(dir, "tree-*.jsonl"))
	if err == nil && len(files) == 0 {
		err = os.ErrNotExist
	}
	if err != nil {
		return &understudy.Error{
			Code: "US710", Kind: understudy.KindNotFound, Op: "storage.ledger", Summary: "the ledger's files are not on this member", Err: err,
			Fix: "ask the member that led the operation; the list and the files are at the site too",
		}
	}
	for _, file := range files {
		err := eachLine(file, sha256.New(), func(d divergent) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return write(encode(d))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

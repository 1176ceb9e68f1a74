package native

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/understudy-dr/understudy/filecopy"
)

// formatVersion of the documents that a job keeps at its target.
const formatVersion = 1

// head is the published set: the layers of its manifest, oldest first. Replacing it is what publishes a set.
type head struct {
	Format int          `json:"format"`
	Set    filecopy.Set `json:"set"`
	Layers []layer      `json:"layers,omitempty"`
}

// layer is a list of segments that together are sorted by path; a later layer wins over an earlier one.
type layer struct {
	Items    int64         `json:"items"`
	Segments []segmentInfo `json:"segments,omitempty"`
}

// segmentInfo names a kept segment.
type segmentInfo struct {
	Name   string `json:"name"`
	Digest string `json:"digest"`
	Items  int64  `json:"items"`
	// First and Last are paths, as bytes.
	First []byte `json:"first"`
	Last  []byte `json:"last"`
}

// ready is a set that is staged whole: with it and what it names, the target alone can publish the set.
type ready struct {
	Format int          `json:"format"`
	Set    filecopy.Set `json:"set"`
	// Base is the ID of the set that the target must show when publishing begins; Number is of that set.
	Base string `json:"base"`
	// Moves, Items and Dirs are what is to be done, in this order; Shift is the layer that the moves make of the manifest.
	Moves layer `json:"moves"`
	Shift layer `json:"shift"`
	Items layer `json:"items"`
	Dirs  layer `json:"dirs"`
	// Lot is where the files are staged, Quarantine where deletes go.
	Lot        string `json:"lot"`
	Quarantine string `json:"quarantine"`
	// Assembly is where new directories are put together, in the words of filecopy.Assembler; empty in sets that were made when it was the lot.
	Assembly string `json:"assembly,omitempty"`
	// Plan is the one that made it; empty in sets of earlier versions.
	Plan string `json:"plan,omitempty"`
	// Clears is how many entries go from their places that may be directories, beside the moves; zero in sets of earlier versions.
	Clears int64 `json:"clears,omitempty"`
}

// assembly gives where new directories are put together.
func (r ready) assembly() string { return cmp.Or(r.Assembly, r.Lot) }

// sealedDocument is how a document is kept: with a checksum over its bytes.
type sealedDocument struct {
	SHA256 string          `json:"sha256"`
	Body   json.RawMessage `json:"body"`
}

// vault is what a job keeps at its target, with a cache of segments in the data directory.
type vault struct {
	job    string
	keeper filecopy.Keeper
	cache  string
	// segment is how many items a segment has; zero for the usual number.
	segment int64
}

func (v vault) name(rest string) string { return v.job + "/" + rest }

// keepDocument keeps a document; it is there whole or as it was.
func (v vault) keepDocument(ctx context.Context, name string, doc any) error {
	body, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	raw, err := json.Marshal(sealedDocument{hex.EncodeToString(sum[:]), body})
	if err != nil {
		return err
	}
	return v.keeper.Keep(ctx, v.name(name), bytes.NewReader(raw))
}

// document reads a document; false when there is none.
func (v vault) document(ctx context.Context, name string, doc any) (bool, error) {
	r, err := v.keeper.Kept(ctx, v.name(name))
	if errors.Is(err, filecopy.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	raw, err := io.ReadAll(r)
	_ = r.Close()
	if err != nil {
		return false, err
	}
	return true, unseal(v.name(name), raw, doc)
}

func unseal(name string, raw []byte, doc any) error {
	var sealed sealedDocument
	if err := json.Unmarshal(raw, &sealed); err != nil {
		return manifestDamaged(name, err)
	}
	sum := sha256.Sum256(sealed.Body)
	if hex.EncodeToString(sum[:]) != sealed.SHA256 {
		return manifestDamaged(name, errDamaged)
	}
	var v struct{ Format int }
	if err := json.Unmarshal(sealed.Body, &v); err != nil {
		return manifestDamaged(name, err)
	}
	if v.Format != formatVersion {
		return manifestDamaged(name, fmt.Errorf("%w: format %d, known is %d", errNewer, v.Format, formatVersion))
	}
	if err := json.Unmarshal(sealed.Body, doc); err != nil {
		return manifestDamaged(name, err)
	}
	return nil
}

// The names of documents.
const (
	headName  = "head.json"
	readyName = "ready.json"
)

// showingName marks that publishing of a set has begun.
func showingName(number int64) string { return fmt.Sprintf("showing-%d", number) }

// head reads the published set; a zero head when there is none.
func (v vault) head(ctx context.Context) (head, error) {
	h := head{Format: formatVersion}
	_, err := v.document(ctx, headName, &h)
	return h, err
}

// fetch brings a segment into the cache and gives its path there. Segments never change, so one that is there is the right one;
// its digest is compared before it gets its name, and again whenever it is read.
func (v vault) fetch(ctx context.Context, s segmentInfo) (string, error) {
	path := filepath.Join(v.cache, s.Digest)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	r, err := v.keeper.Kept(ctx, s.Name)
	if err != nil {
		return "", manifestDamaged(s.Name, err)
	}
	defer r.Close()
	temp := path + ".part"
	f, err := os.OpenFile(temp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return "", err
	}
	_, err = io.Copy(f, r)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = verify(temp, s.Digest)
	}
	if err != nil {
		return "", manifestDamaged(s.Name, err)
	}
	return path, os.Rename(temp, path)
}

// verify reads a segment through.
func verify(path, digest string) error {
	in, err := openSegment(path, digest)
	if err != nil {
		return err
	}
	defer in.close()
	for {
		if _, ok, err := in.next(); err != nil || !ok {
			return err
		}
	}
}

// tidy removes cached segments that a head does not name.
func (v vault) tidy(h head) error {
	named := map[string]bool{}
	for _, l := range h.Layers {
		for _, s := range l.Segments {
			named[s.Digest] = true
		}
	}
	files, err := os.ReadDir(v.cache)
	if err != nil {
		return err
	}
	for _, f := range files {
		if named[f.Name()] {
			continue
		}
		if err := os.Remove(filepath.Join(v.cache, f.Name())); err != nil {
			return err
		}
	}
	return nil
}

// forget removes kept segments and documents whose names begin with a prefix, one prefix after the other, but those that
// a head names.
func (v vault) forget(ctx context.Context, but head, prefixes ...string) error {
	named := map[string]bool{}
	for _, l := range but.Layers {
		for _, s := range l.Segments {
			named[s.Name] = true
		}
	}
	var all string
	if len(prefixes) == 1 {
		all = prefixes[0]
	}
	names, err := v.keeper.KeptNames(ctx, v.name(all))
	if err != nil {
		return err
	}
	for _, prefix := range prefixes {
		for _, n := range names {
			if named[n] || !strings.HasPrefix(n, v.name(prefix)) {
				continue
			}
			if err := v.keeper.Forget(ctx, n); err != nil {
				return err
			}
		}
	}
	return nil
}

// floor is the path below which a reader wants nothing any more; it only rises.
type floor struct{ path filecopy.Path }

// listStream reads the segments of a layer one after the other, and passes over those that end below the floor.
type listStream struct {
	ctx   context.Context
	vault vault
	left  []segmentInfo
	floor *floor
	open  *fileStream
}

func (v vault) stream(ctx context.Context, l layer, f *floor) *listStream {
	return &listStream{ctx: ctx, vault: v, left: l.Segments, floor: f}
}

func (s *listStream) next() (item, bool, error) {
	for {
		if s.open == nil {
			if ok, err := s.openNext(); err != nil || !ok {
				return item{}, false, err
			}
		}
		it, ok, err := s.open.next()
		if err != nil {
			return item{}, false, manifestDamaged(s.left[0].Name, err)
		}
		if !ok {
			s.close()
			s.left = s.left[1:]
			continue
		}
		if it.Path.Compare(s.floor.path) >= 0 {
			return it, true, nil
		}
	}
}

func (s *listStream) openNext() (bool, error) {
	for len(s.left) > 0 && filecopy.Path(s.left[0].Last).Compare(s.floor.path) < 0 {
		s.left = s.left[1:]
	}
	if len(s.left) == 0 {
		return false, s.ctx.Err()
	}
	path, err := s.vault.fetch(s.ctx, s.left[0])
	if err != nil {
		return false, err
	}
	s.open, err = openSegment(path, s.left[0].Digest)
	if err != nil {
		return false, manifestDamaged(s.left[0].Name, err)
	}
	return true, nil
}

func (s *listStream) close() {
	if s.open != nil {
		s.open.close()
		s.open = nil
	}
}

// manifest gives the entries of layers, newest wins, tombstones left out, from the floor on.
func (v vault) manifest(ctx context.Context, layers []layer, f *floor) stream {
	var all []stream
	for _, l := range layers {
		all = append(all, v.stream(ctx, l, f))
	}
	if len(all) == 0 {
		return empty{}
	}
	return living{mergeStreams(all...)}
}

const (
	// segmentItems and segmentBytes are where a list begins a new segment.
	segmentItems = 64 << 10
	segmentBytes = 16 << 20
)

// listWriter keeps items in segments under names of one prefix.
type listWriter struct {
	vault  vault
	prefix string
	temp   string
	items  int64
	open   *segmentFile
	list   layer
}

// writer begins a list; temp is the path of a local file that it may use.
func (v vault) writer(prefix, temp string) *listWriter {
	return &listWriter{vault: v, prefix: prefix, temp: temp, items: cmp.Or(v.segment, segmentItems)}
}

// add appends an item, and says whether a segment was completed and kept.
func (w *listWriter) add(ctx context.Context, it *item) (bool, error) {
	if w.open == nil {
		f, err := createSegment(w.temp)
		if err != nil {
			return false, err
		}
		w.open = f
	}
	if err := w.open.add(it); err != nil {
		return false, err
	}
	if w.open.count < w.items && w.open.bytes < segmentBytes {
		return false, nil
	}
	return true, w.roll(ctx)
}

// segmentName numbers segments so that they sort.
func (w *listWriter) segmentName(n int) string {
	return w.vault.name(fmt.Sprintf("%s/%08d.seg", w.prefix, n))
}

// roll completes the open segment, and keeps it.
func (w *listWriter) roll(ctx context.Context) error {
	if w.open == nil {
		return nil
	}
	s := w.open
	w.open = nil
	digest, err := s.finish(false)
	if err != nil {
		return err
	}
	info := segmentInfo{Name: w.segmentName(len(w.list.Segments)), Digest: digest, Items: s.count, First: []byte(s.first), Last: []byte(s.last)}
	f, err := os.Open(w.temp)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if err := w.vault.keeper.Keep(ctx, info.Name, f); err != nil {
		return err
	}
	w.list.Segments = append(w.list.Segments, info)
	w.list.Items += info.Items
	// What was just kept is read again soon, and its bytes are here.
	return os.Rename(w.temp, filepath.Join(w.vault.cache, digest))
}

// abandon closes what is open.
func (w *listWriter) abandon() {
	if w.open != nil {
		w.open.abandon()
	}
}

// done completes the list.
func (w *listWriter) done(ctx context.Context) (layer, error) {
	err := w.roll(ctx)
	return w.list, err
}

// keepAll keeps a whole stream as a layer, and closes it.
func (v vault) keepAll(ctx context.Context, in stream, prefix, temp string) (layer, error) {
	defer in.close()
	w := v.writer(prefix, temp)
	defer w.abandon()
	for {
		it, ok, err := in.next()
		if err != nil {
			return layer{}, err
		}
		if !ok {
			return w.done(ctx)
		}
		if _, err := w.add(ctx, &it); err != nil {
			return layer{}, err
		}
	}
}

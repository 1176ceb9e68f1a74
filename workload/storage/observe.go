package storage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/storage/internal/place"
)

// facts is what Decide knows beyond the common facts.
type facts struct {
	Sites map[understudy.Site]siteFacts `json:"sites"`
	// Unread are sites that answer, whose roots were all seen, and where what understudy keeps beside them could not be read, but for want of a right. They
	// can be closed and opened, and nothing else.
	Unread map[understudy.Site]siteFacts `json:"unread,omitempty"`
}

// of gives what is known of a site.
func (f *facts) of(s understudy.Site) siteFacts {
	if own, ok := f.Sites[s]; ok {
		return own
	}
	return f.Unread[s]
}

// siteFacts is what one site that answered looks like.
type siteFacts struct {
	Identity place.Identity `json:"identity"`
	// Trees are in the order of the plan.
	Trees []treeFacts `json:"trees"`
	// YARN is nil where the site has none, or the plan does not want it.
	YARN *yarnFacts `json:"yarn,omitempty"`
}

// treeFacts is one tree at one site.
type treeFacts struct {
	Path string `json:"path"`
	// There says that the root exists; Root is what it looks like then, and Closed that only understudy's user gets past it.
	There  bool  `json:"there"`
	Root   image `json:"root,omitzero"`
	Closed bool  `json:"closed,omitempty"`
	// Free is the room left in bytes, quotas left out; negative when unknown. Size is how many bytes the files hold, where somebody asked for it
	// and the store counts them; zero otherwise.
	Free int64 `json:"free"`
	Size int64 `json:"size,omitempty"`
	// Quotas are those of the root and above it, where somebody asked for them.
	Quotas []place.Quota `json:"quotas,omitempty"`
	// Unfit is why the root can neither be copied nor written into; empty where it can.
	Unfit string `json:"unfit,omitempty"`
	// Snapshots says what the root's snapshots are: "none" where the store has none, "off" or "on".
	Snapshots string `json:"snapshots"`
	// Nested are snapshottable directories above and below a root that is not: beside them it cannot become so.
	Nested []string `json:"nested,omitempty"`
	// Live and Halted are the folders of links into the tree: those in which a mover may work, and the newest that was halted.
	Live   []string `json:"live,omitempty"`
	Halted string   `json:"halted,omitempty"`
	// Barred are the names of links' folders in whose place a file stands.
	Barred []string `json:"barred,omitempty"`
	// Left are the live folders that hold a set which is ready, or shown in part; of an older link also one that cannot be read. Parts are those of them of
	// whose set a part is shown.
	Left  []string `json:"left,omitempty"`
	Parts []string `json:"parts,omitempty"`
	// Standing is what the newest live link shows, and From its source.
	Standing filecopy.Standing `json:"standing,omitzero"`
	From     understudy.Site   `json:"from,omitempty"`

	stamp *understudy.Stamp
}

// image is what decides who gets past a root.
type image struct {
	Owner string   `json:"owner,omitempty"`
	Group string   `json:"group,omitempty"`
	Mode  uint32   `json:"mode"`
	ACL   []string `json:"acl,omitempty"`
	// Gate is how a tree stands whose store knows no owners and modes; all else is empty then.
	Gate place.Standing `json:"gate,omitzero"`
}

// gated says whether the store knows no owners and modes.
func (i image) gated() bool { return i.Gate.State != "" }

// closedMode lets in nobody but the owner.
const closedMode = 0o700

// firstWord bounds how long a site may take to say anything, and shortWord that of one that was silent moments ago.
const (
	firstWord = 5 * time.Second
	shortWord = time.Second
)

// stampName is the object that carries the stamp, in understudy's own folder of a tree.
const stampName = "stamp.json"

// Observe reads all sites side by side.
func (w *Workload) Observe(ctx context.Context) (workload.Observation, error) {
	obs := workload.Observation{
		At: time.Now(), Sites: map[understudy.Site]workload.SiteFacts{}, Stamp: map[understudy.Site]*understudy.Stamp{},
	}
	f := &facts{Sites: map[understudy.Site]siteFacts{}, Unread: map[understudy.Site]siteFacts{}}
	obs.Facts = f
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, name := range w.siteNames() {
		all.Go(func() {
			s := w.look(ctx, name)
			mu.Lock()
			defer mu.Unlock()
			obs.Sites[name] = s.common
			if s.common.Presence != workload.Present {
				return
			}
			if e := s.common.Error; e != nil {
				obs.Findings = append(obs.Findings, workload.Finding{Code: e.Code, Level: "refuse", Object: w.object(name, e.Object.Shard), Summary: e.Summary, Fix: e.Fix})
			}
			for _, t := range s.own.Trees {
				obs.HighestEpoch = max(obs.HighestEpoch, t.highest())
				obs.Stamp[name] = foreignFirst(w.opening.ControlPlane, w.spec, obs.Stamp[name], t.stamp)
			}
			switch {
			case s.common.Error == nil:
				f.Sites[name] = s.own
			case len(s.own.Trees) == len(w.cfg.Trees) && s.common.Error.Kind != understudy.KindDenied:
				f.Unread[name] = s.own
			}
			// What the store said of itself may be why the rest cannot be read.
			obs.Findings = append(obs.Findings, w.findings(name, s.own)...)
		})
	}
	all.Wait()
	obs.Findings = append(obs.Findings, w.between(f)...)
	if workload.ForDoctor(ctx) {
		obs.Findings = append(obs.Findings, w.rooms(f)...)
	}
	return obs, ctx.Err()
}

// highest is the highest epoch that a tree carries anywhere.
func (t treeFacts) highest() understudy.RoleEpoch {
	top := folderEpoch(t.Halted)
	for _, l := range t.Live {
		top = max(top, folderEpoch(l))
	}
	if t.stamp != nil {
		top = max(top, t.stamp.Role.Epoch)
	}
	return top
}

// foreignFirst gives the stamp that a person should know of: one of another control plane or workload before one of ours, and the newest of
// ours.
func foreignFirst(plane string, spec workload.Spec, a, b *understudy.Stamp) *understudy.Stamp {
	foreign := func(s *understudy.Stamp) bool {
		return s != nil && (s.ControlPlane != plane || s.Plan != spec.Plan || s.Workload != spec.Name)
	}
	switch {
	case foreign(a) || b == nil:
		return a
	case foreign(b) || a == nil || b.Role.Epoch > a.Role.Epoch:
		return b
	}
	return a
}

// seen is one site as it was seen.
type seen struct {
	common workload.SiteFacts
	own    siteFacts
}

// look reads one site. What is kept beside the trees may be out of reach where the store speaks, and lets us see the roots: those are looked at all the same.
func (w *Workload) look(ctx context.Context, name understudy.Site) seen {
	if w.opening.AbsentByPlan(name) {
		return seen{common: workload.SiteFacts{Presence: workload.Absent}}
	}
	id, err := w.ask(ctx, name)
	if err != nil {
		return w.unmetSite(name, err)
	}
	s := seen{common: workload.SiteFacts{Presence: workload.Present, Identity: id.Name, Version: id.Version}, own: siteFacts{Identity: id}}
	if !id.Untimed {
		s.common.ClockSkew, s.common.ClockAt = id.Skew, time.Now()
	}
	s.own.YARN = w.lookAtYARN(ctx, name)
	closed, unread, where := 0, error(nil), ""
	for _, t := range w.cfg.Trees {
		tf, err := w.lookAtRoot(ctx, name, t.Path, id)
		if err != nil {
			return w.unreadSite(ctx, name, t.Path, s, err)
		}
		if unread == nil && tf.Unfit == "" {
			unread, where = w.lookBeside(ctx, name, &tf), t.Path
		}
		if tf.Closed || !tf.There {
			closed++
		}
		s.own.Trees = append(s.own.Trees, tf)
	}
	if unread != nil {
		return w.unreadSite(ctx, name, where, s, unread)
	}
	s.common.Writable = writable(s.own.Trees, closed)
	return s
}

// ask asks who answers at a site.
func (w *Workload) ask(ctx context.Context, name understudy.Site) (place.Identity, error) {
	limit := firstWord
	if workload.Silent(ctx, name) {
		limit = shortWord
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return w.sites[name].Look(ctx)
}

// unmetSite is a site whose store was asked who it is, in vain.
func (w *Workload) unmetSite(name understudy.Site, err error) seen {
	s := seen{common: workload.SiteFacts{Presence: workload.Unreachable, Error: understudy.AsError(w.unmet(name, err))}}
	if place.TurnedAway(err) || place.Doubtful(err) {
		// It is there, or may be, and may well let ordinary writers in: nobody's word takes the place of a fence.
		s.common.Presence, s.common.Writable = workload.Present, "unknown"
	}
	return s
}

// unreadSite is a site whose store spoke right before, and where a tree could not be looked at. Unless that was the store's own word, or a doubt, it is asked
// once more, and given as long: only it tells whether it fell silent in between, or somebody behind it, such as a DataNode, a disk or a damaged file, is
// the reason. Where it speaks it may well let ordinary writers in.
func (w *Workload) unreadSite(ctx context.Context, name understudy.Site, tree string, s seen, err error) seen {
	e := understudy.AsError(w.failure(name, tree, "look at", err))
	if !place.TurnedAway(err) && !place.Doubtful(err) && !errors.Is(err, fs.ErrPermission) && e.Kind != understudy.KindInvalid {
		if _, silent := w.ask(ctx, name); silent != nil {
			return w.unmetSite(name, silent)
		}
		e = w.illegible(name, tree, e, err)
	}
	s.common.Error, s.common.Writable = e, "unknown"
	return s
}

// writable says in a word what is known about ordinary writes. A side that a link writes into, and that nothing closes, is unguarded.
func writable(trees []treeFacts, closed int) string {
	for _, t := range trees {
		if t.Root.Gate.State == place.GateNone && len(t.Live) > 0 {
			return "unguarded"
		}
	}
	if closed == len(trees) {
		return "fenced"
	}
	return "open"
}

// lookAtRoot reads what a store itself tells of one tree. On HDFS that is the NameNode's word alone.
func (w *Workload) lookAtRoot(ctx context.Context, site understudy.Site, tree string, id place.Identity) (treeFacts, error) {
	t := treeFacts{Path: tree, Free: -1, Snapshots: "none"}
	at := w.at(site, tree)
	store, err := at.Store(ctx, "", false)
	if err != nil {
		return t, err
	}
	root, err := store.Probe(ctx)
	_, gate := at.(place.Gate)
	if coded := understudy.AsError(err); coded != nil && coded.Code == "US618" {
		t.There, t.Unfit = true, coded.Summary
		return t, nil
	}
	switch {
	case err == nil, gate && errors.Is(err, filecopy.ErrNotFound):
		// What a gate keeps out is known before there is a root.
		if t.There = err == nil; t.There {
			t.Free = root.Free
		}
		if t.Root, err = imageOf(ctx, at, store); err != nil {
			return t, err
		}
		t.Closed = t.Root.closed(id.User)
	case !errors.Is(err, filecopy.ErrNotFound):
		return t, err
	}
	if s, ok := at.(place.Snapshots); ok {
		if err := t.lookAtSnapshots(ctx, s); err != nil {
			return t, err
		}
	}
	if l, ok := at.(place.Limited); ok && workload.ForDoctor(ctx) {
		if err := t.measure(ctx, l); err != nil {
			return t, err
		}
	}
	return t, nil
}

// lookBeside reads what understudy keeps beside a tree. Which folders there are is looked at first: that is the store's word still.
func (w *Workload) lookBeside(ctx context.Context, site understudy.Site, t *treeFacts) error {
	at := w.at(site, t.Path)
	folders, err := at.Folders(ctx)
	if err != nil {
		return err
	}
	for _, f := range folders {
		if isLive(f) {
			t.Live = append(t.Live, f.Name)
		}
		if f.Barred && folderEpoch(f.Name) > 0 {
			t.Barred = append(t.Barred, f.Name)
		}
	}
	t.Halted = newest(folders, func(f place.Folder) bool { return f.Name == halted(folderEpoch(f.Name)) })
	store, err := at.Store(ctx, "", false)
	if err != nil {
		return err
	}
	if t.stamp, err = readStamp(ctx, store); err != nil {
		return err
	}
	present := newest(folders, isLive)
	for _, folder := range t.Live {
		if err := w.lookAtLink(ctx, site, t, folder, folder == present); err != nil {
			return err
		}
	}
	return nil
}

// lookAtSnapshots asks whether the root is snapshottable, and what keeps it from becoming so; of a root that is not there yet only for doctor.
func (t *treeFacts) lookAtSnapshots(ctx context.Context, s place.Snapshots) error {
	if t.There {
		on, err := s.Snapshottable(ctx)
		if err != nil {
			return err
		}
		t.Snapshots = map[bool]string{true: "on", false: "off"}[on]
	}
	if t.Snapshots == "on" || !t.There && !workload.ForDoctor(ctx) {
		return nil
	}
	var err error
	t.Nested, err = s.Nested(ctx)
	return err
}

// measure asks for what costs a store some work.
func (t *treeFacts) measure(ctx context.Context, l place.Limited) (err error) {
	if t.Quotas, err = l.Quotas(ctx); err != nil {
		return err
	}
	if !t.There {
		t.Free, err = l.Room(ctx)
		return err
	}
	size, err := l.Size(ctx)
	t.Size = max(0, size)
	return err
}

// lookAtLink reads the folder of one link. Only the newest says what the tree shows; there is an older one where a link was begun anew. What cannot be read of
// that does not stand in the way of what the store says otherwise.
func (w *Workload) lookAtLink(ctx context.Context, site understudy.Site, t *treeFacts, folder string, present bool) error {
	left, part := false, false
	for _, from := range w.siteNames() {
		if from == site {
			continue
		}
		standing, err := w.standing(ctx, route{From: from, To: site, Folder: folder}, t.Path)
		switch {
		case err == nil:
		case present || !passable(ctx, err):
			return err
		case barred(err):
			// It was halted since the folders were listed.
			continue
		default:
			left = true
			continue
		}
		left, part = left || standing.Ready != nil, part || halfShown(standing)
		if present && (standing.Published != nil || standing.Ready != nil) {
			t.Standing, t.From = standing, from
		}
	}
	if left {
		t.Left = append(t.Left, folder)
	}
	if part {
		t.Parts = append(t.Parts, folder)
	}
	return nil
}

// standing reads how a link into a tree stands.
func (w *Workload) standing(ctx context.Context, r route, tree string) (filecopy.Standing, error) {
	j, err := w.job(ctx, r, tree, false)
	if err != nil {
		return filecopy.Standing{}, err
	}
	return w.mover(tree, "run").Standing(ctx, j)
}

// imageOf reads what decides who gets past a root.
func imageOf(ctx context.Context, at place.Tree, store filecopy.Store) (image, error) {
	if g, ok := at.(place.Gate); ok {
		s, err := g.Rules(ctx)
		return image{Gate: s}, err
	}
	v, err := store.Open(ctx, filecopy.Pin{})
	if err != nil {
		return image{}, err
	}
	defer v.Close()
	e, err := v.Stat(ctx, "")
	return image{Owner: e.Owner, Group: e.Group, Mode: e.Mode, ACL: e.ACL}, err
}

// closed says whether nobody but the given user gets past the root.
func (i image) closed(user string) bool {
	if i.gated() {
		return i.Gate.State == place.GateClosed
	}
	return i.Mode&0o777 == closedMode && (i.Owner == user || i.Owner == "")
}

// attributes gives the image in the mover's form.
func (i image) attributes() filecopy.Attributes {
	return filecopy.Attributes{Owner: i.Owner, Group: i.Group, Mode: i.Mode, ACL: i.ACL}
}

// named gives the image with the owner's and group's names mapped by a table, if that is asked for.
func (i image) named(p Principals, mapped bool) image {
	if !mapped {
		return i
	}
	if n, ok := p.Users[i.Owner]; ok {
		i.Owner = n
	}
	if n, ok := p.Groups[i.Group]; ok {
		i.Group = n
	}
	acl := make([]string, 0, len(i.ACL))
	for _, a := range i.ACL {
		acl = append(acl, p.entry(a))
	}
	slices.Sort(acl)
	if len(acl) > 0 {
		i.ACL = acl
	}
	return i
}

// entry maps the name in one entry of a list, such as default:user:ada:r-x. Names hold no colon.
func (p Principals) entry(a string) string {
	rest, scoped := strings.CutPrefix(a, "default:")
	part := strings.Split(rest, ":")
	if len(part) != 3 {
		return a
	}
	table := map[string]map[string]string{"user": p.Users, "group": p.Groups}[part[0]]
	if n, ok := table[part[1]]; ok {
		part[1] = n
	}
	if scoped {
		return "default:" + strings.Join(part, ":")
	}
	return strings.Join(part, ":")
}

// String gives the image for people.
func (i image) String() string {
	if i.gated() {
		return fmt.Sprintf("%s by %s", i.Gate.State, i.Gate.Means)
	}
	text := fmt.Sprintf("%s:%s %04o", i.Owner, i.Group, i.Mode)
	if len(i.ACL) > 0 {
		text += " " + strings.Join(i.ACL, ",")
	}
	return text
}

// errTorn means that a stamp is damaged.
var errTorn = errors.New("storage: the stamp is damaged")

// readStamp reads the stamp of a tree; nil when it has none. One that is damaged is not taken for none: nobody knows whose the tree is.
func readStamp(ctx context.Context, store filecopy.Keeper) (*understudy.Stamp, error) {
	r, err := store.Kept(ctx, stampName)
	if errors.Is(err, filecopy.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer r.Close()
	doc, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("the stamp cannot be read: %w", err)
	}
	var s understudy.Stamp
	if err := json.NewDecoder(bytes.NewReader(doc)).Decode(&s); err != nil {
		return nil, fmt.Errorf("%w: %w", errTorn, err)
	}
	return &s, nil
}

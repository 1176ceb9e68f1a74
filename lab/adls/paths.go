package adls

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// makePath makes a file, in place of one that is there, or a directory; a directory that is there keeps what it holds.
func (a *Account) makePath(q *request) *refusal {
	a.mu.Lock()
	defer a.mu.Unlock()
	f, no := a.system(q)
	if no != nil {
		return no
	}
	n := f.find(q.path)
	if no := a.holds(q, n); no != nil {
		return no
	}
	dir := q.query.Get("resource") == "directory"
	if n != nil && n.dir != dir || q.path == "" {
		return refuse(http.StatusConflict, "ResourceTypeMismatch", "there is something of another kind")
	}
	above, file := f.nearest(q.path)
	if file {
		return refuse(http.StatusConflict, "PathConflict", "a file stands above "+q.path)
	}
	c, no := a.made(q, above, dir)
	if no != nil {
		return no
	}
	if n != nil && dir {
		c.Do, c.Owner, c.Group, c.List, c.Sticky = doDress, n.owner, n.group, n.list.String(), n.sticky
	}
	if no := a.commit(c); no != nil {
		return no
	}
	stamp(q.w, c.ETag, c.At)
	q.w.WriteHeader(http.StatusCreated)
	return nil
}

// nearest gives the deepest directory that exists above a path, and whether a file stands in the way.
func (f *filesystem) nearest(path string) (above *node, file bool) {
	dir, _ := split(path)
	above = f.root
	for _, e := range elements(dir) {
		next := above.children[e]
		if next == nil {
			break
		}
		if !next.dir {
			return above, true
		}
		above = next
	}
	return above, false
}

// made is the change that makes a path, with the attributes that a request asks for.
func (a *Account) made(q *request, above *node, dir bool) (change, *refusal) {
	c := change{Do: doMake, FS: q.fs, Path: q.path, Dir: dir, Owner: superuser, Group: above.group}
	a.state.stamp(&c)
	mode, umask := uint16(0o666), uint16(defaultUmask)
	if dir {
		mode = 0o777
	}
	var err error
	if text := q.Header.Get("x-ms-permissions"); text != "" {
		if mode, c.Sticky, err = parseMode(text); err != nil {
			return c, refuse(http.StatusBadRequest, "InvalidHeaderValue", err.Error())
		}
	}
	if text := q.Header.Get("x-ms-umask"); text != "" {
		if umask, _, err = parseMode(text); err != nil {
			return c, refuse(http.StatusBadRequest, "InvalidHeaderValue", err.Error())
		}
	}
	c.List = above.list.heir(mode, umask, dir).String()
	if text := q.Header.Get("x-ms-acl"); text != "" {
		c.List = text
	}
	c.Owner, c.Group = first(q.Header.Get("x-ms-owner"), c.Owner), first(q.Header.Get("x-ms-group"), c.Group)
	var no *refusal
	if c.Properties, no = properties(q.Header); no != nil {
		return c, no
	}
	return c, a.known(c)
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// known refuses lists that are none, and names that the account does not know.
func (a *Account) known(c change) *refusal {
	l, err := parseList(c.List)
	if err != nil {
		return refuse(http.StatusBadRequest, "InvalidHeaderValue", err.Error())
	}
	names := []string{c.Owner, c.Group}
	for _, g := range l {
		names = append(names, g.name)
	}
	for _, name := range names {
		if name != "" && name != superuser && a.config.Principals != nil && !a.config.Principals(name) {
			return refuse(http.StatusBadRequest, "InvalidNamedUserOrGroup", "the account knows no "+name)
		}
	}
	return nil
}

// dress sets attributes or properties of a path.
func (a *Account) dress(q *request, action string) *refusal {
	a.mu.Lock()
	defer a.mu.Unlock()
	n, no := a.node(q)
	if no != nil {
		return no
	}
	c := change{Do: doDress, FS: q.fs, Path: q.path, Owner: n.owner, Group: n.group, List: n.list.String(), Sticky: n.sticky, Properties: n.properties}
	a.state.stamp(&c)
	if action == "setAccessControl" {
		no = a.control(q, n, &c)
	} else {
		c.Properties, no = properties(q.Header)
	}
	if no != nil {
		return no
	}
	if no := a.commit(c); no != nil {
		return no
	}
	stamp(q.w, c.ETag, c.At)
	q.w.WriteHeader(http.StatusOK)
	return nil
}

// control takes owner, group, and either a list or permissions from a request.
func (a *Account) control(q *request, n *node, c *change) *refusal {
	if a.config.Flat {
		return flat()
	}
	text, permissions := q.Header.Get("x-ms-acl"), q.Header.Get("x-ms-permissions")
	if text != "" && permissions != "" {
		return refuse(http.StatusBadRequest, "InvalidInput", "permissions and a list at once")
	}
	c.Owner, c.Group = first(q.Header.Get("x-ms-owner"), c.Owner), first(q.Header.Get("x-ms-group"), c.Group)
	if permissions != "" {
		mode, sticky, err := parseMode(permissions)
		if err != nil {
			return refuse(http.StatusBadRequest, "InvalidHeaderValue", err.Error())
		}
		c.List, c.Sticky = n.list.chmod(mode).String(), sticky
	}
	if text != "" {
		l, err := parseList(text)
		if err != nil {
			return refuse(http.StatusBadRequest, "InvalidHeaderValue", err.Error())
		}
		if !n.dir && slices.ContainsFunc(l, func(g grant) bool { return g.inherited }) {
			return refuse(http.StatusBadRequest, "InvalidInput", "a file has no default entries")
		}
		c.List = l.String()
	}
	return a.known(*c)
}

func flat() *refusal {
	return refuse(http.StatusBadRequest, "HierarchicalNamespaceNotEnabled", "the account has no hierarchical namespace")
}

// rename moves a path with all below it in one step.
func (a *Account) rename(q *request) *refusal {
	a.mu.Lock()
	defer a.mu.Unlock()
	f, no := a.system(q)
	if no != nil {
		return no
	}
	from, no := a.source(q)
	if no != nil {
		return no
	}
	n := f.find(from)
	if n == nil || from == "" {
		return refuse(http.StatusNotFound, "SourcePathNotFound", "there is no "+from)
	}
	if want := bare(q.Header.Get("x-ms-source-if-match")); want != "" && want != n.etag {
		return refuse(http.StatusPreconditionFailed, "SourceConditionNotMet", "the ETag of the source is another one")
	}
	if no := a.movable(q, f, n, from); no != nil {
		return no
	}
	c := change{Do: doRename, FS: q.fs, Path: from, To: q.path}
	a.state.stamp(&c)
	if from != q.path {
		if no := a.commit(c); no != nil {
			return no
		}
	}
	stamp(q.w, n.etag, n.modified)
	q.w.WriteHeader(http.StatusCreated)
	return nil
}

// source reads which path is to be renamed; the SDK puts the account before the file system where the URL has it there.
func (a *Account) source(q *request) (string, *refusal) {
	text, _, _ := strings.Cut(q.Header.Get("x-ms-rename-source"), "?")
	text, err := url.PathUnescape(text)
	if err != nil {
		return "", refuse(http.StatusBadRequest, "InvalidSourceUri", err.Error())
	}
	text = strings.TrimPrefix(strings.TrimPrefix(text, "/"), a.config.Account+"/")
	fs, path, _ := strings.Cut(text, "/")
	if fs != q.fs {
		return "", refuse(http.StatusBadRequest, "InvalidSourceUri", "the source is in another file system")
	}
	return strings.TrimSuffix(path, "/"), nil
}

// movable says what keeps a path from being renamed.
func (a *Account) movable(q *request, f *filesystem, n *node, from string) *refusal {
	dir, _ := split(q.path)
	if above := f.find(dir); above == nil || !above.dir {
		return refuse(http.StatusNotFound, "RenameDestinationParentPathNotFound", "there is no directory "+dir)
	}
	if strings.HasPrefix(q.path, from+"/") || q.path == "" {
		return refuse(http.StatusConflict, "InvalidRenameSourcePath", "a directory cannot be moved below itself")
	}
	there := f.find(q.path)
	if no := a.holds(q, there); no != nil || there == nil {
		return no
	}
	if there.dir != n.dir {
		return refuse(http.StatusConflict, "InvalidSourceOrDestinationResourceType", "there is something of another kind")
	}
	if there.dir && there != n && len(there.children) > 0 {
		return refuse(http.StatusConflict, "DirectoryNotEmpty", "the directory there is not empty")
	}
	return nil
}

// remove removes a path; of a directory as much as a page has, deepest first.
func (a *Account) remove(q *request) *refusal {
	a.mu.Lock()
	defer a.mu.Unlock()
	n, no := a.node(q)
	if no != nil {
		return no
	}
	if q.path == "" {
		return refuse(http.StatusBadRequest, "InvalidUri", "the root cannot be removed")
	}
	if len(n.children) > 0 && q.query.Get("recursive") != "true" {
		return refuse(http.StatusConflict, "DirectoryNotEmpty", "the directory is not empty")
	}
	var below []string
	n.walk(q.path, true, func(path string, _ *node) bool {
		below = append(below, path)
		return true
	})
	gone := []string{q.path}
	if a.config.Page > 0 && len(below) > a.config.Page {
		slices.Reverse(below)
		gone = below[:a.config.Page]
		q.w.Header().Set("x-ms-continuation", "more")
	}
	for _, path := range gone {
		c := change{Do: doRemove, FS: q.fs, Path: path}
		a.state.stamp(&c)
		if no := a.commit(c); no != nil {
			return no
		}
	}
	q.w.WriteHeader(http.StatusOK)
	return nil
}

// defaultPage is how many entries a page has at most.
const defaultPage = 5000

// entry is one line of a listing, in which the service puts numbers and flags into strings.
type entry struct {
	Name        string `json:"name"`
	IsDirectory string `json:"isDirectory,omitempty"`
	Length      string `json:"contentLength"`
	Modified    string `json:"lastModified"`
	ETag        string `json:"etag"`
	Owner       string `json:"owner"`
	Group       string `json:"group"`
	Permissions string `json:"permissions"`
}

func (n *node) entry(path string) entry {
	e := entry{
		Name: path, Length: strconv.Itoa(len(n.content)), Modified: n.modified.Format(http.TimeFormat), ETag: n.etag,
		Owner: n.owner, Group: n.group, Permissions: n.list.permissions(n.sticky),
	}
	if n.dir {
		e.IsDirectory = "true"
	}
	return e
}

// list gives a page of what lies below a directory.
func (a *Account) list(q *request) *refusal {
	page, entries, no := a.listed(q)
	if no != nil {
		return no
	}
	if page != "" {
		q.w.Header().Set("x-ms-continuation", page)
	}
	q.w.Header().Set("Content-Type", "application/json")
	q.w.WriteHeader(http.StatusOK)
	// A client that is gone has no need of the answer.
	_ = json.NewEncoder(q.w).Encode(map[string][]entry{"paths": entries})
	return nil
}

func (a *Account) listed(q *request) (next string, entries []entry, no *refusal) {
	a.mu.Lock()
	defer a.mu.Unlock()
	dir := strings.Trim(q.query.Get("directory"), "/")
	q.path = dir
	n, no := a.node(q)
	if no != nil {
		return "", nil, no
	}
	if !n.dir {
		return "", nil, refuse(http.StatusNotFound, "PathNotFound", dir+" is no directory")
	}
	limit := a.config.Page
	if said, err := strconv.Atoi(q.query.Get("maxResults")); limit == 0 && err == nil {
		limit = said
	}
	if limit <= 0 || limit > defaultPage {
		limit = defaultPage
	}
	after, err := base64.StdEncoding.DecodeString(q.query.Get("continuation"))
	if err != nil {
		return "", nil, refuse(http.StatusBadRequest, "InvalidQueryParameterValue", "the continuation is not ours")
	}
	entries = []entry{}
	n.walk(dir, q.query.Get("recursive") == "true", func(path string, n *node) bool {
		if len(after) > 0 && compare(path, string(after)) <= 0 {
			return true
		}
		if len(entries) == limit {
			next = base64.StdEncoding.EncodeToString([]byte(entries[limit-1].Name))
			return false
		}
		entries = append(entries, n.entry(path))
		return true
	})
	return next, entries, nil
}

// compare orders paths as a walk meets them.
func compare(a, b string) int { return slices.Compare(elements(a), elements(b)) }

package adls

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// refusal is an answer that says no.
type refusal struct {
	status        int
	code, message string
}

func refuse(status int, code, message string) *refusal { return &refusal{status, code, message} }

func (no *refusal) write(w http.ResponseWriter) {
	w.Header().Set("x-ms-error-code", no.code)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(no.status)
	// A client that is gone has no need of the answer.
	_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]string{"code": no.code, "message": no.message}})
}

// version is what the answers say of themselves.
const version = "2025-01-05"

// request is one request taken apart.
type request struct {
	*http.Request
	w      http.ResponseWriter
	method string
	query  url.Values
	fs     string
	path   string
	body   []byte
}

// maxBody is the largest append.
const maxBody = 100 << 20

// ServeHTTP answers one request.
func (a *Account) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("x-ms-version", version)
	w.Header().Set("x-ms-request-id", r.Header.Get("x-ms-client-request-id"))
	q := &request{Request: r, w: w, method: r.Method}
	no := a.taken(q)
	if no == nil {
		no = a.answer(q)
	}
	if no != nil {
		no.write(w)
	}
}

// taken checks a request, and takes it apart.
func (a *Account) taken(q *request) *refusal {
	if no := a.signed(q.Request); no != nil {
		return no
	}
	if q.Header.Get("x-ms-version") == "" {
		return refuse(http.StatusBadRequest, "MissingRequiredHeader", "x-ms-version is missing")
	}
	if meant := q.Header.Get("X-HTTP-Method-Override"); meant != "" {
		q.method = meant
	}
	raw, query, _ := strings.Cut(q.RequestURI, "?")
	var err error
	if q.query, err = url.ParseQuery(query); err != nil {
		return refuse(http.StatusBadRequest, "InvalidUri", err.Error())
	}
	name, err := url.PathUnescape(raw)
	if err != nil {
		return refuse(http.StatusBadRequest, "InvalidUri", err.Error())
	}
	account, rest, _ := strings.Cut(strings.TrimPrefix(name, "/"), "/")
	if account != a.config.Account {
		return refuse(http.StatusBadRequest, "InvalidUri", "there is no such account")
	}
	q.fs, q.path, _ = strings.Cut(rest, "/")
	q.path = strings.TrimSuffix(q.path, "/")
	if no := goodPath(q.path); no != nil {
		return no
	}
	q.body, err = io.ReadAll(http.MaxBytesReader(q.w, q.Body, maxBody))
	if err != nil {
		return refuse(http.StatusRequestEntityTooLarge, "RequestBodyTooLarge", err.Error())
	}
	return nil
}

// Limits of the service: 63 segments with account and file system.
const (
	maxSegments = 61
	maxName     = 1024
)

func goodPath(path string) *refusal {
	parts := elements(path)
	if len(parts) > maxSegments || len(path) > maxName {
		return refuse(http.StatusBadRequest, "InvalidUri", "the path is too deep or too long")
	}
	if slices.ContainsFunc(parts, func(e string) bool { return e == "" || e == "." || e == ".." }) {
		return refuse(http.StatusBadRequest, "InvalidUri", "the path has an empty element, '.' or '..'")
	}
	return nil
}

// answer finds what a request is about. The dialects of both endpoints are told apart by their parameters.
func (a *Account) answer(q *request) *refusal {
	whole := q.path == "" && (q.query.Get("resource") == "filesystem" || q.query.Get("restype") == "container")
	if whole && q.method == http.MethodGet && q.query.Get("resource") != "" {
		return a.list(q)
	}
	if whole {
		return a.whole(q)
	}
	switch action := q.query.Get("action"); {
	case q.method == http.MethodPut && q.Header.Get("x-ms-rename-source") != "":
		return a.rename(q)
	case q.method == http.MethodPut && q.query.Get("resource") != "":
		return a.makePath(q)
	case q.method == http.MethodPut && q.query.Get("comp") == "metadata":
		return a.dress(q, "metadata")
	case q.method == http.MethodPatch && action == "append":
		return a.append(q)
	case q.method == http.MethodPatch && action == "flush":
		return a.flush(q)
	case q.method == http.MethodPatch && (action == "setAccessControl" || action == "setProperties"):
		return a.dress(q, action)
	case q.method == http.MethodHead:
		return a.head(q, action)
	case q.method == http.MethodGet:
		return a.read(q)
	case q.method == http.MethodDelete:
		return a.remove(q)
	}
	return refuse(http.StatusMethodNotAllowed, "UnsupportedHttpVerb", "this server does not know "+q.method+" "+q.URL.RawQuery)
}

// system gives the file system of a request.
func (a *Account) system(q *request) (*filesystem, *refusal) {
	f := a.state.systems[q.fs]
	if f == nil {
		return nil, refuse(http.StatusNotFound, "FilesystemNotFound", "there is no file system "+q.fs)
	}
	return f, nil
}

// node gives what a request is about.
func (a *Account) node(q *request) (*node, *refusal) {
	f, no := a.system(q)
	if no != nil {
		return nil, no
	}
	n := f.find(q.path)
	if n == nil {
		return nil, refuse(http.StatusNotFound, "PathNotFound", "there is no "+q.path)
	}
	return n, a.holds(q, n)
}

// holds checks the conditions of a request; those by time are not known here.
func (a *Account) holds(q *request, n *node) *refusal {
	if q.Header.Get("If-Modified-Since")+q.Header.Get("If-Unmodified-Since") != "" {
		return refuse(http.StatusBadRequest, "UnsupportedHeader", "this server knows no conditions by time")
	}
	if want := bare(q.Header.Get("If-Match")); want != "" && (n == nil || want != "*" && want != n.etag) {
		return refuse(http.StatusPreconditionFailed, "ConditionNotMet", "the ETag is another one")
	}
	not := bare(q.Header.Get("If-None-Match"))
	if not == "" || n == nil {
		return nil
	}
	if not == "*" {
		return refuse(http.StatusConflict, "PathAlreadyExists", "the path exists")
	}
	if not == n.etag {
		return refuse(http.StatusPreconditionFailed, "ConditionNotMet", "the ETag is the same")
	}
	return nil
}

func bare(etag string) string { return strings.Trim(etag, `"`) }

// commit makes a change durable, and answers what went wrong.
func (a *Account) commit(c change) *refusal {
	err := a.state.commit(c)
	if errors.Is(err, errApply) {
		return refuse(http.StatusConflict, "PathConflict", err.Error())
	}
	if err != nil {
		return refuse(http.StatusInternalServerError, "InternalError", err.Error())
	}
	return nil
}

// stamp says when something changed, and which version of it this is.
func stamp(w http.ResponseWriter, etag string, at time.Time) {
	w.Header().Set("ETag", `"`+etag+`"`)
	w.Header().Set("Last-Modified", at.Format(http.TimeFormat))
}

// whole makes, removes or describes a file system.
func (a *Account) whole(q *request) *refusal {
	a.mu.Lock()
	defer a.mu.Unlock()
	f := a.state.systems[q.fs]
	c := change{FS: q.fs, Properties: map[string]string{}}
	a.state.stamp(&c)
	status := http.StatusOK
	switch {
	case q.method == http.MethodPut && q.query.Get("comp") == "":
		c.Do, status = doMakeFS, http.StatusCreated
		if f != nil {
			return refuse(http.StatusConflict, "FilesystemAlreadyExists", "the file system exists")
		}
	case f == nil:
		return refuse(http.StatusNotFound, "FilesystemNotFound", "there is no file system "+q.fs)
	case q.method == http.MethodDelete:
		c.Do, status = doRemoveFS, http.StatusAccepted
	case q.method == http.MethodPatch || q.query.Get("comp") == "metadata":
		c.Do = doDescribeFS
	case q.method != http.MethodHead && q.method != http.MethodGet:
		return refuse(http.StatusMethodNotAllowed, "UnsupportedHttpVerb", "not for file systems")
	}
	var no *refusal
	if c.Properties, no = properties(q.Header); no != nil {
		return no
	}
	if c.Do != "" {
		if no := a.commit(c); no != nil {
			return no
		}
	}
	if f = a.state.systems[q.fs]; f != nil {
		stamp(q.w, f.etag, f.modified)
		tell(q.w, f.properties)
	}
	q.w.Header().Set("x-ms-namespace-enabled", map[bool]string{true: "false", false: "true"}[a.config.Flat])
	q.w.WriteHeader(status)
	return nil
}

// properties reads them in the words of either endpoint.
func properties(h http.Header) (map[string]string, *refusal) {
	all := map[string]string{}
	for name, values := range h {
		if key, ok := strings.CutPrefix(strings.ToLower(name), "x-ms-meta-"); ok {
			all[key] = strings.Join(values, ",")
		}
	}
	for pair := range strings.SplitSeq(h.Get("x-ms-properties"), ",") {
		key, value, ok := strings.Cut(strings.TrimSpace(pair), "=")
		if !ok {
			continue
		}
		text, err := base64.StdEncoding.DecodeString(value)
		if err != nil {
			return nil, refuse(http.StatusBadRequest, "InvalidHeaderValue", "a property is not in base64")
		}
		all[key] = string(text)
	}
	return all, nil
}

// tell gives properties in the words of both endpoints.
func tell(w http.ResponseWriter, all map[string]string) {
	var pairs []string
	for _, key := range slices.Sorted(maps.Keys(all)) {
		w.Header()["x-ms-meta-"+key] = []string{all[key]}
		pairs = append(pairs, key+"="+base64.StdEncoding.EncodeToString([]byte(all[key])))
	}
	w.Header().Set("x-ms-properties", strings.Join(pairs, ","))
}

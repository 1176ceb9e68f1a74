package adls

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc64"
	"net/http"
	"strconv"
	"strings"
)

// polynomial of the service's CRC64, reversed as hash/crc64 wants it.
const polynomial = 0x9A6C9329AC4BC9B5

// arrivedWhole checks what arrived against the sums that came with it.
func (q *request) arrivedWhole() *refusal {
	if said := q.Header.Get("Content-MD5"); said != "" {
		sum := md5.Sum(q.body)
		if said != base64.StdEncoding.EncodeToString(sum[:]) {
			return refuse(http.StatusBadRequest, "Md5Mismatch", "the content has another MD5")
		}
	}
	if said := q.Header.Get("x-ms-content-crc64"); said != "" {
		sum := binary.LittleEndian.AppendUint64(nil, crc64.Checksum(q.body, crc64.MakeTable(polynomial)))
		if said != base64.StdEncoding.EncodeToString(sum) {
			return refuse(http.StatusBadRequest, "Crc64Mismatch", "the content has another CRC64")
		}
	}
	return nil
}

// position reads where an append or a flush is.
func (q *request) position() (int64, *refusal) {
	at, err := strconv.ParseInt(q.query.Get("position"), 10, 64)
	if err != nil || at < 0 {
		return 0, refuse(http.StatusBadRequest, "InvalidQueryParameterValue", "position is no number")
	}
	return at, nil
}

// append takes bytes that nobody sees before they are flushed, which the same request may ask for.
func (a *Account) append(q *request) *refusal {
	at, no := q.position()
	if no == nil {
		no = q.arrivedWhole()
	}
	if no != nil {
		return no
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	n, no := a.node(q)
	if no != nil {
		return no
	}
	switch {
	case n.dir:
		return refuse(http.StatusConflict, "ResourceTypeMismatch", "a directory has no content")
	case at < int64(len(n.content)):
		return refuse(http.StatusBadRequest, "InvalidQueryParameterValue", "the position is before the end of the file")
	case len(q.body) == 0:
		return refuse(http.StatusBadRequest, "InvalidHeaderValue", "there is nothing to append")
	}
	c := change{Do: doAppend, FS: q.fs, Path: q.path, Position: at, data: q.body}
	a.state.stamp(&c)
	if no := a.commit(c); no != nil {
		return no
	}
	if q.query.Get("flush") == "true" {
		if no := a.flushTo(q, n, at+int64(len(q.body)), true); no != nil {
			return no
		}
	}
	stamp(q.w, n.etag, n.modified)
	q.w.WriteHeader(http.StatusAccepted)
	return nil
}

// flush shows what was appended.
func (a *Account) flush(q *request) *refusal {
	at, no := q.position()
	if no != nil {
		return no
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	n, no := a.node(q)
	if no != nil {
		return no
	}
	if len(q.body) > 0 {
		return refuse(http.StatusBadRequest, "ContentLengthMustBeZero", "a flush has no content")
	}
	if no := a.flushTo(q, n, at, q.query.Get("retainUncommittedData") == "true"); no != nil {
		return no
	}
	stamp(q.w, n.etag, n.modified)
	q.w.Header().Set("Content-Length", "0")
	q.w.WriteHeader(http.StatusOK)
	return nil
}

func (a *Account) flushTo(q *request, n *node, at int64, retain bool) *refusal {
	if _, ok := n.flushed(at); !ok || n.dir {
		return refuse(http.StatusBadRequest, "InvalidFlushPosition", "what was appended does not reach the position without gap or overlap")
	}
	c := change{Do: doFlush, FS: q.fs, Path: q.path, Position: at, Retain: retain}
	a.state.stamp(&c)
	return a.commit(c)
}

// head describes a path.
func (a *Account) head(q *request, action string) *refusal {
	a.mu.Lock()
	defer a.mu.Unlock()
	n, no := a.node(q)
	if no != nil {
		return no
	}
	if action == "getAccessControl" && a.config.Flat {
		return flat()
	}
	n.describe(q.w)
	q.w.Header().Set("Content-Length", strconv.Itoa(len(n.content)))
	if action == "getAccessControl" {
		q.w.Header().Set("x-ms-acl", n.list.String())
		q.w.Header().Set("Content-Length", "0")
	}
	q.w.WriteHeader(http.StatusOK)
	return nil
}

// describe gives what is known of a path, in the words of both endpoints.
func (n *node) describe(w http.ResponseWriter) {
	stamp(w, n.etag, n.modified)
	tell(w, n.properties)
	kind := "file"
	if n.dir {
		kind = "directory"
		w.Header().Set("x-ms-meta-hdi_isfolder", "true")
	}
	w.Header().Set("x-ms-resource-type", kind)
	w.Header().Set("x-ms-owner", n.owner)
	w.Header().Set("x-ms-group", n.group)
	w.Header().Set("x-ms-permissions", n.list.permissions(n.sticky))
	w.Header().Set("x-ms-creation-time", n.made.Format(http.TimeFormat))
	w.Header().Set("x-ms-blob-type", "BlockBlob")
	w.Header().Set("x-ms-server-encrypted", "false")
	w.Header().Set("Accept-Ranges", "bytes")
}

// read gives content, of which a request may ask for a part.
func (a *Account) read(q *request) *refusal {
	content, no := a.content(q)
	if no != nil {
		return no
	}
	text := first(q.Header.Get("x-ms-range"), q.Header.Get("Range"))
	status, size := http.StatusOK, int64(len(content))
	if text != "" {
		from, to, ok := span(text, size)
		if !ok {
			return refuse(http.StatusRequestedRangeNotSatisfiable, "InvalidRange", "the file has no such bytes")
		}
		q.w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to, size))
		status, content = http.StatusPartialContent, content[from:to+1]
	}
	if q.Header.Get("x-ms-range-get-content-md5") == "true" {
		sum := md5.Sum(content)
		q.w.Header().Set("Content-MD5", base64.StdEncoding.EncodeToString(sum[:]))
	}
	q.w.Header().Set("Content-Type", "application/octet-stream")
	q.w.Header().Set("Content-Length", strconv.Itoa(len(content)))
	q.w.WriteHeader(status)
	// A client that is gone has no need of the answer.
	_, _ = q.w.Write(content)
	return nil
}

func (a *Account) content(q *request) ([]byte, *refusal) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n, no := a.node(q)
	if no != nil {
		return nil, no
	}
	if n.dir {
		return nil, refuse(http.StatusConflict, "ResourceTypeMismatch", "a directory has no content")
	}
	n.describe(q.w)
	return n.content, nil
}

// span reads a range of bytes, both ends in it.
func span(text string, size int64) (from, to int64, ok bool) {
	first, last, ok := strings.Cut(strings.TrimPrefix(text, "bytes="), "-")
	if !ok {
		return 0, 0, false
	}
	from, err := strconv.ParseInt(first, 10, 64)
	if err != nil || from < 0 || from >= size {
		return 0, 0, false
	}
	if to = size - 1; last != "" {
		said, err := strconv.ParseInt(last, 10, 64)
		if err != nil || said < from {
			return 0, 0, false
		}
		to = min(to, said)
	}
	return from, to, true
}

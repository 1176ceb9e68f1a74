package adls

import (
	"context"
	"encoding/base64"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azdatalake/file"

	"github.com/understudy-dr/understudy/filecopy/internal/azure"
)

// exactly puts into a request what the client has no words for. Its Rename sends the source without escapes, so that '%' and much
// else would be read as another name, and cuts the target at a '?' and at spaces; and it makes no file with metadata.
type exactly struct{}

// words are what a request is to say, each where it is not empty.
type words struct {
	path, source string
	properties   map[string]string
}

type wordsKey struct{}

// Do is called before the request is signed.
func (exactly) Do(r *policy.Request) (*http.Response, error) {
	w, ok := r.Raw().Context().Value(wordsKey{}).(words)
	if !ok {
		return r.Next()
	}
	if w.source != "" {
		r.Raw().Header["x-ms-rename-source"] = []string{w.source}
	}
	if w.path != "" {
		to, err := url.PathUnescape(w.path)
		if err != nil {
			return nil, err
		}
		r.Raw().URL.Path, r.Raw().URL.RawPath = to, w.path
	}
	if len(w.properties) > 0 {
		r.Raw().Header["x-ms-properties"] = []string{encoded(w.properties)}
	}
	return r.Next()
}

func (w words) in(ctx context.Context) context.Context { return context.WithValue(ctx, wordsKey{}, w) }

// encoded writes metadata as the DFS endpoint wants it.
func encoded(properties map[string]string) string {
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		pairs = append(pairs, name+"="+base64.StdEncoding.EncodeToString([]byte(properties[name])))
	}
	return strings.Join(pairs, ",")
}

// escaped writes a path of the file system as it stands in URLs.
func (s *Store) escaped(name string) string {
	parts := strings.Split(s.prefix+"/"+name, "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return strings.Join(parts, "/")
}

// rename moves a path in one step; over what is there unless it must be free. It gives the ETag.
func (s *Store) rename(ctx context.Context, from, to string, free bool) (string, error) {
	f, err := s.file(ctx, from)
	if err != nil {
		return "", err
	}
	options := &file.RenameOptions{}
	if free {
		options.AccessConditions = unless()
	}
	answer, err := f.Rename(words{path: s.escaped(to), source: s.escaped(from)}.in(ctx), "renamed", options)
	if err != nil || answer.ETag == nil {
		return "", tell(err)
	}
	return azure.Plain(*answer.ETag), nil
}

// unless is the condition that nothing is there.
func unless() *file.AccessConditions {
	absent := azcore.ETagAny
	return &file.AccessConditions{ModifiedAccessConditions: &file.ModifiedAccessConditions{IfNoneMatch: &absent}}
}

// pinned holds a request to a version.
func pinned(etag string) *file.AccessConditions {
	if etag == "" {
		return nil
	}
	return &file.AccessConditions{ModifiedAccessConditions: &file.ModifiedAccessConditions{IfMatch: azure.Quoted(etag)}}
}

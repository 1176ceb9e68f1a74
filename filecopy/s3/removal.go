package s3

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"

	"github.com/minio/minio-go/v7"

	"github.com/understudy-dr/understudy/filecopy"
)

// noETag is the ETag of no object.
const noETag = "00000000000000000000000000000000"

// version is the key under which a request's context has the ETag that a removal is held to.
type version struct{}

// conditions sends the condition of a removal, for which the client has no option. It is not signed: the protocol asks that only of the host and
// of headers of its own.
type conditions struct{ next http.RoundTripper }

// RoundTrip adds the condition to a removal.
func (c conditions) RoundTrip(req *http.Request) (*http.Response, error) {
	if etag, ok := req.Context().Value(version{}).(string); ok && req.Method == http.MethodDelete {
		req = req.Clone(req.Context())
		req.Header.Set("If-Match", `"`+etag+`"`)
	}
	return c.next.RoundTrip(req)
}

// removals remembers whether a server holds removals to a version. The stores of one bucket share it.
type removals struct {
	mu    sync.Mutex
	known bool
	held  bool
}

// holdsRemovals says whether the server removes an object only in the version that a request names (If-Match): Amazon S3 does since September 2025,
// other servers refuse such a request, or leave the condition unread and remove whatever is there. So it is tried, once or whenever a caller wants
// it again, with an object of our own under a key that nobody else uses.
func (s *Store) holdsRemovals(ctx context.Context, key string, again bool) (bool, error) {
	s.removals.mu.Lock()
	defer s.removals.mu.Unlock()
	if s.removals.known && !again {
		return s.removals.held, nil
	}
	held, err := s.tryRemoval(ctx, key)
	if err == nil {
		s.removals.known, s.removals.held = true, held
	}
	return held, err
}

// tryRemoval makes an object, and wants its removal to be refused in another version and to be done in its own.
func (s *Store) tryRemoval(ctx context.Context, key string) (bool, error) {
	if err := s.put(ctx, s.other, key, nil); err != nil {
		return false, err
	}
	o, err := s.head(ctx, key, "")
	if err != nil {
		return false, err
	}
	wrong := s.removeIf(ctx, key, noETag)
	if errors.Is(wrong, filecopy.ErrChanged) {
		right := s.removeIf(ctx, key, o.ETag)
		if right == nil {
			return true, nil
		}
		if !errors.Is(right, filecopy.ErrChanged) {
			wrong = right
		}
	}
	if errors.Is(wrong, filecopy.ErrChanged) || notImplemented(wrong) {
		wrong = nil
	}
	return false, errors.Join(wrong, s.remove(ctx, key))
}

// notImplemented says whether a server does not know what it was asked for.
func notImplemented(err error) bool {
	var t *told
	return errors.As(err, &t) && slices.Contains([]int{http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusNotImplemented}, t.said.StatusCode)
}

// removeIf asks the server to remove an object in one version; ErrChanged when it says that there is another, or that somebody is writing one.
func (s *Store) removeIf(ctx context.Context, key, etag string) error {
	return s.remove(context.WithValue(ctx, version{}, etag), key)
}

// remove removes an object, whatever it is by now.
func (s *Store) remove(ctx context.Context, key string) error {
	return s.absentIsFine(s.other.RemoveObject(ctx, s.bucket, key, minio.RemoveObjectOptions{}))
}

// removeVersion removes an object in one version; ErrChanged when there is another. Where the server does not hold removals to a version, ours looks
// right before: what is written between these two requests is removed with it. The probe is the key by which that is tried.
func (s *Store) removeVersion(ctx context.Context, key, etag, probe string) error {
	held, err := s.holdsRemovals(ctx, probe, false)
	if err != nil {
		return err
	}
	if held {
		return s.removeHeld(ctx, key, etag)
	}
	if _, err := s.head(ctx, key, etag); err != nil {
		return s.absentIsFine(err)
	}
	return s.remove(ctx, key)
}

// heldTries is how often a removal is tried that the server refuses although the version is there.
const heldTries = 3

// removeHeld has the server remove one version. A refusal is looked into: who removed the object meanwhile did what was asked, and a server that is
// asked twice at once may refuse one of the two for that alone, as versitygw does, or for the other's being under way.
func (s *Store) removeHeld(ctx context.Context, key, etag string) error {
	for try := 1; ; try++ {
		refused := s.removeIf(ctx, key, etag)
		if !errors.Is(refused, filecopy.ErrChanged) {
			return refused
		}
		o, err := s.head(ctx, key, "")
		if err != nil {
			return s.absentIsFine(err)
		}
		if o.ETag != etag || try == heldTries {
			return refused
		}
	}
}

package s3

import (
	"context"
	"time"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/internal/line"
)

// InParts lets the store stage all files by multipart uploads, also those of one part, and copy in pieces what is larger than the
// given size.
func (s *Store) InParts(copyPart int64) {
	s.single = func(int64) int64 { return -1 }
	if copyPart > 0 {
		s.copyPart = copyPart
	}
}

// At gives an endpoint whose keys go by a clock of the test's.
func (e Endpoint) At(now func() time.Time) Endpoint {
	e.now = now
	return e
}

// Within gives an endpoint whose connections count as lost by limits of the test's.
func (e Endpoint) Within(limits line.Limits) Endpoint {
	e.limits = &limits
	return e
}

// RemoveAsSeen removes an object in the version that is there when it begins.
func (s *Store) RemoveAsSeen(ctx context.Context, p filecopy.Path) error {
	o, err := s.head(ctx, s.key(p), "")
	if err != nil {
		return s.absentIsFine(err)
	}
	return s.removeVersion(ctx, s.key(p), o.ETag, s.place(filecopy.ProbeName))
}

// EndUploads ends the uploads into a quarantine.
func (s *Store) EndUploads(ctx context.Context, quarantine string) error {
	return s.abort(ctx, s.place(quarantineDir, quarantine)+"/")
}

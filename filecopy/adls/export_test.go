package adls

import "github.com/understudy-dr/understudy/filecopy/internal/line"

// Within lets connections count as lost by limits of the test's.
func (s *Store) Within(limits line.Limits) { s.clients.Limits = &limits }

package kafka

import (
	"context"

	"github.com/understudy-dr/understudy"
)

// Verify compares the sites by content.
func (w *Workload) Verify(ctx context.Context, scope understudy.Scope) (understudy.Verdict, error) {
	return understudy.Verdict{Outcome: understudy.Unknown, From: scope.From, To: scope.To}, nil
}

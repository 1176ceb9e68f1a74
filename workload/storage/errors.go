package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/workload/storage/internal/place"
)

// failure gives errors of stores a code, and leaves errors that have one, and the context's own, as they are.
func (w *Workload) failure(s understudy.Site, tree, doing string, err error) error {
	var coded *understudy.Error
	if err == nil || errors.As(err, &coded) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	e := &understudy.Error{
		Code: "US701", Kind: understudy.KindRetry, Op: "storage", Object: w.object(s, tree), Summary: fmt.Sprintf("cannot %s the tree", doing), Err: err,
	}
	if tree == "" {
		e.Summary = fmt.Sprintf("cannot %s the store", doing)
	}
	switch {
	case errors.Is(err, place.ErrUnreachable):
		e.Code, e.Kind = "US702", understudy.KindUnreachable
	case errors.Is(err, fs.ErrPermission), errors.Is(err, place.ErrRefused):
		e.Code, e.Kind = "US705", understudy.KindDenied
		e.Fix = "give understudy's user the right, or run it as a superuser of the store"
	case errors.Is(err, filecopy.ErrNotFound):
		e.Code, e.Kind = "US704", understudy.KindNotFound
	}
	return e
}

// refuse makes an error of a safety check.
func (w *Workload) refuse(code understudy.Code, s understudy.Site, tree, summary, fix string) *understudy.Error {
	return &understudy.Error{Code: code, Kind: understudy.KindRefused, Op: "storage", Object: w.object(s, tree), Summary: summary, Fix: fix}
}

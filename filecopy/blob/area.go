package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"golang.org/x/sync/errgroup"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/internal/azure"
)

const (
	// parallel is how many blobs of one directory go into a quarantine, or are removed, at once.
	parallel = 16
	// copyPoll is how often a copy within the account is asked after; most are done at once.
	copyPoll = 50 * time.Millisecond
)

// MakeDirectory does nothing: the manifest keeps directories.
func (s *Store) MakeDirectory(context.Context, filecopy.Entry) error { return nil }

// MakeLink does nothing: the manifest keeps links.
func (s *Store) MakeLink(context.Context, filecopy.Entry) error { return nil }

// SetAttributes does nothing: the manifest keeps attributes.
func (s *Store) SetAttributes(context.Context, filecopy.Path, filecopy.Attributes, filecopy.Fields) error {
	return nil
}

// Move is not to be had.
func (s *Store) Move(context.Context, filecopy.Path, filecopy.Path) error {
	return filecopy.ErrUnsupported
}

// Retire copies a blob, and all below the path, into the quarantine, and removes each when its copy is there.
func (s *Store) Retire(ctx context.Context, p filecopy.Path, quarantine string) error {
	if err := filecopy.CheckRetired(p, quarantine); err != nil {
		return err
	}
	if err := absentIsFine(s.retire(ctx, s.name(p), quarantine)); err != nil {
		return err
	}
	return s.all(ctx, s.below(p), func(ctx context.Context, name string) error { return s.retire(ctx, name, quarantine) })
}

// all does something to the blobs whose names begin with a prefix, some at a time; one that vanishes is fine.
func (s *Store) all(ctx context.Context, prefix string, do func(context.Context, string) error) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	err := s.each(gctx, prefix, func(h held) error {
		g.Go(func() error { return absentIsFine(do(gctx, h.name)) })
		return nil
	})
	if gerr := g.Wait(); gerr != nil {
		return gerr
	}
	return err
}

// retire moves one blob. A copy of it that an interrupted call left is found by its mark and size.
func (s *Store) retire(ctx context.Context, name, quarantine string) error {
	from, err := s.head(ctx, name, "")
	if err != nil {
		return err
	}
	path := s.at.Inner(name)
	to := s.place(quarantineDir, quarantine, path)
	return filecopy.Twins(to, func(free string) (bool, error) {
		there, err := s.head(ctx, free, "")
		if err == nil && (there.mark == "" || there.mark != from.mark || there.size != from.size) {
			return false, nil
		}
		if err != nil && !errors.Is(err, filecopy.ErrNotFound) {
			return true, err
		}
		// A copy that was begun may not have ended, so it is made again.
		if _, err := s.copy(ctx, from, free, nil); err != nil {
			return true, err
		}
		// What somebody wrote since has no copy there, and stays.
		return true, s.removeVersion(ctx, name, from.etag)
	})
}

// copy copies one version within the account, or what is there where none is named, over what stands there on a condition. It waits for the copy, and
// gives its ETag.
func (s *Store) copy(ctx context.Context, from held, to string, on *blob.AccessConditions) (string, error) {
	source, err := s.blob(ctx, from.name)
	if err != nil {
		return "", err
	}
	target, err := s.blob(ctx, to)
	if err != nil {
		return "", err
	}
	options := &blob.StartCopyFromURLOptions{AccessConditions: on}
	if from.etag != "" {
		options.SourceModifiedAccessConditions = &blob.SourceModifiedAccessConditions{SourceIfMatch: azure.Quoted(from.etag)}
	}
	begun, err := target.StartCopyFromURL(ctx, source.URL(), options)
	if err != nil {
		return "", tell(err)
	}
	status, etag := begun.CopyStatus, begun.ETag
	tick := time.NewTicker(copyPoll)
	defer tick.Stop()
	for status != nil && *status == blob.CopyStatusTypePending {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return "", ctx.Err()
		}
		p, err := target.GetProperties(ctx, nil)
		if err != nil {
			return "", tell(err)
		}
		status, etag = p.CopyStatus, p.ETag
	}
	if status == nil || *status != blob.CopyStatusTypeSuccess || etag == nil {
		return "", fmt.Errorf("the service did not copy %q to %q", from.name, to)
	}
	return plain(*etag), nil
}

// remove removes a blob with its snapshots.
func (s *Store) remove(ctx context.Context, name string) error { return s.removeVersion(ctx, name, "") }

// removeVersion removes it in one version, where one is named; ErrChanged when there is another.
func (s *Store) removeVersion(ctx context.Context, name, etag string) error {
	b, err := s.blob(ctx, name)
	if err != nil {
		return err
	}
	with := blob.DeleteSnapshotsOptionTypeInclude
	_, err = b.Delete(ctx, &blob.DeleteOptions{DeleteSnapshots: &with, AccessConditions: azure.Pinned(etag)})
	if err = absentIsFine(err); errors.Is(err, filecopy.ErrChanged) {
		// A service may say the same of a blob that is not there.
		if _, herr := s.head(ctx, name, ""); errors.Is(herr, filecopy.ErrNotFound) {
			return nil
		}
	}
	return err
}

// Quarantines lists the quarantines, and removes old ones.
func (s *Store) Quarantines(ctx context.Context, removeBefore time.Time) ([]filecopy.Quarantine, error) {
	names, err := s.children(ctx, s.place(quarantineDir)+"/")
	if err != nil {
		return nil, err
	}
	return filecopy.Outdated(names, removeBefore, func(name string) error {
		return s.all(ctx, s.place(quarantineDir, name)+"/", s.remove)
	})
}

// children lists the directories right below a prefix.
func (s *Store) children(ctx context.Context, prefix string) ([]string, error) {
	c, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for pages := c.NewListBlobsHierarchyPager("/", &container.ListBlobsHierarchyOptions{Prefix: &prefix}); pages.More(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, tell(err)
		}
		for _, p := range page.Segment.BlobPrefixes {
			names = append(names, strings.Trim(strings.TrimPrefix(*p.Name, prefix), "/"))
		}
	}
	return names, nil
}

// Keep stores a blob, in blocks when it is large; it appears in one step.
func (s *Store) Keep(ctx context.Context, name string, r io.Reader) error {
	if err := safe(name); err != nil {
		return err
	}
	b, err := s.blob(ctx, s.place(keptDir, name))
	if err != nil {
		return err
	}
	_, err = b.UploadStream(ctx, r, &blockblob.UploadStreamOptions{
		BlockSize: s.part, Concurrency: 1, TransactionalValidation: blob.TransferValidationTypeComputeCRC64(),
	})
	return tell(err)
}

// Kept reads a blob.
func (s *Store) Kept(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := safe(name); err != nil {
		return nil, err
	}
	return s.rest(s.place(keptDir, name)).Begin(ctx)
}

// KeptNames lists the blobs.
func (s *Store) KeptNames(ctx context.Context, prefix string) ([]string, error) {
	var names []string
	err := s.each(ctx, s.place(keptDir, prefix), func(h held) error {
		names = append(names, strings.TrimPrefix(h.name, s.place(keptDir)+"/"))
		return nil
	})
	slices.Sort(names)
	return names, err
}

// Forget removes a blob.
func (s *Store) Forget(ctx context.Context, name string) error {
	if err := safe(name); err != nil {
		return err
	}
	return s.remove(ctx, s.place(keptDir, name))
}

package filecopy

import (
	"context"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sync/semaphore"
)

// defaultRoom is what a room holds where nobody says.
const defaultRoom = 256 << 20

// Room bounds the bytes of parts that are held in memory at once, so that their checksums go ahead of them and they can be sent again.
type Room struct {
	bytes int64
	free  *semaphore.Weighted
}

// NewRoom makes a room for some bytes; zero means 256 MiB. One part may always be.
func NewRoom(bytes int64) *Room {
	if bytes <= 0 {
		bytes = defaultRoom
	}
	return &Room{bytes, semaphore.NewWeighted(bytes)}
}

// Hold reads a part whole, when there is room for it, and gives it to use; ErrChanged when it ends early.
func (m *Room) Hold(ctx context.Context, p Part, r io.Reader, use func(content []byte) error) error {
	weight := min(max(p.Size, 1), m.bytes)
	if err := m.free.Acquire(ctx, weight); err != nil {
		return err
	}
	defer m.free.Release(weight)
	content := make([]byte, p.Size)
	if _, err := io.ReadFull(r, content); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = fmt.Errorf("%w: the part ends early", ErrChanged)
		}
		return err
	}
	return use(content)
}

package filecopytest

import (
	"context"
	"fmt"
	"sync"
)

// Watch reads files by their numbers, one after the other and without pause: each must be there, and whole. It ends with the first that is
// not, or when stop is called, which gives how many reads were right, and what was wrong. A read has to go on by itself where a file was replaced
// while it was open.
func Watch(files int, read func(ctx context.Context, i int) (string, error), whole func(i int, content string) bool) (stop func() (reads int, fault error)) {
	ctx, cancel := context.WithCancel(context.Background())
	var one sync.WaitGroup
	reads, fault := 0, error(nil)
	one.Go(func() {
		for ; ctx.Err() == nil; reads++ {
			i := reads % files
			got, err := read(ctx, i)
			switch {
			case ctx.Err() != nil:
				return
			case err != nil:
				fault = fmt.Errorf("file %d: %w", i, err)
				return
			case !whole(i, got):
				fault = fmt.Errorf("file %d is %.40q (%d bytes)", i, got, len(got))
				return
			}
		}
	})
	return func() (int, error) {
		cancel()
		one.Wait()
		return reads, fault
	}
}

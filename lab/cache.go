package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// lockPoll is how often a busy file lock is tried again.
const lockPoll = 50 * time.Millisecond

// CacheDir returns the directory that keeps jars and archives between runs, and makes it:
// $UNDERSTUDY_LAB_CACHE, or "understudy-lab" under the user's cache directory.
func CacheDir() (string, error) {
	dir := os.Getenv("UNDERSTUDY_LAB_CACHE")
	if dir == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("find the cache directory: %w (set UNDERSTUDY_LAB_CACHE)", err)
		}
		dir = filepath.Join(base, "understudy-lab")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	return dir, os.MkdirAll(dir, 0o755)
}

// Cached returns the path of an entry of the cache directory and fills it first if it is absent. fill gets
// a path beside it to create as file or directory; the entry appears under its name only when fill
// succeeded, and only one process on the machine fills it while the others wait.
func Cached(ctx context.Context, name string, fill func(ctx context.Context, path string) error) (string, error) {
	dir, err := CacheDir()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	unlock, err := lockFile(ctx, path+".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	part := path + ".part"
	if err := os.RemoveAll(part); err != nil {
		return "", err
	}
	if err := fill(ctx, part); err != nil {
		return "", errors.Join(fmt.Errorf("fill cache entry %s: %w", name, err), os.RemoveAll(part))
	}
	return path, os.Rename(part, path)
}

// lockFile takes an exclusive lock on a file that it creates, and waits for it until ctx ends. The lock
// ends with the process at the latest.
func lockFile(ctx context.Context, path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(lockPoll)
	defer tick.Stop()
	for {
		ok, err := tryLock(f)
		if err != nil {
			_ = f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		if ok {
			return func() { _ = f.Close() }, nil
		}
		select {
		case <-ctx.Done():
			_ = f.Close()
			return nil, fmt.Errorf("wait for the lock %s: %w", path, ctx.Err())
		case <-tick.C:
		}
	}
}

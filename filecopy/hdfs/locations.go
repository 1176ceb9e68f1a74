package hdfs

import (
	"context"
	"path"
	"sync"

	"github.com/understudy-dr/understudy/wire/hdfs"
)

const (
	// foreseen is how many files of a directory must have been read since its last listing before the next one pays: a set that takes few
	// files of a directory asks for each.
	foreseen = 3
	// mostFolders is how many directories are remembered; reading goes through them one after the other.
	mostFolders = 64
)

// locations foresees where the blocks of files lie that are read in the order of their paths: one listing with locations spares the question
// for each of some hundred files. A page holds at most dfs.ls.limit replicas, and two pages of a directory are remembered, so memory
// is bounded. It is safe for concurrent use.
type locations struct {
	list    func(ctx context.Context, dir string, opts hdfs.ListOptions) (*hdfs.Listing, error)
	mu      sync.Mutex
	folders map[string]*folder
	// ages are the directories from the oldest on.
	ages []string
}

// folder is what is known of one directory. Its lock is held while it is listed: who needs it waits for the answer.
type folder struct {
	mu sync.Mutex
	// fresh and stale are the two last pages, without what was taken from them.
	fresh, stale map[string]*hdfs.FileInfo
	// reads counts the files that were read since the last listing.
	reads int
}

func newLocations(list func(context.Context, string, hdfs.ListOptions) (*hdfs.Listing, error)) *locations {
	return &locations{list: list, folders: map[string]*folder{}}
}

// find gives a file as it was listed, with its blocks, once; nil when it has to be asked for.
func (l *locations) find(ctx context.Context, name string) *hdfs.FileInfo {
	dir, base := path.Dir(name), path.Base(name)
	f := l.folder(dir)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reads++
	if info := f.take(base); info != nil || f.reads <= foreseen {
		return info
	}
	f.reads = 0
	// A listing is only help: whoever asks for the file itself learns what is wrong.
	page, err := l.list(ctx, dir, hdfs.ListOptions{After: before(base), Locations: true})
	if err != nil {
		return nil
	}
	f.stale, f.fresh = f.fresh, map[string]*hdfs.FileInfo{}
	for i := range page.Entries {
		if e := &page.Entries[i]; e.Type == hdfs.TypeFile && e.Blocks != nil {
			f.fresh[e.Name] = e
		}
	}
	return f.take(base)
}

// folder gives what is known of a directory, and forgets the oldest of too many.
func (l *locations) folder(dir string) *folder {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.folders[dir]
	if f == nil {
		f = &folder{}
		l.folders[dir] = f
		l.ages = append(l.ages, dir)
	}
	if len(l.ages) > mostFolders {
		delete(l.folders, l.ages[0])
		l.ages = l.ages[1:]
	}
	return f
}

// take gives a file of the remembered pages, once.
func (f *folder) take(name string) *hdfs.FileInfo {
	for _, page := range []map[string]*hdfs.FileInfo{f.fresh, f.stale} {
		if info := page[name]; info != nil {
			delete(page, name)
			return info
		}
	}
	return nil
}

// before gives a name after which a listing begins no later than with the given one, and hardly earlier.
func before(name string) string {
	last := len(name) - 1
	if name[last] == 0 {
		return name[:last]
	}
	return name[:last] + string([]byte{name[last] - 1, 0xff, 0xff})
}

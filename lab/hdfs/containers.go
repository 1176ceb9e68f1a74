package hdfs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Containers gives the process ids of an application's Java processes whose command line holds a word, such as MRAppMaster or
// YarnChild, lowest first.
func (y *YARN) Containers(application, word string) ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var all []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		// A process that ends meanwhile is none.
		cwd, err := os.Readlink(filepath.Join("/proc", e.Name(), "cwd"))
		if err != nil || !strings.HasPrefix(cwd, y.opts.Dir+string(filepath.Separator)) || !strings.Contains(cwd, application) {
			continue
		}
		exe, err := os.Readlink(filepath.Join("/proc", e.Name(), "exe"))
		raw, err2 := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		line := strings.ReplaceAll(string(raw), "\x00", " ")
		if errors.Join(err, err2) == nil && filepath.Base(exe) == "java" && strings.Contains(line, word) {
			all = append(all, pid)
		}
	}
	slices.Sort(all)
	return all, nil
}

// killContainers ends what the NodeManager has started: each container leads a session of its own, which no kill
// of the NodeManager reaches. The NodeManager keeps their process ids in files; one that has been given to
// another process since is told by its working directory.
func (y *YARN) killContainers() error {
	var errs []error
	private := filepath.Join(y.opts.Dir, "local", "nmPrivate")
	err := filepath.WalkDir(private, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() || filepath.Ext(path) != ".pid" {
			return err
		}
		errs = append(errs, y.killContainer(path))
		return nil
	})
	return errors.Join(append(errs, err)...)
}

// killContainer ends the session of one.
func (y *YARN) killContainer(file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || pid < 2 {
		return nil
	}
	cwd, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(pid), "cwd"))
	if err != nil || !strings.HasPrefix(cwd, y.opts.Dir+string(filepath.Separator)) {
		return nil
	}
	if err := syscall.Kill(-pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return nil
}

package lab

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// childAttributes gives the child a process group of its own and lets the kernel kill it with its parent.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// awaitStopped waits until every thread of a process has heard of the signal: it stops each of them when it comes by.
func awaitStopped(pid int) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(5 * time.Second); !stopped(pid) && time.Now().Before(end); {
		<-tick.C
	}
}

// stopped says whether all threads are stopped, or gone.
func stopped(pid int) bool {
	stats, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil {
		return true
	}
	for _, file := range stats {
		stat, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		// The state stands behind the name, which is in parentheses and may hold anything.
		_, after, found := bytes.Cut(stat[max(bytes.LastIndexByte(stat, ')'), 0):], []byte(") "))
		if found && len(after) > 0 && !bytes.ContainsRune([]byte("TtZX"), rune(after[0])) {
			return false
		}
	}
	return true
}

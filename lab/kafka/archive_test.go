package kafka_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/understudy-dr/understudy/lab/kafka"
)

// archivesAreMapped wants each JVM to run on the class data archive that was made for it: a JVM that finds none, or refuses the
// one it finds because it or the class path has changed, starts all the same, and takes twice the time.
func archivesAreMapped(t *testing.T, s *stage) {
	// A client's JVM begins while the test goes on; once it has answered it is there.
	must(t, s.oldClient.CreateTopics(t.Context(), s.old.Access(), kafka.Topic{Name: "archives", Partitions: 1}))
	must(t, s.newClient.CreateTopics(t.Context(), s.new.Access(), kafka.Topic{Name: "archives", Partitions: 1}))
	for pid, archive := range map[int]string{
		s.old.PID(): "broker.jsa", s.new.PID(): "broker.jsa", s.oldClient.PID(): "client.jsa", s.newClient.PID(): "client.jsa",
	} {
		if maps := mappings(t, pid); !strings.Contains(maps, archive) {
			t.Errorf("process %d runs without the class data archive %s", pid, archive)
		}
	}
	if strings.Contains(mappings(t, os.Getpid()), ".jsa") {
		t.Error("an archive is seen where there is none")
	}
}

// mappings gives the files that a process has in memory, as Linux says them.
func mappings(t *testing.T, pid int) string {
	t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("this system does not tell what a process has in memory")
	}
	must(t, err)
	return string(maps)
}

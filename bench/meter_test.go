package bench_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// tick is the unit of processor time in /proc, the same on every machine that Go runs on (proc(5), USER_HZ).
const tick = time.Second / 100

// processor gives the processor time, in user and system mode, that a process has used since it was started.
func processor(pid int) (time.Duration, error) {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	return parseStat(string(line))
}

// parseStat reads utime and stime, the 14th and 15th field. The second, the name, may hold blanks and brackets.
func parseStat(line string) (time.Duration, error) {
	fields := strings.Fields(line[strings.LastIndexByte(line, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("no line of /proc/PID/stat: %q", line)
	}
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("no line of /proc/PID/stat: %w", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * tick, nil
}

// peakMemory gives the largest resident memory that a process has had, in bytes.
func peakMemory(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	return parsePeak(string(status))
}

func parsePeak(status string) (int64, error) {
	_, rest, ok := strings.Cut(status, "VmHWM:")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 2 || fields[1] != "kB" {
		return 0, fmt.Errorf("no VmHWM in kB in /proc/PID/status")
	}
	n, err := strconv.ParseInt(fields[0], 10, 64)
	return n << 10, err
}

func TestParseStat(t *testing.T) {
	got, err := parseStat("42 (a (strange) name) S 1 42 42 0 -1 4194560 1 0 0 0 150 50 7 7 20 0 9 0 100 1 1")
	if err != nil || got != 2*time.Second {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"", "42 (name) S 1", "42 (n) S 1 2 3 4 5 6 7 8 9 10 x y z"} {
		if got, err := parseStat(bad); err == nil {
			t.Errorf("%q is read as %v", bad, got)
		}
	}
}

func TestParsePeak(t *testing.T) {
	got, err := parsePeak("VmPeak:\t  900 kB\nVmHWM:\t    3 kB\nVmRSS:\t 1 kB\n")
	if err != nil || got != 3072 {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := parsePeak("VmPeak:\t 900 kB\n"); err == nil {
		t.Error("a status without the peak is read")
	}
}

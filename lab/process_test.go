package lab_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/understudy-dr/understudy/lab"
)

// parentVariable makes the test binary a process that starts a child and waits to be killed.
const parentVariable = "UNDERSTUDY_LAB_TEST_PARENT"

func TestMain(m *testing.M) {
	if log := os.Getenv(parentVariable); log != "" {
		beParent(log)
	}
	goleak.VerifyTestMain(m)
}

// beParent starts a child that holds our standard output open, says so, and waits.
func beParent(log string) {
	p, err := lab.Start(lab.Command{Name: "child", Path: "/bin/sh", Args: []string{"-c", "echo up; exec sleep 600"}, Log: log, Stdout: os.Stdout})
	if err != nil {
		panic(err)
	}
	<-p.Done()
	os.Exit(0)
}

// shell starts a script.
func shell(t *testing.T, script string) *lab.Process {
	t.Helper()
	p, err := lab.Start(lab.Command{Name: "script", Path: "/bin/sh", Args: []string{"-c", script}, Log: filepath.Join(t.TempDir(), "log")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Kill() })
	return p
}

func TestStopLetsItEndInOrder(t *testing.T) {
	p := shell(t, `trap 'echo bye; exit 0' TERM; echo ready; while :; do read line < /dev/null; done`)
	if err := p.WaitLog(t.Context(), regexp.MustCompile(`^ready`)); err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if log, _ := os.ReadFile(p.Log()); string(log) != "ready\nbye\n" {
		t.Errorf("it said %q", log)
	}
	if p.Running() {
		t.Error("it runs after Stop")
	}
}

func TestStopKillsWhatDoesNotEnd(t *testing.T) {
	p := shell(t, `trap '' TERM; echo ready; while :; do read line < /dev/null; done`)
	if err := p.WaitLog(t.Context(), regexp.MustCompile(`ready`)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := p.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("stop says %v", err)
	}
	if p.Running() {
		t.Error("it runs after Stop gave up")
	}
}

func TestKillTakesTheWholeGroup(t *testing.T) {
	p := shell(t, `sleep 600 & echo $!; wait`)
	if err := p.WaitLog(t.Context(), regexp.MustCompile(`\d+\n`)); err != nil {
		t.Fatal(err)
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	log, err := os.ReadFile(p.Log())
	if err != nil {
		t.Fatal(err)
	}
	if state := outlives(strings.TrimSpace(string(log))); state != "" {
		t.Errorf("the grandchild lives: %s", state)
	}
}

// outlives gives the state of a process that does not end. The kernel ends a process a moment after the signal.
func outlives(pid string) string {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for last := 500; ; last-- {
		state, err := os.ReadFile("/proc/" + pid + "/stat")
		switch {
		case err != nil, strings.Contains(string(state), ") Z "):
			return ""
		case last == 0:
			return string(state)
		}
		<-tick.C
	}
}

func TestKillEndsAPausedProcess(t *testing.T) {
	p := shell(t, `sleep 600`)
	if err := p.Pause(); err != nil {
		t.Fatal(err)
	}
	if !p.Running() {
		t.Error("a paused process counts as ended")
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
}

func TestWaitTellsWhyItFailed(t *testing.T) {
	p := shell(t, `echo cannot open the door; exit 3`)
	err := p.WaitLog(t.Context(), regexp.MustCompile(`ready`))
	if err == nil || !strings.Contains(err.Error(), "cannot open the door") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("error is %v", err)
	}
	slow := shell(t, `sleep 600`)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := slow.WaitLog(ctx, regexp.MustCompile(`ready`)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error is %v", err)
	}
}

// TestALineMayComeInPieces: a line that is looked at before its end is there is looked at again.
func TestALineMayComeInPieces(t *testing.T) {
	in, more, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	defer more.Close()
	p, err := lab.Start(lab.Command{
		Name: "script", Path: "/bin/sh", Args: []string{"-c", `echo one; while read piece; do printf "$piece"; done`}, Log: filepath.Join(t.TempDir(), "log"), Stdin: in,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Kill() })
	found := make(chan error, 1)
	go func() { found <- p.WaitLog(t.Context(), regexp.MustCompile(`(?m)^ready$`)) }()
	said := ""
	for _, piece := range []string{"r", "e", "a", "d", "y"} {
		if _, err := more.WriteString(piece + "\n"); err != nil {
			t.Fatal(err)
		}
		said += piece
		if err := p.WaitLog(t.Context(), regexp.MustCompile("(?m)^"+said)); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-found; err != nil {
		t.Error(err)
	}
}

func TestWaitPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := shell(t, `sleep 600`).WaitPort(t.Context(), l.Addr().String()); err != nil {
		t.Error(err)
	}
}

func TestLogOfAnEarlierRunDoesNotCount(t *testing.T) {
	c := lab.Command{Name: "script", Path: "/bin/sh", Args: []string{"-c", "echo ready"}, Log: filepath.Join(t.TempDir(), "log")}
	p, err := lab.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	c.Args = []string{"-c", "true"}
	if p, err = lab.Start(c); err != nil {
		t.Fatal(err)
	}
	if err := p.WaitLog(t.Context(), regexp.MustCompile(`ready`)); err == nil {
		t.Error("the line of the first run was taken for the second's")
	}
}

func TestNoSuchProgram(t *testing.T) {
	_, err := lab.Start(lab.Command{Name: "ghost", Path: "/nonexistent", Log: filepath.Join(t.TempDir(), "log")})
	if err == nil || !strings.Contains(err.Error(), "ghost") {
		t.Errorf("error is %v", err)
	}
}

// TestChildDiesWithItsParent kills the parent so that it cannot clean up, as a test binary that times out.
func TestChildDiesWithItsParent(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux ties a child's life to its parent's")
	}
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), parentVariable+"="+filepath.Join(t.TempDir(), "log"))
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(out)
	if line, err := in.ReadString('\n'); line != "up\n" {
		t.Fatalf("the child said %q, %v", line, err)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	// The pipe ends when both that hold it are gone.
	if _, err := io.ReadAll(in); err != nil {
		t.Error(err)
	}
	_ = parent.Wait()
}

package lab

import (
	"errors"
	"fmt"
	"os"
)

// Missing says which tool a recipe needs and this machine lacks, and how to get it. Tests skip on it.
type Missing struct {
	// What is the thing, such as "a JDK, version 17 or newer".
	What string
	// Why is what was looked at and found.
	Why string
	// Fix is what to install or set.
	Fix string
}

// Error gives all three on one line.
func (m *Missing) Error() string {
	return fmt.Sprintf("missing %s: %s; %s", m.What, m.Why, m.Fix)
}

// Test is what the lab needs of *testing.T, so that programs can use the lab without the testing package.
type Test interface {
	// TempDir is a directory that is removed after the test.
	TempDir() string
	// Cleanup calls a function when the test ends, the latest first.
	Cleanup(func())
	// Failed says whether the test has failed so far.
	Failed() bool
	// Logf notes a line in the test's output.
	Logf(format string, args ...any)
	// Skipf ends the test as skipped, with the reason.
	Skipf(format string, args ...any)
	// Fatalf ends the test as failed, with the reason.
	Fatalf(format string, args ...any)
}

// Check ends the test when err is not nil: skipped when something is Missing, failed otherwise. With
// UNDERSTUDY_LAB=required in the environment a missing thing is a failure, too.
func Check(t Test, err error) {
	if err == nil {
		return
	}
	var m *Missing
	if errors.As(err, &m) && os.Getenv("UNDERSTUDY_LAB") != "required" {
		t.Skipf("skipped: %v", m)
	}
	t.Fatalf("lab: %v", err)
}

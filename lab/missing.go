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
	Helper()
	Name() string
	TempDir() string
	Cleanup(func())
	Failed() bool
	Logf(format string, args ...any)
	Skipf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Check ends the test when err is not nil: skipped when something is Missing, failed otherwise. With
// UNDERSTUDY_LAB=required in the environment a missing thing is a failure, too.
func Check(t Test, err error) {
	t.Helper()
	if err == nil {
		return
	}
	var m *Missing
	if errors.As(err, &m) && os.Getenv("UNDERSTUDY_LAB") != "required" {
		t.Skipf("skipped: %v", m)
	}
	t.Fatalf("lab: %v", err)
}

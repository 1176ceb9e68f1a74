package kerberos_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/understudy-dr/understudy/lab"
	"github.com/understudy-dr/understudy/lab/kerberos"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// kinit asks for a ticket with MIT's own client, and returns what it said.
func kinit(t *testing.T, k *kerberos.KDC, principal, keytab string) (string, error) {
	t.Helper()
	path, err := exec.LookPath("kinit")
	if err != nil {
		lab.Check(t, &lab.Missing{What: "a Kerberos client", Why: err.Error(), Fix: "install it (Debian: krb5-user)"})
	}
	cmd := exec.Command(path, "-k", "-t", keytab, "-c", filepath.Join(t.TempDir(), "cache"), principal+"@"+k.Name())
	cmd.Env = append(os.Environ(), "KRB5_CONFIG="+k.Config())
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestKeysWorkAndOutliveAKill(t *testing.T) {
	k := kerberos.Boot(t, kerberos.Options{})
	alice, err := k.Keytab("alice")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := k.Keytab("alice"); again != alice || err != nil {
		t.Errorf("asked again: %s, %v", again, err)
	}
	if out, err := kinit(t, k, "alice", alice); err != nil {
		t.Fatalf("%s, %v", out, err)
	}
	if err := k.Kill(); err != nil {
		t.Fatal(err)
	}
	if out, err := kinit(t, k, "alice", alice); err == nil {
		t.Errorf("a killed centre gave a ticket: %s", out)
	}
	if err := k.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if out, err := kinit(t, k, "alice", alice); err != nil {
		t.Errorf("after the restart: %s, %v", out, err)
	}
}

func TestTicketsAreShortAndClocksDistrusted(t *testing.T) {
	k := kerberos.Boot(t, kerberos.Options{})
	alice, err := k.Keytab("alice")
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Limit("alice", time.Second); err != nil {
		t.Fatal(err)
	}
	if out, err := kinit(t, k, "alice", alice); err != nil {
		t.Fatalf("%s, %v", out, err)
	}
	if err := k.Limit("nobody", time.Second); err == nil {
		t.Error("nobody was limited")
	}
	// The log tells from when to when a ticket is good only by its effects; those are seen on HDFS. A clock shows in the request itself.
	if err := k.Distrust(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	if err := k.Demand("alice"); err != nil {
		t.Fatal(err)
	}
	if out, err := kinit(t, k, "alice", alice); err == nil || !strings.Contains(out, "Clock skew") {
		t.Errorf("a clock is trusted: %s, %v", out, err)
	}
	if err := k.Distrust(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if out, err := kinit(t, k, "alice", alice); err != nil {
		t.Errorf("a clock is distrusted still: %s, %v", out, err)
	}
}

func TestWrongKeysAreRefused(t *testing.T) {
	k := kerberos.Boot(t, kerberos.Options{Realm: "OTHER.TEST"})
	for _, name := range []string{"alice", "bob", "http/localhost"} {
		if _, err := k.Keytab(name); err != nil {
			t.Fatal(err)
		}
	}
	bob, err := k.Keytab("bob")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := kinit(t, k, "alice", bob); err == nil {
		t.Errorf("alice came in with the keys of bob: %s", out)
	}
	if err := k.Remove("bob"); err != nil {
		t.Fatal(err)
	}
	if out, err := kinit(t, k, "bob", bob); err == nil || !strings.Contains(out, "not found") {
		t.Errorf("bob is gone, and came in: %s, %v", out, err)
	}
	if err := k.Remove("nobody"); err == nil {
		t.Error("nobody was removed")
	}
}

func TestMissingServerIsNamed(t *testing.T) {
	if _, err := os.Stat("/usr/sbin/krb5kdc"); err == nil {
		t.Setenv("PATH", t.TempDir())
		k, err := kerberos.Start(t.Context(), kerberos.Options{Dir: t.TempDir()})
		if err != nil {
			t.Fatalf("not found in /usr/sbin: %v", err)
		}
		if err := k.Close(); err != nil {
			t.Error(err)
		}
		return
	}
	var missing *lab.Missing
	if _, err := kerberos.Start(t.Context(), kerberos.Options{Dir: t.TempDir()}); err != nil && !errors.As(err, &missing) {
		t.Errorf("error is %v", err)
	}
}

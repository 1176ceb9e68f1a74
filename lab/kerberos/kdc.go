package kerberos

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/understudy-dr/understudy/lab"
)

// Bounds of a start and an orderly end on a crowded machine.
const (
	startLimit = time.Minute
	stopLimit  = 20 * time.Second
)

// masterPassword protects the database, which holds nothing worth it.
const masterPassword = "understudy-lab"

// Options says what kind of centre to start. The zero value of each but Dir is usable.
type Options struct {
	// Dir holds configuration, database, keytabs and log. A directory that has a database is started with it.
	Dir string
	// Realm is "LAB.TEST" when empty.
	Realm string
	// Lifetime is the longest of a ticket; a day when 0. Renewal does not make it longer.
	Lifetime time.Duration
}

// KDC is a running key distribution centre. Keytab and Password may be called side by side.
type KDC struct {
	opts    Options
	tools   tools
	kept    *lab.Ports
	process *lab.Process
	admin   sync.Mutex
	// distrusts says that every clock counts as wrong.
	distrusts bool
}

// tools are the paths of what Debian calls krb5-kdc and krb5-admin-server.
type tools struct {
	kdc, database, admin string
}

// Start starts a centre and returns when it answers. A *lab.Missing names what is not installed. Close it.
func Start(ctx context.Context, o Options) (*KDC, error) {
	if o.Dir == "" {
		return nil, errors.New("kerberos: no directory given")
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, err
	}
	o.Dir, o.Realm, o.Lifetime = dir, cmp.Or(o.Realm, "LAB.TEST"), cmp.Or(o.Lifetime, 24*time.Hour)
	found, err := find()
	if err != nil {
		return nil, err
	}
	kept, err := lab.Reserve(1)
	if err != nil {
		return nil, err
	}
	k := &KDC{opts: o, tools: found, kept: kept}
	if err := k.prepare(ctx); err != nil {
		kept.Release()
		return nil, err
	}
	if err := k.start(ctx); err != nil {
		kept.Release()
		return nil, err
	}
	return k, nil
}

// Boot starts a centre for a test, in the test's temporary directory unless Dir is set, and kills it when the
// test ends. The test is skipped with the missing thing's name where Kerberos is not installed.
func Boot(t lab.Test, o Options) *KDC {
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	k, err := Start(context.Background(), o)
	lab.Check(t, err)
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Logf("close the key distribution centre: %v", err)
		}
		if log, err := os.ReadFile(k.Log()); err == nil && t.Failed() {
			t.Logf("log of the key distribution centre, its end:\n%s", log[max(0, len(log)-4000):])
		}
	})
	return k
}

// find looks for the programs on the PATH and where Debian keeps servers.
func find() (tools, error) {
	var t tools
	for name, path := range map[string]*string{"krb5kdc": &t.kdc, "kdb5_util": &t.database, "kadmin.local": &t.admin} {
		found, err := exec.LookPath(name)
		if err != nil {
			found, err = exec.LookPath(filepath.Join("/usr/sbin", name))
		}
		if err != nil {
			return tools{}, &lab.Missing{
				What: "a Kerberos server", Why: "there is no " + name + " on the PATH or in /usr/sbin",
				Fix: "install it (Debian: krb5-kdc krb5-admin-server)",
			}
		}
		*path = found
	}
	return t, nil
}

// prepare writes the configuration, and makes the database where there is none.
func (k *KDC) prepare(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Join(k.opts.Dir, "keytabs"), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(k.Config(), []byte(k.clientConfig()), 0o644); err != nil {
		return err
	}
	wary := strings.Replace(k.clientConfig(), "[libdefaults]\n", "[libdefaults]\n clockskew = -60\n", 1)
	if err := os.WriteFile(k.wary(), []byte(wary), 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(k.opts.Dir, "kdc.conf"), []byte(k.serverConfig()), 0o644); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(k.opts.Dir, "principal")); err == nil {
		return nil
	}
	return k.tool(ctx, k.tools.database, "create", "-s", "-P", masterPassword)
}

// clientConfig is krb5.conf: TCP only and no look-ups of names, so that nothing leaves the machine.
func (k *KDC) clientConfig() string {
	return fmt.Sprintf(`[libdefaults]
 default_realm = %[1]s
 dns_lookup_kdc = false
 dns_lookup_realm = false
 dns_canonicalize_hostname = false
 rdns = false
 udp_preference_limit = 1
 ticket_lifetime = %[3]ds
 default_tkt_enctypes = aes256-cts-hmac-sha1-96
 default_tgs_enctypes = aes256-cts-hmac-sha1-96
 permitted_enctypes = aes256-cts-hmac-sha1-96
[realms]
 %[1]s = {
  kdc = %[2]s
 }
[domain_realm]
 localhost = %[1]s
[logging]
 kdc = STDERR
 default = STDERR
`, k.opts.Realm, k.Addr(), int(k.opts.Lifetime.Seconds()))
}

func (k *KDC) serverConfig() string {
	return fmt.Sprintf(`[kdcdefaults]
 kdc_listen = %[2]s
 kdc_tcp_listen = %[2]s
[realms]
 %[1]s = {
  database_name = %[3]s/principal
  key_stash_file = %[3]s/stash
  acl_file = %[3]s/kadm5.acl
  max_life = %[4]ds
  max_renewable_life = 0s
  supported_enctypes = aes256-cts-hmac-sha1-96:normal
 }
`, k.opts.Realm, k.Addr(), k.opts.Dir, int(k.opts.Lifetime.Seconds()))
}

// env leads the programs to our configuration.
func (k *KDC) env() []string {
	config := k.Config()
	if k.distrusts {
		config = k.wary()
	}
	return []string{"KRB5_CONFIG=" + config, "KRB5_KDC_PROFILE=" + filepath.Join(k.opts.Dir, "kdc.conf")}
}

// tool runs one of the programs to its end.
func (k *KDC) tool(ctx context.Context, path string, args ...string) error {
	cmd := exec.CommandContext(ctx, path, append([]string{"-r", k.opts.Realm}, args...)...)
	cmd.Env = append(os.Environ(), k.env()...)
	// The administrator's tool ends with status 0 whatever happened, and says so on standard error.
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", filepath.Base(path), err, out)
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, " while ") && !strings.Contains(line, "already exists") {
			return fmt.Errorf("%s: %s", filepath.Base(path), strings.TrimSpace(line))
		}
	}
	return nil
}

func (k *KDC) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	p, err := lab.Start(lab.Command{
		Name: "krb5kdc", Path: k.tools.kdc, Args: []string{"-n", "-r", k.opts.Realm}, Env: k.env(), Dir: k.opts.Dir, Log: k.Log(),
	})
	if err != nil {
		return err
	}
	if err := p.WaitPort(ctx, k.Addr()); err != nil {
		return errors.Join(err, p.Kill())
	}
	k.process = p
	return nil
}

// Name is the realm.
func (k *KDC) Name() string { return k.opts.Realm }

// Addr is the centre's host:port, TCP and UDP.
func (k *KDC) Addr() string { return lab.Loopback(k.kept.Numbers[0]) }

// Config is the path of a krb5.conf for clients.
func (k *KDC) Config() string { return filepath.Join(k.opts.Dir, "krb5.conf") }

// wary is the centre's own krb5.conf while it trusts no clock.
func (k *KDC) wary() string { return filepath.Join(k.opts.Dir, "wary.conf") }

// Log is the path of the centre's log, which goes on over restarts.
func (k *KDC) Log() string { return filepath.Join(k.opts.Dir, "kdc.log") }

// Keytab is the path of a file with the keys of a principal, such as "alice" or "hdfs/localhost"; the principal is
// made with random keys where it is new.
func (k *KDC) Keytab(principal string) (string, error) {
	k.admin.Lock()
	defer k.admin.Unlock()
	path := filepath.Join(k.opts.Dir, "keytabs", strings.ReplaceAll(principal, "/", "_")+".keytab")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	if err := k.tool(ctx, k.tools.admin, "-q", "addprinc -randkey "+principal); err != nil {
		return "", err
	}
	if err := k.tool(ctx, k.tools.admin, "-q", "ktadd -k "+path+" -norandkey "+principal); err != nil {
		return "", err
	}
	_, err := os.Stat(path)
	return path, err
}

// Limit bounds the life of a principal's tickets, whole seconds, below the centre's own bound.
func (k *KDC) Limit(principal string, life time.Duration) error {
	return k.modify(fmt.Sprintf("-maxlife \"%d seconds\"", int(life.Seconds())), principal)
}

func (k *KDC) modify(what, principal string) error {
	k.admin.Lock()
	defer k.admin.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	return k.tool(ctx, k.tools.admin, "-q", "modprinc "+what+" "+principal)
}

// Demand has the centre ask a principal for a proof by its keys and clock before it gives a ticket, as Active Directory does.
func (k *KDC) Demand(principal string) error { return k.modify("+requires_preauth", principal) }

// Bar has the centre give a principal no more tickets, or give them again. Those that are held stay good until they run out.
func (k *KDC) Bar(principal string, barred bool) error {
	if barred {
		return k.modify("-allow_tix", principal)
	}
	return k.modify("+allow_tix", principal)
}

// Remove deletes a principal: its next request for a ticket is refused. Its keytab file stays.
func (k *KDC) Remove(principal string) error {
	k.admin.Lock()
	defer k.admin.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	return k.tool(ctx, k.tools.admin, "-q", "delprinc -force "+principal)
}

// Stop ends the centre in good order; Restart may follow.
func (k *KDC) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	return k.process.Stop(ctx)
}

// Kill ends the centre at once (kill -9); Restart may follow.
func (k *KDC) Kill() error { return k.process.Kill() }

// Restart starts the centre again with the same database and port. A running one is stopped first.
func (k *KDC) Restart(ctx context.Context) error {
	if err := k.Stop(ctx); err != nil {
		return err
	}
	return k.start(ctx)
}

// Distrust starts the centre again, so that from then on it takes every client's clock for wrong, or no longer does.
func (k *KDC) Distrust(ctx context.Context, clocks bool) error {
	k.distrusts = clocks
	return k.Restart(ctx)
}

// Pause freezes the centre with its connections open.
func (k *KDC) Pause() error { return k.process.Pause() }

// Resume lets a paused centre go on.
func (k *KDC) Resume() error { return k.process.Resume() }

// Close kills the centre and gives its port back. The directory stays.
func (k *KDC) Close() error {
	defer k.kept.Release()
	return k.process.Kill()
}

package script_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/provision"
	"github.com/understudy-dr/understudy/provision/provisiontest"
	"github.com/understudy-dr/understudy/provision/script"
)

// customer is a customer's command: it makes and removes clusters, which are files in the directory $1. Where there is
// a file hold-ACTION it stops in the middle of that action.
const customer = `#!/bin/sh
read -r order
field() { printf '%s' "$order" | sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"; }
action=$(field action)
path="$1/$(field plan)_$(field workload)@$(field site)"
if [ -e "$1/hold-$action" ]; then
  rm "$1/hold-$action"
  echo half > "$path"
  : > "$1/held"
  exec sleep 600
fi
case "$action" in
  make|resize) printf '%s' "$(field size)" > "$path" ;;
  remove) rm -f "$path" ;;
esac
if [ -e "$path" ]; then state=present; else state=absent; fi
echo "{\"state\": \"$state\", \"note\": \"for $(field cluster)\", \"cost\": 3}"
`

// command writes a command to a file of its own, and gives it with the directory as its argument.
func command(t *testing.T, dir, text string) script.Command {
	t.Helper()
	path := filepath.Join(t.TempDir(), "customer")
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return script.Command{Exec: []string{path, dir}}
}

func TestScriptConforms(t *testing.T) {
	provisiontest.Run(t, func(t *testing.T) provisiontest.Harness {
		dir := t.TempDir()
		return provisiontest.Harness{
			Provisioner: script.New("start-lake", command(t, dir, customer)),
			Size: func(at provision.Target) provision.Size {
				b, err := os.ReadFile(filepath.Join(dir, file(at)))
				if err != nil {
					t.Fatal(err)
				}
				return provision.Size(b)
			},
			Interrupt: func(t *testing.T, action string) context.Context { return interrupt(t, dir, action) },
		}
	})
}

// interrupt ends its context as soon as the command has begun the action.
func interrupt(t *testing.T, dir, action string) context.Context {
	if err := os.WriteFile(filepath.Join(dir, "hold-"+action), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		for t.Context().Err() == nil {
			if _, err := os.Stat(filepath.Join(dir, "held")); err == nil {
				return
			}
			<-time.After(5 * time.Millisecond)
		}
	}()
	return ctx
}

func lake() provision.Target {
	return provision.Target{Plan: "contoso", Workload: "curated", Site: "west", Cluster: "lake"}
}

func TestScriptSaysWhatIsWrong(t *testing.T) {
	for text, want := range map[string]struct {
		code understudy.Code
		says string
	}{
		"echo the quota is used up >&2; exit 3": {"US281", "the quota is used up"},
		"head -c 1000000 /dev/zero":             {"US283", "more than 65536 bytes"},
		"":                                      {"US283", "not a JSON document"},
		"echo ready":                            {"US283", "not a JSON document"},
		"echo '{}'":                             {"US283", "it must be present or absent"},
		`echo '{"state": "starting"}'`:          {"US283", `"starting"`},
		`echo '{"state": "present"}' '{"state": "absent"}'`: {"US283", "more than one"},
		`echo '{"state": "absent"}'`:                        {"US283", "after make it says that the cluster is absent"},
	} {
		_, err := script.New("start-lake", command(t, t.TempDir(), "#!/bin/sh\n"+text+"\n")).Make(t.Context(), lake(), provision.ForRun)
		e := understudy.AsError(err)
		if err == nil || e.Code != want.code || !strings.Contains(e.Why, want.says) || e.Object.Site != "west" {
			t.Errorf("%q: %v: %+v", text, err, e)
		}
	}
	_, err := script.New("start-lake", script.Command{Exec: []string{"/no/such/command"}}).Find(t.Context(), lake())
	if e := understudy.AsError(err); err == nil || e.Code != "US281" {
		t.Errorf("without a program: %v", err)
	}
	if _, err := script.New("start-lake", script.Command{}).Find(t.Context(), lake()); err == nil {
		t.Error("without a command it answers")
	}
}

func TestScriptIsEndedWhenItTakesTooLong(t *testing.T) {
	c := command(t, t.TempDir(), "#!/bin/sh\nexec sleep 600\n")
	c.Timeout = 50 * time.Millisecond
	_, err := script.New("start-lake", c).Make(t.Context(), lake(), provision.ForRun)
	if e := understudy.AsError(err); err == nil || e.Code != "US282" || e.Kind != understudy.KindTimeout {
		t.Errorf("%v", err)
	}
}

func TestScriptSeesNothingOfOurEnvironment(t *testing.T) {
	t.Setenv("UNDERSTUDY_TEST_SECRET", "hunter2")
	dir := t.TempDir()
	if _, err := script.New("start-lake", command(t, dir, "#!/bin/sh\nenv > $1/environment\n")).Find(t.Context(), lake()); err == nil {
		t.Error("it gave no answer, and that was taken")
	}
	b, err := os.ReadFile(filepath.Join(dir, "environment"))
	if err != nil || strings.Contains(string(b), "hunter2") || !strings.Contains(string(b), "PATH=") {
		t.Errorf("%s, %v", b, err)
	}
}

// file is the name of the file that the customer's command keeps for a cluster.
func file(at provision.Target) string { return strings.ReplaceAll(at.String(), "/", "_") }

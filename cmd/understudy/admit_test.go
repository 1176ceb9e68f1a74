package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/understudy-dr/understudy/api"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/journal/mem"
	"github.com/understudy-dr/understudy/spec"
)

// ours is a control plane as serve wires it, on a journal in memory, and a way to call the command line against it.
type ours struct {
	t   *testing.T
	dir string
}

func serveInMemory(t *testing.T, config string) ours {
	t.Helper()
	o := ours{t: t, dir: t.TempDir()}
	cfg, err := spec.ParseServe(spec.Source{Name: "serve.yaml", Text: []byte("site: west\ndata: " + o.dir + "\n" + config)})
	if err != nil {
		t.Fatal(err)
	}
	j := mem.NewStore().Open(mem.Options{})
	c := control.New(controlOptions(cfg, j, slog.New(slog.DiscardHandler)))
	ctx, cancel := context.WithCancel(context.Background())
	led, answered := make(chan error, 1), make(chan error, 1)
	l, err := api.Listen(cfg.SocketPath())
	if err != nil {
		t.Fatal(err)
	}
	go func() { led <- c.Run(ctx, ctx) }()
	go func() { answered <- api.Serve(ctx, l, api.New(c, "test")) }()
	t.Cleanup(func() {
		cancel()
		t.Log(<-led, <-answered)
		_ = j.Close()
	})
	if err := c.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	return o
}

// file writes a file of the directory and gives its path.
func (o ours) file(name, text string) string {
	o.t.Helper()
	path := filepath.Join(o.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		o.t.Fatal(err)
	}
	return path
}

// wants runs a command and wants the exit status; it gives both streams.
func (o ours) wants(status int, args ...string) (string, string) {
	o.t.Helper()
	var out, errs bytes.Buffer
	env := func(k string) (string, bool) { return o.dir, k == "UNDERSTUDY_DATA" }
	if got := run(args, strings.NewReader(""), &out, &errs, env); got != status {
		o.t.Fatalf("%v: status %d, want %d: %s%s", args, got, status, &out, &errs)
	}
	return out.String(), errs.String()
}

// Names that serve does not know are refused where they stand in the files, before anything needs them.
func TestUnknownNamesAreNotApplied(t *testing.T) {
	o := serveInMemory(t, "secrets: { kafka-east: { env: NOT_READ } }\nhooks: { flip-dns: { exec: [/bin/true] } }\n")
	sites := o.file("sites.yaml", `# two regions
site: east
clusters:
  streaming:
    provision: start-lake
    kafka:
      brokers: ["127.0.0.1:1"]
      sasl: { mechanism: PLAIN, user: u, secret: kafka-est }
---
site: west
clusters: { streaming: { kafka: { brokers: ["127.0.0.1:1"] } } }
`)
	plan := o.file("plan.yaml", `plan: contoso
home: east
sites: [east, west]
hooks: { route: flip-dsn }
workloads:
  - name: orders
    kind: kafka
    architecture: active-passive
    cluster: streaming
    objective: { rpo: 30s, rto: 10m }
    onFailure: stop
    topics: ["orders"]
`)
	for _, args := range [][]string{{"apply", "-f", sites, "-f", plan}, {"validate", "--live", sites, plan}} {
		_, told := o.wants(exitUsage, args...)
		for _, want := range []string{
			"error[US433]: serve knows no secret called \"kafka-est\"\n  --> " + sites + ":8:50", `did you mean "kafka-east"?`,
			"error[US442]: serve knows no provisioner called \"start-lake\"\n  --> " + sites + ":5:16",
			"error[US436]: serve knows no hook called \"flip-dsn\"\n  --> " + plan + ":4:17", "fix: add its command under `hooks:` in serve's configuration",
			"3 errors in 2 files",
		} {
			if !strings.Contains(told, want) {
				t.Errorf("%v does not say %q:\n%s", args, want, told)
			}
		}
	}
	var doc struct{ Problems spec.Problems }
	_, told := o.wants(exitUsage, "-o", "json", "apply", "-f", plan, "-f", sites)
	if err := json.Unmarshal([]byte(told), &doc); err != nil || len(doc.Problems) != 3 || doc.Problems[0].File != plan {
		t.Fatalf("%v: %s", err, told)
	}
	if out, _ := o.wants(exitOK, "get", "plans"); strings.Contains(out, "contoso") {
		t.Fatalf("a plan with names that nobody knows was applied:\n%s", out)
	}
	known := strings.NewReplacer("kafka-est", "kafka-east", "start-lake", "static", "flip-dsn", "flip-dns")
	o.wants(exitOK, "apply", "-f", o.file("sites.yaml", replaced(t, known, sites)), "-f", o.file("plan.yaml", replaced(t, known, plan)))
}

func replaced(t *testing.T, r *strings.Replacer, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return r.Replace(string(text))
}

package demo

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"text/template"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/journal"
	"github.com/understudy-dr/understudy/journal/etcd"
	"github.com/understudy-dr/understudy/spec"
	"github.com/understudy-dr/understudy/workload/all"
)

const (
	plan     = understudy.PlanName("shop")
	orders   = understudy.WorkloadName("orders")
	invoices = understudy.WorkloadName("invoices")
	// operator is the name under which the story gives its orders, and its word.
	operator = "understudy demo"
)

// files are the sites and the plan as a user would write them.
const files = `{{range .}}site: {{.Site}}
clusters:
  streaming:
    kafka:
      brokers: ["{{.Brokers}}"]
      sasl: { mechanism: PLAIN, user: {{.Mover}}, secret: {{.Mover}} }
      writer: { sasl: { mechanism: PLAIN, user: {{.Shop}}, secret: {{.Shop}} } }
      superUsers: ["User:ANONYMOUS"]
  lake:
    local: { root: "{{.Lake}}" }
---
{{end}}plan: shop
home: east
sites: [east, west]
hooks: { freeze: pause-the-clerk, route: move-the-clerk }
workloads:
  - name: orders
    kind: kafka
    architecture: active-passive
    cluster: streaming
    objective: { rpo: 30s, rto: 10m }
    onFailure: stop
    after: [invoices]
    topics: [orders, payments]
  - name: invoices
    kind: storage
    architecture: standby-secondary
    cluster: lake
    schedule: every 1h
    objective: { rpo: 2h, rto: 10m }
    onFailure: stop
    trees: [{ path: /invoices }]
    guard: { deletes: 10, percent: 10, keep: 720h }
`

// house is the control plane as `understudy serve` runs it, in this process.
type house struct {
	control *control.Controller
	journal journal.Journal
	drain   context.CancelFunc
	stop    context.CancelFunc
	group   errgroup.Group
}

// build opens the journal and makes a control plane that stands at west.
func build(ctx context.Context, dir string, runner control.HookRunner, log *slog.Logger) (*house, error) {
	secrets, err := hide(dir)
	if err != nil {
		return nil, err
	}
	j, err := etcd.OpenEmbedded(ctx, etcd.Options{Dir: filepath.Join(dir, "journal"), Log: log})
	if err != nil {
		return nil, err
	}
	registry := all.Registry()
	return &house{journal: j, control: control.New(control.Options{
		Journal: j, Registry: registry, DataDir: dir, Site: west, Holder: fmt.Sprintf("west/demo/%d", os.Getpid()),
		Compile: func(text string) (control.Plans, error) {
			if text == "" {
				return nil, nil
			}
			set, err := spec.Parse(registry, spec.Set{}, spec.Source{Name: "demo.yaml", Text: []byte(text)})
			return set.Plans, err
		},
		Secret: secrets.Read, Hooks: runner, Exclusive: true, ProbeEvery: 250 * time.Millisecond, Log: log,
	})}, nil
}

// hide puts the passwords into files, where serve's configuration would point to.
func hide(dir string) (spec.Secrets, error) {
	secrets := spec.Secrets{}
	for name, password := range passwords() {
		file := filepath.Join(dir, name+".secret")
		if err := os.WriteFile(file, []byte(password), 0o600); err != nil {
			return nil, err
		}
		secrets[understudy.SecretName(name)] = &spec.SecretSource{File: file}
	}
	return secrets, nil
}

// open runs the control plane until close.
func (h *house) open() {
	var drain, stop context.Context
	drain, h.drain = context.WithCancel(context.Background())
	stop, h.stop = context.WithCancel(context.Background())
	h.group.Go(func() error { return h.control.Run(drain, stop) })
}

// close lets the control plane come to rest, but not for long, and closes the journal.
func (h *house) close() {
	h.drain()
	impatient := time.AfterFunc(3*time.Second, h.stop)
	_ = h.group.Wait()
	impatient.Stop()
	h.stop()
	_ = h.journal.Close()
}

// apply gives the control plane its sites and its plan.
func (h *house) apply(ctx context.Context, s servers, l lake) error {
	text, err := write(s, l)
	if err != nil {
		return err
	}
	return patiently(ctx, func() error {
		_, err := h.control.Apply(ctx, control.ApplyRequest{Text: text, By: operator})
		return err
	})
}

// write fills in the files.
func write(s servers, l lake) (string, error) {
	type site struct {
		Site                       understudy.Site
		Brokers, Mover, Shop, Lake string
	}
	var sites []site
	for _, name := range []understudy.Site{east, west} {
		sites = append(sites, site{name, s.at(name).far, mover, shop, l.root(name)})
	}
	var b strings.Builder
	err := template.Must(template.New("files").Parse(files)).Execute(&b, sites)
	return b.String(), err
}

// operate gives an order, waits until the operation rests, and gives its report.
func (h *house) operate(ctx context.Context, req control.StartRequest, tell func(understudy.StepProgress)) (control.Report, error) {
	req.Plan, req.Confirm, req.By = plan, string(plan), operator
	var started control.Started
	err := patiently(ctx, func() (err error) {
		started, err = h.control.Start(ctx, req)
		return err
	})
	if err != nil {
		return control.Report{}, err
	}
	id := started.Operation.ID
	watching, enough := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() {
		_ = h.control.Watch(watching, id, 0, func(e control.Event) error {
			if e.Progress != nil {
				tell(*e.Progress)
			}
			return nil
		})
	})
	op, err := h.control.Wait(ctx, id)
	enough()
	watch.Wait()
	if err != nil {
		return control.Report{}, err
	}
	if op.State != control.Committed && op.State != control.CommitWindow {
		return control.Report{}, stuck(op)
	}
	return h.control.Report(ctx, id)
}

// stuck is the error of an operation that did not come to its good end.
func stuck(op control.Operation) error {
	text := fmt.Sprintf("%s is %s at stage %s", op.Verb, op.State, op.Stage)
	if op.Error == nil {
		return failed(text, nil)
	}
	return failed(text, op.Error)
}

// patiently asks again while the control plane says that it will soon be ready.
func patiently(ctx context.Context, ask func() error) error {
	for {
		err := ask()
		soon := understudy.KindOf(err) == understudy.KindRetry || understudy.KindOf(err) == understudy.KindFenced
		if err == nil || !soon {
			return err
		}
		if err := rest(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
}

// awaitFenced waits until the standing duty has met the old primary of every workload and fenced it, and gives the
// proofs.
func (h *house) awaitFenced(ctx context.Context, site understudy.Site) (map[understudy.WorkloadName]understudy.Proof, error) {
	for {
		status, err := h.control.Status(ctx, plan)
		if err != nil {
			return nil, err
		}
		if proofs := fenced(status, site); len(proofs) == len(status.Workloads) {
			return proofs, nil
		}
		if err := rest(ctx, 50*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// fenced gives the proofs that an old site is fenced, as far as there are any yet.
func fenced(status control.PlanStatus, site understudy.Site) map[understudy.WorkloadName]understudy.Proof {
	proofs := map[understudy.WorkloadName]understudy.Proof{}
	for _, w := range status.Workloads {
		for _, old := range w.Old {
			if old.Site == site && old.State == "fenced" && old.Proof != nil {
				proofs[w.Workload] = *old.Proof
			}
		}
	}
	return proofs
}

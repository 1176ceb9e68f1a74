package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/api"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/journal"
	"github.com/understudy-dr/understudy/journal/etcd"
	"github.com/understudy-dr/understudy/provision"
	makers "github.com/understudy-dr/understudy/provision/all"
	"github.com/understudy-dr/understudy/provision/script"
	"github.com/understudy-dr/understudy/spec"
	"github.com/understudy-dr/understudy/workload/all"
)

func (a *app) serveCommand() *cobra.Command {
	var config, site, data string
	c := &cobra.Command{
		Use: "serve", Short: "Run the control plane; the API answers on a unix socket in the data directory",
		Long: `Run the control plane: it follows links, runs operations and watches old primaries.

The first Ctrl-C (or SIGTERM) drains: running steps are finished, links come to rest, the leadership is given
up. A second one stops at once; the journal survives it, and the next start goes on where this one was.`,
		Args: args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			cfg, err := a.serveConfig(config, site, data)
			if err != nil {
				return err
			}
			return a.serve(cfg)
		},
	}
	c.Flags().StringVarP(&config, "config", "c", "", "configuration file (default: $UNDERSTUDY_CONFIG, or none)")
	c.Flags().StringVar(&site, "site", "", "the site where this process stands, instead of the configuration's")
	c.Flags().StringVar(&data, "data", "", "the data directory, instead of the configuration's")
	return c
}

// serveConfig reads the configuration; without a file, flags and defaults alone make one.
func (a *app) serveConfig(path, site, data string) (spec.Serve, error) {
	if path == "" {
		path, _ = a.env("UNDERSTUDY_CONFIG")
	}
	cfg := spec.DefaultServe()
	if path != "" {
		text, err := os.ReadFile(path)
		if err != nil {
			return cfg, &understudy.Error{Code: "US512", Kind: understudy.KindInvalid, Summary: "the configuration cannot be read", Err: err, Fix: "give --config FILE"}
		}
		var given []string
		for key, value := range map[string]string{"site": site, "data": data} {
			if value != "" {
				given = append(given, key)
			}
		}
		if cfg, err = spec.ParseServe(spec.Source{Name: path, Text: text}, given...); err != nil {
			return cfg, a.problems(err)
		}
	}
	if site != "" {
		cfg.Site = understudy.Site(site)
	}
	if data != "" {
		full, err := filepath.Abs(data)
		if err != nil {
			return cfg, err
		}
		cfg.Data = full
	}
	if cfg.Data == "" {
		cfg.Data = a.defaultData()
	}
	if why := spec.NameProblem(string(cfg.Site)); cfg.Site != "" && why != "" {
		return cfg, &understudy.Error{Code: "US512", Kind: understudy.KindInvalid, Summary: fmt.Sprintf("%q is not the name of a site", cfg.Site), Why: why,
			Fix: "give --site the name that the site's document has"}
	}
	if cfg.Site == "" {
		return cfg, &understudy.Error{Code: "US512", Kind: understudy.KindInvalid, Summary: "serve does not know at which site it stands",
			Fix: "give --site, or site: in the configuration"}
	}
	return cfg, nil
}

// serve runs until a signal: the first one drains, the second one stops at once.
func (a *app) serve(cfg spec.Serve) error {
	// The signals are handled here, in two steps, instead of by the context of the command.
	a.release()
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	log := logger(a.errs, cfg.Log)

	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return &understudy.Error{Code: "US512", Kind: understudy.KindInvalid, Summary: "the data directory " + cfg.Data + " cannot be made", Err: err,
			Fix: "make it and let this user write there, or give another one with --data"}
	}
	j, err := openJournal(context.Background(), cfg, log)
	if err != nil {
		return err
	}
	defer func() { _ = j.Close() }()
	l, err := api.Listen(cfg.SocketPath())
	if err != nil {
		return err
	}
	drain, beginDrain := context.WithCancel(context.Background())
	defer beginDrain()
	stop, beginStop := context.WithCancel(context.Background())
	defer beginStop()
	done := make(chan struct{})
	defer close(done)
	go twoSignals(signals, done, beginDrain, beginStop, log)
	return runBoth(drain, stop, a, cfg, j, l, log)
}

func twoSignals(signals <-chan os.Signal, done <-chan struct{}, drain, stop func(), log *slog.Logger) {
	for _, x := range []struct {
		text string
		do   func()
	}{{"draining: running steps are finished; a second signal stops at once", drain}, {"stopping at once", stop}} {
		select {
		case <-signals:
			log.Info(x.text)
			x.do()
		case <-done:
			return
		}
	}
}

// runBoth runs control and the API side by side; the API answers until control has come to rest.
func runBoth(drain, stop context.Context, a *app, cfg spec.Serve, j journal.Journal, l net.Listener, log *slog.Logger) error {
	c := control.New(controlOptions(cfg, j, log))
	answering, quiet := context.WithCancel(context.Background())
	defer quiet()
	leading, drainAll := context.WithCancel(drain)
	defer drainAll()
	var g errgroup.Group
	g.Go(func() error {
		defer quiet()
		return c.Run(leading, stop)
	})
	g.Go(func() error {
		// A control plane that nobody can ask or stop is none: without the API it drains, and another one may start.
		defer drainAll()
		return api.Serve(answering, l, api.New(c, a.version))
	})
	log.Info("serving", "site", cfg.Site, "socket", cfg.SocketPath(), "data", cfg.Data, "version", a.version)
	return g.Wait()
}

func controlOptions(cfg spec.Serve, j journal.Journal, log *slog.Logger) control.Options {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	reg := all.Registry()
	parse := func(text string) (spec.Set, error) {
		return spec.Parse(reg, spec.Set{}, spec.Source{Name: "documents", Text: []byte(text)})
	}
	return control.Options{
		Journal: j, Registry: reg, DataDir: cfg.Data, Site: cfg.Site,
		Holder: fmt.Sprintf("%s/%s/%d", cfg.Site, host, os.Getpid()),
		Compile: func(text string) (control.Plans, error) {
			if text == "" {
				return nil, nil
			}
			set, err := parse(text)
			return set.Plans, err
		},
		Admit: func(applied, text string) error {
			if text == "" {
				return nil
			}
			next, err := parse(text)
			if err != nil {
				return err
			}
			old, err := parse(applied)
			if err != nil {
				old = spec.Set{} // nothing is applied, or nothing that can be read: then everything is new
			}
			return cfg.CheckChange(old, next)
		},
		Secret: cfg.Secrets.Read, Hooks: hooks(cfg.Hooks), Provisioners: provisioners(cfg.Provisioners),
		Exclusive: cfg.Journal.Etcd.Embedded(),
		Lease:     cfg.Limits.Lease, RequestTimeout: cfg.Limits.Request, FetchBudget: int64(cfg.Limits.Fetch),
		Log: log,
	}
}

func hooks(configured map[understudy.HookName]*spec.Hook) control.HookRunner {
	out := control.ExecHooks{}
	for name, h := range configured {
		out[name] = control.Hook{Exec: h.Exec, Timeout: h.Timeout}
	}
	return out
}

func provisioners(configured map[understudy.ProvisionerName]*spec.ProvisionerCommand) provision.Registry {
	commands := script.Commands{}
	for name, p := range configured {
		commands[name] = script.Command{Exec: p.Exec, Timeout: p.Timeout}
	}
	return makers.Registry(commands)
}

func openJournal(ctx context.Context, cfg spec.Serve, log *slog.Logger) (journal.Journal, error) {
	e := cfg.Journal.Etcd
	if e.Embedded() {
		return etcd.OpenEmbedded(ctx, etcd.Options{Dir: filepath.Join(cfg.Data, "journal"), Log: log})
	}
	tls, err := etcdTLS(e.TLS)
	if err != nil {
		return nil, err
	}
	return etcd.OpenEndpoints(ctx, etcd.Options{Endpoints: e.Endpoints, Prefix: e.Prefix, TLS: tls, Log: log})
}

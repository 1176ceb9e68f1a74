package demo

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
)

// pace is how fast the story is told.
type pace struct {
	// load is the least time that the shop sells before the loss; chance adds up to half of it.
	load time.Duration
	// burst is how long it sells at other times.
	burst time.Duration
	// delay is that of the slow way between the regions, in each direction.
	delay time.Duration
	// runs is how long the tree rests between two runs.
	runs time.Duration
}

func (s *story) pace() pace {
	if s.options.Real {
		return pace{load: 5 * time.Second, burst: time.Second, delay: 120 * time.Millisecond, runs: time.Second}
	}
	return pace{load: time.Second, burst: 250 * time.Millisecond, delay: 80 * time.Millisecond, runs: 300 * time.Millisecond}
}

// choose gives the servers on which the story is played.
func (s *story) choose(ctx context.Context) (servers, error) {
	if !s.options.Real {
		return simulate()
	}
	lab, err := findLab(ctx, s.options.Lab, s.dir)
	if err != nil {
		return nil, err
	}
	s.tell("Apache Kafka servers are starting; the first time on a machine their jars are fetched.")
	return hire(ctx, lab, filepath.Join(s.dir, "servers"), s.options.Errors)
}

// introduce says what will be seen.
func (s *story) introduce() {
	s.tell("Two regions, east and west, each with a Kafka cluster and a directory tree of invoices; and a shop that")
	s.tell("remembers which orders were acknowledged, and which invoices were written to their end.")
	s.result.NotShown = notShown(s.options.Real)
	if s.options.Real {
		s.tell("The servers are %s; the trees are directories of this machine.", s.servers.what())
		return
	}
	s.tell("The servers are simulated, in this process, and the trees are directories of this machine; everything of")
	s.tell("understudy is what runs in production.")
}

// begin opens a step.
func (s *story) begin(title, command string) {
	s.begun = time.Now()
	s.step = Step{Number: len(s.result.Steps) + 1, Title: title, Command: command}
	s.audience.Begin(s.step)
}

// finish closes it.
func (s *story) finish() {
	s.step.Seconds = time.Since(s.begun).Seconds()
	s.result.Steps = append(s.result.Steps, s.step)
}

func (s *story) tell(format string, v ...any) { s.audience.Tell(fmt.Sprintf(format, v...)) }

// operate gives an order and notes its operation with the step.
func (s *story) operate(ctx context.Context, req control.StartRequest) (control.Report, error) {
	report, err := s.house.operate(ctx, req, s.audience.Progress)
	s.step.Operation = report.Operation.ID
	return report, err
}

// took is how long an operation ran, for people.
func took(r control.Report) string {
	end := r.Operation.Ended
	for _, stage := range r.Stages {
		if stage.Ended.After(end) {
			end = stage.Ended
		}
	}
	return "it took " + short(end.Sub(r.Operation.Created))
}

// boundOf gives the loss of a workload that an operation stated before it began to act.
func boundOf(r control.Report, name understudy.WorkloadName) (understudy.Exposure, error) {
	for _, p := range r.Operation.Parts {
		if p.Workload == name && p.Bound != nil && p.Bound.Known {
			return *p.Bound, nil
		}
	}
	return understudy.Exposure{}, failed("the failover stated no bound for "+string(name), nil)
}

// exposures gives what understudy says would be lost now, by workload.
func (s *story) exposures(ctx context.Context) (map[understudy.WorkloadName]understudy.Exposure, error) {
	status, err := s.house.control.Status(ctx, plan)
	if err != nil {
		return nil, err
	}
	out := map[understudy.WorkloadName]understudy.Exposure{}
	for _, w := range status.Workloads {
		if !w.Exposure.Known {
			return nil, failed("the exposure of "+string(w.Workload)+" is not known although the plan is protected", nil)
		}
		out[w.Workload] = w.Exposure
	}
	return out, nil
}

// sell lets the application write to one site for a time, and the clerk where he sits. It must not be refused.
func (s *story) sell(ctx context.Context, site understudy.Site, d time.Duration) error {
	selling, stop := context.WithTimeout(ctx, d)
	defer stop()
	err := during(selling, s.clerk.work, func() error { return s.app.write(selling, s.servers.at(site).near) })
	if err != nil {
		return failed("the application is refused at "+string(site), err)
	}
	return nil
}

// count reads a site, and adds what must not be there to the result.
func (s *story) count(ctx context.Context, site understudy.Site) (tally, error) {
	found, err := read(ctx, s.servers.at(site).near)
	if err != nil {
		return nil, failed("the orders at "+string(site)+" could not be counted", err)
	}
	s.result.Duplicates += found.duplicates()
	sent := s.app.book.sent()
	for n := range found {
		if n < 0 || n >= sent {
			s.result.Invented++
		}
	}
	return found, nil
}

// during does one thing while another goes on, which ends with it.
func during(ctx context.Context, background func(context.Context), do func() error) error {
	ctx, stop := context.WithCancel(ctx)
	var other sync.WaitGroup
	other.Go(func() { background(ctx) })
	err := do()
	stop()
	other.Wait()
	return err
}

// wait lets time pass, visibly.
func (s *story) wait(ctx context.Context, d time.Duration, doing string) error {
	const beat = 50 * time.Millisecond
	for passed := time.Duration(0); passed < d; passed += beat {
		s.audience.Progress(understudy.StepProgress{Text: doing, Done: passed.Milliseconds(), Total: d.Milliseconds(), Unit: "ms"})
		if err := rest(ctx, min(beat, d-passed)); err != nil {
			return err
		}
	}
	return nil
}

// conclude sums up.
func (s *story) conclude() {
	r := &s.result
	s.audience.Begin(Step{Title: "What it came to"})
	s.tell("orders: acknowledged %d · survived %d · lost %d, bound claimed before %d (%.2fs) · in the ledger %d",
		r.Acknowledged, r.Survived, r.Lost, r.LostBoundClaimed, r.LostBoundSeconds, r.Ledgered)
	s.tell("switchover home: acknowledged %d, lost %d · duplicates %d · verdict %s",
		r.SwitchoverAcknowledged, r.SwitchoverLost, r.Duplicates, r.Verdict)
	t := &r.Tree
	s.tell("invoices: written %d · survived %d · lost %d, bound claimed before %d (%.2fs) · came back from the ledger %d",
		t.Files, t.Survived, t.Lost, t.LostBoundClaimed, t.LostBoundSeconds, t.LedgeredLost)
	s.tell("switchover home: written %d, lost %d · torn %d · verdict %s · %.1fs in all",
		t.SwitchoverFiles, t.SwitchoverLost, t.Torn, t.Verdict, r.Seconds)
	for _, v := range r.Violated {
		s.tell("BROKEN PROMISE: %s", v)
	}
	for _, n := range r.NotShown {
		s.tell("not shown here: %s", n)
	}
	if !s.options.Real {
		s.tell("the same on Apache Kafka servers: understudy demo --real")
	}
}

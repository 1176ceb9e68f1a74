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
}

func (s *story) pace() pace {
	if s.options.Real {
		return pace{load: 5 * time.Second, burst: time.Second, delay: 120 * time.Millisecond}
	}
	return pace{load: time.Second, burst: 250 * time.Millisecond, delay: 80 * time.Millisecond}
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
	s.tell("Two Kafka clusters, east and west, and one application that remembers which orders were acknowledged.")
	if s.options.Real {
		s.tell("The servers are %s.", s.servers.what())
		return
	}
	s.result.NotShown = notShown()
	s.tell("The servers are simulated, in this process; everything of understudy is what runs in production.")
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

// boundOf gives the loss that an operation stated before it began to act.
func boundOf(r control.Report) (understudy.Exposure, error) {
	for _, p := range r.Operation.Parts {
		if p.Bound != nil && p.Bound.Known {
			return *p.Bound, nil
		}
	}
	return understudy.Exposure{}, failed("the failover stated no bound", nil)
}

// exposure gives what understudy says would be lost now.
func (s *story) exposure(ctx context.Context) (understudy.Exposure, error) {
	status, err := s.house.control.Status(ctx, plan)
	if err != nil {
		return understudy.Exposure{}, err
	}
	for _, w := range status.Workloads {
		if w.Workload == orders && w.Exposure.Known {
			return w.Exposure, nil
		}
	}
	return understudy.Exposure{}, failed("the exposure is not known although the plan is protected", nil)
}

// sell lets the application write to one site for a time. It must not be refused.
func (s *story) sell(ctx context.Context, site understudy.Site, d time.Duration) error {
	selling, stop := context.WithTimeout(ctx, d)
	defer stop()
	if err := s.app.write(selling, s.servers.at(site).near); err != nil {
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
	s.tell("acknowledged %d · survived %d · lost %d, bound claimed before %d (%.2fs) · in the ledger %d",
		r.Acknowledged, r.Survived, r.Lost, r.LostBoundClaimed, r.LostBoundSeconds, r.Ledgered)
	s.tell("switchover home: acknowledged %d, lost %d · duplicates %d · verdict %s · %.1fs in all",
		r.SwitchoverAcknowledged, r.SwitchoverLost, r.Duplicates, r.Verdict, r.Seconds)
	for _, v := range r.Violated {
		s.tell("BROKEN PROMISE: %s", v)
	}
	for _, n := range r.NotShown {
		s.tell("not shown by simulated servers: %s", n)
	}
	if !s.options.Real {
		s.tell("the same on Apache Kafka servers: understudy demo --real")
	}
}

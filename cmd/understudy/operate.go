package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/api"
	"github.com/understudy-dr/understudy/control"
)

// operateFlags are what the verbs take.
type operateFlags struct {
	dryRun      bool
	confirm     string
	maxLoss     time.Duration
	bounded     bool // --max-loss was given: 0s is a bound too
	acceptFence string
	as          string
	fenceFloor  string
	to          string
	site        string
	supersede   string
	letGo       string
	reason      string
	wait        bool
	timeout     time.Duration
	shards      []string
	quick       bool
	workload    string
	relist      bool
	repair      bool
	consents    consentFlags
}

// verbs lists the operations that the command line starts, with what help says of each.
func verbs() []struct {
	verb understudy.Verb
	doc  string
} {
	return []struct {
		verb understudy.Verb
		doc  string
	}{
		{understudy.Protect, "Create what the secondary needs and begin to replicate"},
		{understudy.Switchover, "Move the active side, planned: loses nothing and can be undone"},
		{understudy.Failover, "Move the active side because the first is lost: its loss is bounded before and measured after"},
		{understudy.Commit, "Make the last takeover final, and release what was kept for a rollback"},
		{understudy.Rollback, "Undo the last switchover before it is committed; after a failover it is refused"},
		{understudy.Reprotect, "Bring the old primary back as the new secondary: fence, scan, ledger, resolve, follow"},
		{understudy.Failback, "Switch home, after reprotect"},
		{understudy.Unprotect, "End replication, remove what understudy put in place, and name what stays"},
		{understudy.Replicate, "Copy and publish now what is otherwise replicated by schedule"},
		{understudy.Verify, "Compare the sites by content"},
	}
}

// severe says whether the verb asks for the plan's name.
func severe(v understudy.Verb) bool {
	return slices.Contains([]understudy.Verb{understudy.Switchover, understudy.Failover, understudy.Rollback,
		understudy.Reprotect, understudy.Failback, understudy.Unprotect}, v)
}

func (a *app) operateCommands() []*cobra.Command {
	var out []*cobra.Command
	for _, v := range verbs() {
		f := &operateFlags{}
		c := &cobra.Command{
			Use: string(v.verb) + " PLAN", Short: v.doc, Args: args(cobra.ExactArgs(1)),
			RunE: func(c *cobra.Command, given []string) error {
				f.bounded = c.Flags().Changed("max-loss")
				return a.operate(c.Context(), v.verb, understudy.PlanName(given[0]), f)
			},
		}
		if v.verb == understudy.Failover {
			c.Use, c.Args = "failover PLAN | --site SITE", args(cobra.MaximumNArgs(1))
			c.RunE = func(c *cobra.Command, given []string) error {
				f.bounded = c.Flags().Changed("max-loss")
				return a.failover(c.Context(), given, f)
			}
		}
		if v.verb == understudy.Replicate {
			c.Use = "replicate PLAN[/WORKLOAD]"
			c.RunE = func(c *cobra.Command, given []string) error {
				return a.replicate(c.Context(), understudy.PlanName(given[0]), f)
			}
		}
		f.bind(c, v.verb)
		out = append(out, c)
	}
	return out
}

func (f *operateFlags) bind(c *cobra.Command, v understudy.Verb) {
	fl := c.Flags()
	fl.BoolVar(&f.dryRun, "dry-run", false, "show the stages and steps by today's facts and change nothing")
	fl.BoolVar(&f.wait, "wait", true, "wait until the operation rests; Ctrl-C leaves it running")
	fl.DurationVar(&f.timeout, "timeout", 0, "stop waiting after this time; the operation goes on (exit status 9)")
	fl.StringVar(&f.reason, "reason", "", "why, for the record")
	if severe(v) {
		what := "the plan's name, instead of typing it"
		if v == understudy.Failover {
			what += "; with --site the site's name"
		}
		fl.StringVar(&f.confirm, "confirm", "", what)
	}
	switch v {
	case understudy.Switchover, understudy.Failover:
		fl.StringVar(&f.to, "to", "", "the site that takes over (default: the only other one)")
		fl.StringVar(&f.fenceFloor, "fence-floor", "", "the lowest fence level that is enough, F2 to F5 (default F2)")
	case understudy.Replicate:
		fl.StringVar(&f.workload, "workload", "", "the workload (default: every one of the plan that is replicated by schedule)")
		fl.BoolVar(&f.relist, "relist", false, "also list the whole source, to find what its own list of changes does not tell")
		fl.BoolVar(&f.repair, "repair", false, "also list the whole target, and put right what is not there as it was published")
		f.consents.bind(c)
	case understudy.Verify:
		fl.StringSliceVar(&f.shards, "shard", nil, "compare only shards that match this anchored pattern (repeatable)")
		fl.BoolVar(&f.quick, "quick", false, "compare only the newest part of each shard")
	case understudy.Unprotect:
		fl.StringVar(&f.letGo, "let-go", "", "a site that is lost for good: what understudy put in place there stays, and is listed")
		fl.StringVar(&f.as, "as", "", "the name under which the site is let go")
	default: // the other verbs have no flags of their own
	}
	if v == understudy.Failover {
		fl.DurationVar(&f.maxLoss, "max-loss", 0, "refuse when more than this may be lost, such as 5m")
		fl.StringVar(&f.acceptFence, "accept-fence", "", "FA: take your word, given with --as, that nobody writes the unreachable old side")
		fl.StringVar(&f.as, "as", "", "the name under which the word is given")
		fl.StringVar(&f.site, "site", "", "fail over every plan whose active side is this site, in order")
		fl.StringVar(&f.supersede, "supersede", "", "the id of a stuck switchover that this failover replaces")
	}
}

// request builds the body that starts the verb.
func (f *operateFlags) request(v understudy.Verb, p understudy.PlanName) api.StartRequest {
	r := api.StartRequest{Verb: v, Plan: p, Workload: understudy.WorkloadName(f.workload), To: understudy.Site(f.to), FenceFloor: understudy.FenceLevel(f.fenceFloor),
		Supersede: understudy.OperationID(f.supersede), Shards: f.shards, Quick: f.quick, Reason: f.reason, DryRun: f.dryRun, As: f.as}
	if f.relist {
		r.Sweeps = append(r.Sweeps, understudy.Relist)
	}
	if f.repair {
		r.Sweeps = append(r.Sweeps, understudy.Repair)
	}
	r.Accept = f.consents.given()
	if f.bounded {
		r.MaxLoss = &f.maxLoss
	}
	return r
}

func (a *app) operate(ctx context.Context, v understudy.Verb, p understudy.PlanName, f *operateFlags) error {
	if f.timeout < 0 {
		return &understudy.Error{Code: "US500", Kind: understudy.KindInvalid, Summary: "--timeout cannot be negative", Fix: "leave it out to wait as long as it takes"}
	}
	cl := a.client()
	defer cl.Close()
	req := f.request(v, p)
	if err := a.accept(ctx, cl, &req, f); err != nil {
		return err
	}
	if severe(v) && !f.dryRun {
		if err := a.confirm(string(v), consequence(v), fmt.Sprintf("understudy %s %s", v, p), p, f.confirm); err != nil {
			return err
		}
		req.Confirm = string(p)
	}
	started, err := cl.Start(ctx, req)
	if err != nil {
		return err
	}
	if started.DryRun != nil {
		return a.write(started.DryRun, func(w io.Writer) error { return writeDryRun(w, *started.DryRun) })
	}
	if !f.wait {
		return a.write(started.Operation, func(w io.Writer) error {
			_, err := fmt.Fprintln(w, started.Operation.ID)
			return err
		})
	}
	a.say("%s %s: operation %s", v, p, started.Operation.ID)
	return a.follow(ctx, cl, *started.Operation, f.timeout)
}

// accept turns --accept-fence FA --as NAME into an acceptance for the site that is active now, and --let-go SITE --as
// NAME into one for that site.
func (a *app) accept(ctx context.Context, cl *api.Client, req *api.StartRequest, f *operateFlags) error {
	if req.Verb == understudy.Unprotect {
		if (f.letGo == "") != (f.as == "") {
			return &understudy.Error{Code: "US500", Kind: understudy.KindInvalid,
				Summary: "letting a site go needs the site and a name", Fix: "--let-go SITE --as NAME"}
		}
		if f.letGo != "" {
			req.AcceptFence = []understudy.Site{understudy.Site(f.letGo)}
		}
		return nil
	}
	if given, err := word(f.acceptFence, f.as); err != nil || !given {
		return err
	}
	st, err := cl.Status(ctx, req.Plan)
	if err != nil {
		return err
	}
	for _, w := range st.Workloads {
		if w.Role == nil {
			continue
		}
		for _, s := range w.Role.Sources() {
			if s != req.To && !slices.Contains(req.AcceptFence, s) {
				req.AcceptFence = append(req.AcceptFence, s)
			}
		}
	}
	return nil
}

// word says whether a person's word is given: the level FA and a name, or neither.
func word(level, as string) (bool, error) {
	if level == "" && as == "" {
		return false, nil
	}
	if level != string(understudy.FA) || as == "" {
		return false, &understudy.Error{Code: "US500", Kind: understudy.KindInvalid,
			Summary: "an acceptance needs the level FA and a name", Fix: "--accept-fence FA --as NAME"}
	}
	return true, nil
}

// consequence says what a severe verb does, for who is asked to confirm it.
func consequence(v understudy.Verb) string {
	switch v {
	case understudy.Reprotect:
		return "makes the old primary the new secondary"
	case understudy.Unprotect:
		return "ends the protection"
	default:
		return "moves the active side"
	}
}

// confirm wants the plan's name: given by flag, or typed on a terminal by a person who was told what it does.
func (a *app) confirm(name, does, command string, p understudy.PlanName, given string) error {
	missing := &understudy.Error{Code: "US506", Kind: understudy.KindRefused, Object: understudy.Object{Plan: p},
		Summary: name + " needs the plan's name as confirmation", Fix: fmt.Sprintf("%s --confirm=%s", command, p)}
	if given == string(p) {
		return nil
	}
	if given != "" {
		missing.Why = fmt.Sprintf("--confirm=%s is not the plan's name", given)
		return missing
	}
	if a.noInput || !a.terminal() {
		return missing
	}
	_, _ = fmt.Fprintf(a.errs, "%s %s of %s. Type the plan's name to go on: ", name, does, p)
	line, err := bufio.NewReader(a.in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if strings.TrimSpace(line) != string(p) {
		return missing
	}
	return nil
}

// follow waits until the operation rests, telling what happens, and ends with its report.
func (a *app) follow(ctx context.Context, cl *api.Client, op control.Operation, timeout time.Duration) error {
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	if timeout > 0 {
		waiting, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	told := make(chan struct{})
	watching, stop := context.WithCancel(waiting)
	go func() {
		defer close(told)
		_ = a.tell(watching, cl, op.ID)
	}()
	rested, err := cl.Wait(waiting, op.ID)
	stop()
	<-told
	if err != nil {
		return a.left(ctx, waiting, op.ID, err)
	}
	rep, err := cl.Report(ctx, op.ID)
	if err != nil {
		return err
	}
	if err := a.write(rep, func(w io.Writer) error { return writeReport(w, rep) }); err != nil {
		return err
	}
	return outcome(rested)
}

// left says that the operation goes on without this client.
func (a *app) left(ctx, waiting context.Context, id understudy.OperationID, err error) error {
	switch {
	case ctx.Err() != nil:
		return &understudy.Error{Code: "US002", Kind: understudy.KindRetry,
			Summary: fmt.Sprintf("interrupted; operation %s goes on", id), Fix: "understudy report " + string(id), Err: ctx.Err()}
	case waiting.Err() != nil:
		return &understudy.Error{Code: "US507", Kind: understudy.KindTimeout,
			Summary: fmt.Sprintf("stopped waiting; operation %s goes on", id), Fix: "understudy report " + string(id)}
	}
	return err
}

// outcome turns the state in which an operation rests into the exit status.
func outcome(op control.Operation) error {
	switch op.State {
	case control.Committed, control.CommitWindow, control.RolledBack:
		return verdictOutcome(op)
	case control.AwaitingApproval:
		return nil
	default: // paused, aborted or superseded: told below
	}
	e := &understudy.Error{Code: "US508", Kind: understudy.KindBug, Object: understudy.Object{Plan: op.Plan},
		Summary: fmt.Sprintf("%s %s is %s at stage %s", op.Verb, op.ID, op.State, op.Stage), Fix: op.Next}
	if op.Error != nil {
		e.Kind, e.Why = op.Error.Kind, oneLine(op.Error)
	}
	return e
}

func verdictOutcome(op control.Operation) error {
	status := exitOK
	for _, p := range op.Parts {
		if p.Verdict != nil {
			status = worse(status, verdictStatus(p.Verdict.Outcome))
		}
		if p.State == control.Quarantined || p.State == control.Impaired {
			status = worse(status, exitPartial)
		}
	}
	if status == exitOK {
		return nil
	}
	return &exitError{status: status, quiet: true}
}

func verdictStatus(o understudy.Outcome) int {
	switch o {
	case understudy.Match:
		return exitOK
	case understudy.Different:
		return exitDiverged
	case understudy.Lagging:
		return exitPartial
	default:
		return exitFailed
	}
}

// worse keeps the status that tells more: a proven difference before a failure before a part.
func worse(a, b int) int {
	rank := func(s int) int { return slices.Index([]int{exitOK, exitPartial, exitFailed, exitDiverged}, s) }
	if rank(b) > rank(a) {
		return b
	}
	return a
}

// failover starts one plan's failover, or with --site that of every plan whose active side is the lost site.
func (a *app) failover(ctx context.Context, given []string, f *operateFlags) error {
	if (len(given) == 1) == (f.site != "") {
		return &understudy.Error{Code: "US500", Kind: understudy.KindInvalid, Summary: "failover takes a plan, or --site with a lost site", Fix: "understudy failover --help"}
	}
	if f.site == "" {
		return a.operate(ctx, understudy.Failover, understudy.PlanName(given[0]), f)
	}
	cl := a.client()
	defer cl.Close()
	plans, err := cl.Plans(ctx)
	if err != nil {
		return err
	}
	unasked := f.confirm == "" && !f.dryRun && (a.noInput || !a.terminal())
	if unasked || f.confirm != "" && f.confirm != f.site {
		return &understudy.Error{Code: "US506", Kind: understudy.KindRefused, Summary: "failover --site needs the site's name as confirmation",
			Fix: fmt.Sprintf("understudy failover --site %s --confirm=%s", f.site, f.site)}
	}
	var stuck understudy.PlanName
	if f.supersede != "" {
		op, err := cl.Operation(ctx, understudy.OperationID(f.supersede))
		if err != nil {
			return err
		}
		stuck = op.Plan
	}
	return a.failoverAll(ctx, cl, plans, stuck, f)
}

// failoverAll goes on after a plan that fails or is paused: a region is lost for every plan, and none waits for
// another. Each failure is told as it comes. The status is theirs when all ended alike, and partial otherwise. Stuck is
// the plan of the operation that is superseded; the others have none.
func (a *app) failoverAll(ctx context.Context, cl *api.Client, plans []control.PlanInfo, stuck understudy.PlanName, f *operateFlags) error {
	var ends []int
	for _, p := range plans {
		on, err := activeOn(ctx, cl, p.Plan, understudy.Site(f.site))
		if err == nil && !on {
			continue
		}
		if err == nil {
			each := *f
			if f.confirm != "" {
				each.confirm = string(p.Plan)
			}
			if p.Plan != stuck {
				each.supersede = ""
			}
			err = a.operate(ctx, understudy.Failover, p.Plan, &each)
		}
		if ctx.Err() != nil {
			return err
		}
		status := exitOK
		if err != nil {
			status = a.fail(ctx, err)
		}
		ends = append(ends, status)
	}
	if len(ends) == 0 {
		return &understudy.Error{Code: "US511", Kind: understudy.KindNotFound, Summary: fmt.Sprintf("no plan is active at site %q", f.site), Fix: "understudy status"}
	}
	ends = slices.Compact(ends)
	switch {
	case len(ends) > 1:
		return &exitError{status: exitPartial, quiet: true}
	case ends[0] != exitOK:
		return &exitError{status: ends[0], quiet: true}
	}
	return nil
}

func activeOn(ctx context.Context, cl *api.Client, p understudy.PlanName, s understudy.Site) (bool, error) {
	st, err := cl.Status(ctx, p)
	if err != nil {
		return false, err
	}
	for _, w := range st.Workloads {
		if w.Role != nil && slices.Contains(w.Role.Sources(), s) {
			return true, nil
		}
	}
	return false, nil
}

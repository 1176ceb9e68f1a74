package storage

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/workload"
)

// Rhythm is when runs do a sweep: a schedule as in "every 24h" or a cron expression, or "never".
type Rhythm string

// never is the rhythm of what comes on demand only.
const never Rhythm = "never"

// The rhythms where the plan names none.
const (
	relistByDefault Rhythm = "every 24h"
	repairByDefault Rhythm = "every 7d"
)

// UnmarshalText reads a schedule, or "never".
func (r *Rhythm) UnmarshalText(text []byte) error {
	if Rhythm(text) != never {
		if _, err := workload.ParseSchedule(string(text)); err != nil {
			return err
		}
	}
	*r = Rhythm(text)
	return nil
}

// MarshalText gives the text.
func (r Rhythm) MarshalText() ([]byte, error) { return []byte(r), nil }

// schedule gives the rhythm as a schedule; the zero one for never.
func (r Rhythm) schedule() workload.Schedule {
	s, err := workload.ParseSchedule(string(r))
	if err != nil {
		return workload.Schedule{}
	}
	return s
}

// sweeps lists what runs do beyond copying what changed. Only HDFS copies by differences; everywhere else each run lists its source anyway.
func sweeps(s workload.Spec) []workload.Sweeping {
	cfg, ok := s.Config.(*Config)
	if !ok {
		return nil
	}
	out := []workload.Sweeping{{Sweep: understudy.Repair, Schedule: cfg.Repair.schedule()}}
	for _, e := range s.Clusters {
		if _, ok := e.(*HDFS); ok {
			return append([]workload.Sweeping{{Sweep: understudy.Relist, Schedule: cfg.Relist.schedule()}}, out...)
		}
	}
	return out
}

// consent gives what a person accepts for one tree: of several words about one thing the newest holds.
func (p *plan) consent(tree string) *understudy.Consent {
	var out *understudy.Consent
	for _, c := range p.stage.Envelope.Consents {
		if c.Shard == "" && len(p.w.cfg.Trees) > 1 {
			p.refuse(p.w.refuse("US719", "", "", "the workload has several trees, and the acceptance names none", "write it as TREE=N or TREE=IDENTITY"))
		}
		if c.Shard != "" && c.Shard != tree {
			continue
		}
		next := c
		if out != nil && next.Deletes == 0 {
			next.Deletes = out.Deletes
		}
		if out != nil && next.Source == "" {
			next.Source = out.Source
		}
		out = &next
	}
	return out
}

// checkConsents refuses words about trees that the workload does not have.
func (p *plan) checkConsents() {
	for _, c := range p.stage.Envelope.Consents {
		known := slices.ContainsFunc(p.w.cfg.Trees, func(t Tree) bool { return t.Path == c.Shard })
		if c.Shard != "" && !known {
			p.refuse(p.w.refuse("US719", "", c.Shard, "the acceptance is about a tree that the workload does not have", "name one of its trees"))
		}
	}
}

// acceptance gives a person's word in the mover's form.
func acceptance(c *understudy.Consent) filecopy.Acceptance {
	if c == nil {
		return filecopy.Acceptance{}
	}
	return filecopy.Acceptance{Deletes: c.Deletes, Replaced: c.Source, By: c.By}
}

// refused names the command by which a person accepts what a guard has refused: that number, or that identity, for one operation.
func (j *job) refused(tree string, err error) error {
	var coded *understudy.Error
	if !errors.As(err, &coded) || !errors.Is(err, filecopy.ErrGuard) {
		return err
	}
	told := *coded
	told.Object = j.w.object(j.args.From, tree)
	var want *filecopy.Unaccepted
	switch {
	case errors.As(err, &want):
		told.Fix = fmt.Sprintf("look at the source; if this is meant, `%s`: it holds for that run only", j.accepting(tree, *want))
	case coded.Code == "US602":
		told.Fix = fmt.Sprintf("mount or restore the source: nothing was deleted. If it is to begin anew, make the directory: the next run tells its identity, for `%s --accept-source IDENTITY`",
			j.command())
	}
	return &told
}

// command is what runs this step once more. A run begins anew; what else is paused is retried.
func (j *job) command() string {
	if j.run.Verb == understudy.Replicate {
		return fmt.Sprintf("understudy replicate %s/%s", j.w.spec.Plan, j.w.spec.Name)
	}
	return "understudy retry " + string(j.run.Operation)
}

// accepting is the command that accepts what is wanted beside what was accepted already.
func (j *job) accepting(tree string, want filecopy.Unaccepted) string {
	had := acceptance(j.args.Consent)
	if want.Deletes == 0 {
		want.Deletes = had.Deletes
	}
	if want.Replaced == "" {
		want.Replaced = had.Replaced
	}
	prefix := ""
	if len(j.w.cfg.Trees) > 1 {
		prefix = tree + "="
	}
	out := []string{j.command()}
	if want.Replaced != "" {
		out = append(out, fmt.Sprintf("--accept-source %s%s", prefix, want.Replaced))
	}
	if want.Deletes > 0 {
		out = append(out, fmt.Sprintf("--accept-deletes %s%d", prefix, want.Deletes))
	}
	return strings.Join(out, " ")
}

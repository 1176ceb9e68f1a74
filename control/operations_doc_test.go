package control_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
)

var update = flag.Bool("update", false, "write the golden files anew")

// docs/operations.md is generated from the tables that the engine walks; -update writes it.
func TestOperationsDocument(t *testing.T) {
	t.Parallel()
	golden(t, "../docs/operations.md", operationsDocument())
}

// golden compares with a file that -update writes.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != got {
		t.Errorf("%s is not what the code says; run go test ./control -update\n%s", path, firstDifference(string(want), got))
	}
}

func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(w), len(g)) {
		a, b := "", ""
		if i < len(w) {
			a = w[i]
		}
		if i < len(g) {
			b = g[i]
		}
		if a != b {
			return fmt.Sprintf("line %d\nwant %s\ngot  %s", i+1, a, b)
		}
	}
	return ""
}

func operationsDocument() string {
	var b strings.Builder
	b.WriteString(`# Operations

This file is generated from the tables in ` + "`control/stages.go`, `control/transitions.go` and `control/guards.go`" + `,
which the engine walks; do not edit it. ` + "`go test ./control -update`" + ` writes it anew.

## States of an operation

` + "```mermaid\n" + diagram() + "```" + `

| state | means |
|---|---|
`)
	for _, s := range control.States() {
		fmt.Fprintf(&b, "| %s | %s |\n", s, meaning(s))
	}
	b.WriteString(`
After PROMOTE an operation takes no abort. A paused operation waits for ` + "`understudy retry`, `skip` or `abort`" + `; nothing is
undone behind anyone's back. A failover may supersede any operation that is not final. Every takeover ends the open runs
of replication of its workloads (pre-empt), and so does the next run with one that failed.

## Stages

A stage is a barrier: every workload finishes it before any begins the next. Control's acts before come first, then
the steps of the workloads in the order of the plan, then control's acts after, then the plan's hook of that stage.

On the way back one hook runs: that of unfreeze, behind its stage, when a hook of freeze ran, or may have run, in the
operation or in what it took the place of. If it fails, the abort pauses for retry or skip. A hook learns from its
environment what it is about: ` + "`UNDERSTUDY_PLAN`, `UNDERSTUDY_OPERATION`, `UNDERSTUDY_VERB`, `UNDERSTUDY_STAGE`,\n`UNDERSTUDY_EPOCH`, `UNDERSTUDY_ATTEMPT`, and `UNDERSTUDY_FROM` and `UNDERSTUDY_TO`" + `, the site that is left and the one that
is active when all is done. On the way back the verb is ` + "`abort`" + ` and the two change places: TO is the old side, which is
active again; they stay when only one workload is let go by a takeover that stands. A hook may run again after a crash.

`)
	for _, v := range verbs() {
		writeTable(&b, string(v), control.Stages(v))
	}
	b.WriteString("Rollback (of a switchover) and failback are switchovers to another site. The way back of an operation:\n\n")
	writeTable(&b, "abort of a takeover", control.Backwards(understudy.Switchover))
	writeTable(&b, "abort of protect", control.Backwards(understudy.Protect))
	writeTable(&b, "abort of unprotect", control.Backwards(understudy.Unprotect))
	writeTable(&b, "abort of reprotect", control.Backwards(understudy.Reprotect))
	writeTable(&b, "abort of replicate", control.Backwards(understudy.Replicate))
	b.WriteString("## Guards\n\nEach gate is passed only if all its guards hold. There is no switch that leaves one out.\n\n| gate | guard | refuses with | because |\n|---|---|---|---|\n")
	for _, g := range control.Guards() {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", g.Gate, g.Name, g.Code, g.Refusal)
	}
	return b.String()
}

func verbs() []understudy.Verb {
	return []understudy.Verb{
		understudy.Protect, understudy.Switchover, understudy.Failover, understudy.Commit, understudy.Reprotect,
		understudy.Replicate, understudy.Verify, understudy.Unprotect, understudy.Duty,
	}
}

// diagram is the state table as Mermaid.
func diagram() string {
	var b strings.Builder
	b.WriteString("stateDiagram-v2\n  [*] --> validated\n")
	name := func(s control.State) string { return strings.ReplaceAll(string(s), "-", "_") }
	for _, s := range control.States() {
		if name(s) != string(s) {
			fmt.Fprintf(&b, "  state \"%s\" as %s\n", s, name(s))
		}
	}
	for _, e := range control.Transitions() {
		fmt.Fprintf(&b, "  %s --> %s: %s\n", name(e.From), name(e.To), e.On)
	}
	for _, s := range control.States() {
		if s.Final() {
			fmt.Fprintf(&b, "  %s --> [*]\n", name(s))
		}
	}
	return b.String()
}

func meaning(s control.State) string {
	return map[control.State]string{
		control.Validated:        "accepted, not begun",
		control.AwaitingApproval: "waits for a second person",
		control.Running:          "walks its stages, forwards or backwards, or waits in a step, as for a job that somebody else runs",
		control.PausedByOperator: "waits for resume",
		control.PausedByStep:     "a step failed or a guard refused; waits for retry, skip or abort",
		control.CommitWindow:     "the takeover is done and can still be undone",
		control.Committed:        "done, for good",
		control.RolledBack:       "undone by a rollback",
		control.Aborted:          "gone back before PROMOTE",
		control.Superseded:       "another operation took its place",
	}[s]
}

func writeTable(b *strings.Builder, title string, rows []control.Row) {
	fmt.Fprintf(b, "### %s\n\n| stage | control before | workloads | control after | on failure |\n|---|---|---|---|---|\n", title)
	for _, r := range rows {
		steps := ""
		if r.Steps {
			steps = "steps"
		}
		var choices []string
		if r.Quarantine {
			choices = append(choices, "quarantine")
		}
		if r.Continue {
			choices = append(choices, "continue")
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s |\n", r.Stage, words(r.Before), steps, words(r.After), strings.Join(append([]string{"stop"}, choices...), ", "))
	}
	b.WriteString("\n")
}

func words(list []control.Act) string {
	var out []string
	for _, a := range list {
		out = append(out, string(a))
	}
	return strings.Join(out, ", ")
}

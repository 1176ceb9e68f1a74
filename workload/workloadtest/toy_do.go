package workloadtest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/understudy-dr/understudy"
)

// Do performs one step. Every effect is a change of a value that is looked at first, so that a repeat counts once.
func (t *toy) Do(ctx context.Context, step understudy.Step, run understudy.Run) (understudy.Receipt, error) {
	if err := ctx.Err(); err != nil {
		return understudy.Receipt{}, err
	}
	if err := t.world.stall(ctx, step.Kind); err != nil {
		return understudy.Receipt{}, err
	}
	if err := t.world.failure(step.Kind); err != nil {
		return understudy.Receipt{}, err
	}
	if !time.Now().Before(run.Lease.Deadline()) {
		return understudy.Receipt{}, &understudy.Error{Code: "US003", Kind: understudy.KindFenced, Op: "toy.do", Summary: "the lease has expired"}
	}
	var a stepArgs
	if err := json.Unmarshal(step.Args, &a); err != nil {
		return understudy.Receipt{}, err
	}
	if step.Late {
		role, err := run.Role(ctx)
		if err != nil {
			return understudy.Receipt{}, err
		}
		if a.Epoch != 0 && role.Epoch != a.Epoch {
			return understudy.Receipt{}, &understudy.Error{Code: "US003", Kind: understudy.KindFenced, Op: "toy.do", Summary: "the role moved on"}
		}
	}
	if strings.HasPrefix(string(step.Kind), "run.") {
		return t.doRun(ctx, step, a, run)
	}
	switch step.Kind {
	case "drain", "salvage":
		return t.drain(ctx, step, a)
	case "scan", "ledger", "resolve":
		return t.compare(step, a, run)
	default:
		return t.simple(step, a, run)
	}
}

func (t *toy) simple(step understudy.Step, a stepArgs, run understudy.Run) (understudy.Receipt, error) {
	r := understudy.Receipt{Summary: step.Summary}
	proof := understudy.Proof{Site: a.Site, Epoch: a.Epoch, At: time.Now(), Valid: time.Minute, Complete: true, Means: "toy"}
	link := understudy.Link{Plan: a.Plan, Workload: a.Name, From: a.From, To: a.Site}
	err := t.world.at("do", a.Site, func(s *server) error {
		switch step.Kind {
		case "stamp":
			next := understudy.Stamp{ControlPlane: run.ControlPlane, Plan: a.Plan, Workload: a.Name, Role: *a.Role}
			if s.stamp == nil || !s.stamp.Role.Equal(next.Role) {
				s.stamp = &next
				s.effects["stamp"]++
			}
			if run.Verb == understudy.Protect {
				name, err := json.Marshal(s.identity)
				r.Keep = understudy.Keep{keepServer(a.Site): name}
				return err
			}
		case "unstamp":
			s.stamp = nil
			r.Keep = understudy.Keep{keepServer(a.Site): nil}
		case "create":
			s.settings["retention"] = a.Value
			r.Keep = understudy.Keep{"setting@" + string(a.Site): step.Before}
		case "fence.close":
			set(s, "fence", &s.limit, limitClosed)
			r.Keep = understudy.Keep{"limit@" + string(a.Site): step.Before}
		case "enable":
			set(s, "enable", &s.limit, a.Value)
			r.Keep = understudy.Keep{"limit@" + string(a.Site): nil}
		case "fence.prove":
			proof.Kind, proof.Level, proof.Complete = understudy.ProofFence, understudy.F3, s.limit == limitClosed
			r.Proofs = append(r.Proofs, proof)
		case "halt", "halt.prove":
			if step.Kind == "halt" && s.token < a.Epoch {
				set(s, "halt", &s.token, a.Epoch)
			}
			proof.Kind, proof.Link, proof.Complete = understudy.ProofHalt, &link, s.token >= a.Epoch
			r.Proofs = append(r.Proofs, proof)
		case "cut":
			r.Detail = fmt.Appendf(nil, `{"end":%d}`, len(s.records))
		case "open.prove":
			if s.own < int(a.Epoch) {
				set(s, "probe", &s.own, int(a.Epoch))
			}
			proof.Kind, proof.Complete = understudy.ProofOpen, s.limit == limitOpen
			r.Proofs = append(r.Proofs, proof)
		case "level":
			proof.Kind = understudy.ProofLevel
			r.Proofs = append(r.Proofs, proof)
		case "restore.prove":
			proof.Kind, proof.Complete = understudy.ProofNeverEnabled, s.limit == limitClosed
			r.Proofs = append(r.Proofs, proof)
		}
		return nil
	})
	return r, err
}

// drain waits until the target holds what the source holds.
func (t *toy) drain(ctx context.Context, step understudy.Step, a stepArgs) (understudy.Receipt, error) {
	for {
		woken := t.world.Changed()
		t.world.mu.Lock()
		from, to := t.world.servers[a.From], t.world.servers[a.Site]
		done, gone := len(to.records) >= len(from.records), !from.up
		t.world.mu.Unlock()
		if gone && step.Kind == "salvage" {
			return understudy.Receipt{Summary: "the old side stopped answering"}, nil
		}
		if done && !gone {
			link := understudy.Link{Plan: a.Plan, Workload: a.Name, From: a.From, To: a.Site}
			r := understudy.Receipt{Summary: step.Summary}
			if step.Kind == "drain" {
				r.Proofs = []understudy.Proof{{
					Kind: understudy.ProofDrain, Site: a.Site, Link: &link, Epoch: a.Epoch, At: time.Now(), Valid: time.Hour, Complete: true, Means: "toy",
				}}
			}
			return r, nil
		}
		select {
		case <-woken:
		case <-ctx.Done():
			return understudy.Receipt{}, context.Cause(ctx)
		}
	}
}

// compare finds, saves and removes what only the target has.
func (t *toy) compare(step understudy.Step, a stepArgs, run understudy.Run) (understudy.Receipt, error) {
	r := understudy.Receipt{Summary: step.Summary}
	err := t.world.at("do", a.Site, func(target *server) error {
		source := t.world.servers[a.From]
		common := 0
		for common < min(len(source.records), len(target.records)) && source.records[common].ID == target.records[common].ID {
			common++
		}
		only := target.records[common:]
		if step.Kind == "resolve" {
			if len(only) > 0 {
				target.records = target.records[:common:common]
				target.effects["resolve"]++
			}
			return nil
		}
		if len(only) > 0 {
			r.Ledger = []understudy.LedgerEntry{{
				Shard: "0", Site: a.Site, First: int64(common), Last: int64(len(target.records) - 1), Records: int64(len(only)),
				FirstAt: only[0].At, LastAt: only[len(only)-1].At,
			}}
		}
		if step.Kind == "scan" {
			return nil
		}
		r.Proofs = []understudy.Proof{{Kind: understudy.ProofLedger, Site: a.Site, Epoch: a.Epoch, At: time.Now(), Complete: true, Means: "toy"}}
		return saveLedger(run.LedgerDir, only, r.Ledger)
	})
	return r, err
}

// saveLedger writes the records that only one side has, and names the file in their entry.
func saveLedger(dir string, only []Record, entries []understudy.LedgerEntry) error {
	if len(only) == 0 {
		return nil
	}
	b, err := json.Marshal(only)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	sum := sha256.Sum256(b)
	entries[0].File, entries[0].SHA256 = "0.json", hex.EncodeToString(sum[:])
	return os.WriteFile(filepath.Join(dir, "0.json"), b, 0o600)
}

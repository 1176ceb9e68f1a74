package api

import (
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
)

// StartRequest is the body that starts an operation. Who asks is not in it: the listener knows.
type StartRequest struct {
	Verb understudy.Verb     `json:"verb" enum:"protect,switchover,failover,commit,rollback,reprotect,failback,unprotect,replicate,verify"`
	Plan understudy.PlanName `json:"plan"`
	// Workload is for replicate only.
	Workload understudy.WorkloadName `json:"workload,omitempty" doc:"the workload to replicate; it may be left out when the plan has one that is replicated by schedule"`
	To       understudy.Site         `json:"to,omitempty" doc:"the site that is to take over; by default the only other one, and home for a failback"`
	// Confirm must be the plan's name for verbs that move a role.
	Confirm     string                 `json:"confirm,omitempty" doc:"the plan's name, for verbs that move the active side"`
	MaxLoss     *time.Duration         `json:"maxLoss,omitempty" doc:"refuse when more than this may be lost, in nanoseconds"`
	FenceFloor  understudy.FenceLevel  `json:"fenceFloor,omitempty" doc:"the lowest fence level that is enough; F2 by default"`
	AcceptFence []understudy.Site      `json:"acceptFence,omitempty" doc:"sites for which the caller gives their word that nobody writes there"`
	Supersede   understudy.OperationID `json:"supersede,omitempty" doc:"a stuck operation which a failover replaces"`
	Sweeps      []understudy.Sweep     `json:"sweeps,omitempty" enum:"relist,repair" doc:"what a run of replication is to do beyond copying what changed, whatever is due"`
	Accept      []Accepted             `json:"accept,omitempty" doc:"what the caller accepts, in their own name and for this run only, of what a guard would refuse"`
	Shards      []string               `json:"shards,omitempty" doc:"narrow a verification to matching shards"`
	Quick       bool                   `json:"quick,omitempty" doc:"compare the newest part of each shard only"`
	Reason      string                 `json:"reason,omitempty"`
	DryRun      bool                   `json:"dryRun,omitempty" doc:"show the stages and steps by today's facts and change nothing"`
	// As is the name under which the word is given that AcceptFence is about. It is recorded beside the caller and is
	// never taken for the caller.
	As string `json:"as,omitempty" doc:"the name under which the word is given, recorded beside the caller"`
}

// Accepted is what a person accepts in one shard. The number and the identity are those that a refused run told.
type Accepted struct {
	Shard   string `json:"shard,omitempty" doc:"one tree; it may be left out where the workload has only one"`
	Deletes int64  `json:"deletes,omitempty" minimum:"0" doc:"the number of deletes that is accepted; a run that needs more is refused"`
	Source  string `json:"source,omitempty" doc:"the identity of a source that was made anew"`
}

// accepted gives consents in control's form.
func accepted(all []Accepted) []understudy.Consent {
	var out []understudy.Consent
	for _, c := range all {
		out = append(out, understudy.Consent{Shard: c.Shard, Deletes: c.Deletes, Source: c.Source})
	}
	return out
}

func (r StartRequest) control(by string) control.StartRequest {
	return control.StartRequest{Verb: r.Verb, Plan: r.Plan, Workload: r.Workload, To: r.To, Confirm: r.Confirm, MaxLoss: r.MaxLoss, FenceFloor: r.FenceFloor,
		AcceptFence: r.AcceptFence, Sweeps: r.Sweeps, Accept: accepted(r.Accept), Supersede: r.Supersede, Shards: r.Shards, Quick: r.Quick, Reason: r.Reason, DryRun: r.DryRun, By: by, As: r.As}
}

package kafka

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
	"github.com/understudy-dr/understudy/workload/kafka/internal/topicconf"
)

// The kinds of steps. What each does, and what makes it harmless to run twice, stands at its function.
const (
	stepRemember  understudy.StepKind = "remember"
	stepOwnTopic  understudy.StepKind = "own.create"
	stepStamp     understudy.StepKind = "stamp.write"
	stepUnstamp   understudy.StepKind = "stamp.clear"
	stepCreate    understudy.StepKind = "topics.create"
	stepDeny      understudy.StepKind = "deny.add"
	stepUndeny    understudy.StepKind = "deny.remove"
	stepClose     understudy.StepKind = "limit.close"
	stepReopen    understudy.StepKind = "limit.restore"
	stepFenced    understudy.StepKind = "fence.prove"
	stepDrain     understudy.StepKind = "drain.wait"
	stepGroups    understudy.StepKind = "groups.sync"
	stepRegroup   understudy.StepKind = "groups.restore"
	stepHalt      understudy.StepKind = "halt.mark"
	stepHalted    understudy.StepKind = "halt.prove"
	stepCut       understudy.StepKind = "cut.read"
	stepEnable    understudy.StepKind = "config.enable"
	stepOpen      understudy.StepKind = "open.prove"
	stepStandIns  understudy.StepKind = "config.standin"
	stepRestore   understudy.StepKind = "config.restore"
	stepLevel     understudy.StepKind = "level.mark"
	stepUntouched understudy.StepKind = "untouched.prove"
	stepScan      understudy.StepKind = "scan.compare"
	stepLedger    understudy.StepKind = "ledger.save"
	stepRemake    understudy.StepKind = "topic.remake"
	stepOpenMade  understudy.StepKind = "topic.open"
	stepRules     understudy.StepKind = "acl.copy"
)

// base is part of every step's arguments: the cluster that the step was decided for.
type base struct {
	Cluster string `json:"cluster,omitempty"`
}

type topicsArgs struct {
	base
	Topics []string `json:"topics"`
}

type stampArgs struct {
	base
	// Spare leaves the site with the stamp that it has where it takes no write: an old primary that is lost in part.
	Spare bool `json:"spare,omitempty"`
}

type rememberArgs struct {
	base
	Keep map[string]json.RawMessage `json:"keep"`
	// Drop removes names.
	Drop []string `json:"drop,omitempty"`
	// Notes are facts that a person should read.
	Notes []string `json:"notes,omitempty"`
}

type createArgs struct {
	base
	Topics []cluster.NewTopic `json:"topics"`
}

type denyArgs struct {
	base
	Rules []cluster.ACL `json:"rules"`
	// Topics are those that were there when the rules were decided.
	Topics []string `json:"topics,omitempty"`
	// Forget is the memory that remains once the rules are gone.
	Forget *fenceMemory `json:"forget,omitempty"`
}

type closeArgs struct {
	topicsArgs
	// Patience is how long open transactions may take to end.
	Patience time.Duration `json:"patience"`
}

type fencedArgs struct {
	topicsArgs
	Level    understudy.FenceLevel `json:"level"`
	Patience time.Duration         `json:"patience"`
	// Hasty does not wait for replicas to get what only their leader has, and says so: the site may be lost in part.
	Hasty bool `json:"hasty,omitempty"`
	// Others are those that the fence does not stop, as far as ACLs tell.
	Others []string `json:"others,omitempty"`
}

type reopenArgs struct {
	base
	// Limits gives each topic's own append limit from before the fence; null where it had none.
	Limits map[string]*string `json:"limits"`
	Forget *fenceMemory       `json:"forget,omitempty"`
	// Unguarded says that nothing else keeps ordinary writers out from now on.
	Unguarded bool `json:"unguarded,omitempty"`
}

type linkArgs struct {
	base
	From   understudy.Site `json:"from"`
	To     understudy.Site `json:"to"`
	Topics []string        `json:"topics"`
	// Salvage takes what can be had and promises nothing.
	Salvage bool `json:"salvage,omitempty"`
}

type haltArgs struct {
	linkArgs
	PID   int64                `json:"pid"`
	Epoch understudy.RoleEpoch `json:"epoch"`
	// Since gives the ends from before the step: a halt marker cannot stand below them.
	Since Vector `json:"since"`
}

type cutArgs struct {
	haltArgs
	// Lowest is the lowest epoch that a halt marker of this takeover may have.
	Lowest understudy.RoleEpoch `json:"lowest"`
	// Common demands that the cut equals the fenced source's end.
	Common bool `json:"common"`
}

type configArgs struct {
	base
	// Topics gives what each topic's owner intends, and Ours what understudy set there.
	Topics map[string]topicconf.Intended `json:"topics"`
	Ours   map[string]topicconf.Ours     `json:"ours,omitempty"`
	// Before gives what a topic had of its own before understudy first changed it, where that is to be put back.
	Before map[string]beforeMemory `json:"before,omitempty"`
}

type regroupArgs struct {
	base
	// Positions are those of the groups that were copied at the cut.
	Positions map[string]Vector `json:"positions,omitempty"`
}

type levelArgs struct {
	linkArgs
	// Halt is the producer of the halt markers on the target, PID ours on the source.
	Halt int64 `json:"halt"`
	PID  int64 `json:"pid"`
	// Since gives the offsets from which on only halt markers may stand on the target.
	Since Vector `json:"since"`
	// Epoch is the lowest that a halt marker of this operation may have; the mover's own markers are below it.
	Epoch understudy.RoleEpoch `json:"epoch"`
}

type scanArgs struct {
	linkArgs
	Cut cutMemory `json:"cut"`
	// Whole says that the site is not the one that lost the role in the last takeover: its log is compared with the
	// source's from the start.
	Whole bool `json:"whole,omitempty"`
	// PID is that of the reverse link: what it wrote is not divergent.
	PID int64 `json:"pid"`
	// Made gives the ids of the topics that understudy made anew, empty, since the cut.
	Made map[string]string `json:"made,omitempty"`
}

type remakeArgs struct {
	base
	Topic cluster.NewTopic `json:"topic"`
	// OldID is the id of the topic to be replaced, in hex.
	OldID string `json:"oldID"`
	// Need is the number of bytes that will be copied again, and Free what the step counts on.
	Need     int64              `json:"need"`
	Intended topicconf.Intended `json:"intended"`
	// Ledgered is what was saved of the topic before it may be deleted.
	Ledgered *ledgered `json:"ledgered,omitempty"`
	// PID is the producer of the link that fills the topic: what others write meanwhile is saved before it goes.
	PID int64 `json:"pid,omitempty"`
}

// ledgered is the part of a ledger that covers one topic, and how to compare the log with it again.
type ledgered struct {
	Scan scanArgs `json:"scan"`
	// ID is that of the topic that was saved, in hex.
	ID     string          `json:"id,omitempty"`
	Ranges []divergedRange `json:"ranges"`
}

// step makes a step with encoded arguments; its id is the kind, the site and, where given, one more name.
func (d *decision) step(kind understudy.StepKind, class understudy.Class, site understudy.Site, args any, format string, a ...any) *understudy.Step {
	doc, err := json.Marshal(args)
	if err != nil {
		panic("kafka: step arguments: " + err.Error()) // plain data cannot fail
	}
	id := string(kind)
	if site != "" {
		id += "@" + string(site)
	}
	d.steps = append(d.steps, understudy.Step{
		ID: id, Kind: kind, Class: class, Site: site, Summary: fmt.Sprintf(format, a...), Args: doc,
	})
	return &d.steps[len(d.steps)-1]
}

// args decodes a step's arguments.
func args[T any](s understudy.Step) (T, error) {
	var v T
	if err := json.Unmarshal(s.Args, &v); err != nil {
		return v, &understudy.Error{Code: "US001", Kind: understudy.KindBug, Op: "kafka." + string(s.Kind), Summary: "the step's arguments cannot be read", Err: err}
	}
	return v, nil
}

// detail decodes the detail of a receipt.
func detail[T any](r understudy.Receipt) (T, bool) {
	var v T
	if len(r.Detail) == 0 || json.Unmarshal(r.Detail, &v) != nil {
		return v, false
	}
	return v, true
}

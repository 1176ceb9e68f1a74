package kafka

import (
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
)

// need is one right on a topic and what it is for.
type need struct {
	op   kmsg.ACLOperation
	name string
	why  string
}

// topicNeeds are the rights on every protected topic. Sites swap their parts, so each needs them all.
func topicNeeds() []need {
	return []need{
		{kmsg.ACLOperationRead, "READ", "to mirror it, and to read halt markers back"},
		{kmsg.ACLOperationWrite, "WRITE", "to mirror into it"},
		{kmsg.ACLOperationDescribe, "DESCRIBE", "to see where it ends"},
		{kmsg.ACLOperationDescribeConfigs, "DESCRIBE_CONFIGS", "to copy its settings"},
		{kmsg.ACLOperationAlterConfigs, "ALTER_CONFIGS", "to close it at a fence, and to set and restore its settings"},
		{kmsg.ACLOperationAlter, "ALTER", "to add partitions"},
		{kmsg.ACLOperationDelete, "DELETE", "to follow the other side's log start, and to make it anew after a divergence"},
	}
}

// diagnose adds what a person should know about the site, beyond what keeps it from working.
func (o *observer) diagnose() {
	o.topicRights()
	site := o.s.name
	switch {
	case !o.facts.Authorizer && o.bare(): // said below
	case !o.facts.Authorizer:
		o.find("warning", "", fmt.Sprintf("%s has no authorizer: while it is a secondary nothing keeps ordinary writers out; foreign writes are detected", site),
			"turn on an authorizer, or keep producers away from it")
	case o.s.writer == nil:
		o.find("warning", "US112", fmt.Sprintf("no ordinary writer's credentials are given for %s: a denial cannot be proven, so a fence closes the topics by their append limit as well", site),
			"name a login as kafka.writer in the site file")
	case o.facts.Everyone:
		o.find("warning", "US112", fmt.Sprintf("an ACL on %s lets everyone write: nobody can be denied by name", site),
			"replace the rule for User:* by rules for each principal")
	case len(o.facts.Bare) > 0:
		o.find("warning", "US112", fmt.Sprintf("no ACL on %s allows anybody anything on %s: no writer is denied there, since the first denial would shut out everybody whom allow.everyone.if.no.acl.found lets in", site, some(o.facts.Bare)),
			"allow each principal by name what it may do there")
	case len(o.facts.Writers) == 0:
		o.find("warning", "US112", fmt.Sprintf("no principal is known that may write the topics on %s", site), "name them as writers in the plan")
	}
	if o.bare() {
		o.find("warning", "", fmt.Sprintf("%s is unguarded: nothing keeps ordinary writers out while it is a secondary; foreign writes are detected", site),
			"turn on an authorizer in which each writer can be denied by name, or keep producers away from it")
	}
	if open := o.unguarded(); len(open) > 0 {
		o.find("warning", "", fmt.Sprintf("%s came into being after the guard was set on %s and is not guarded; foreign writes are detected", some(open), site),
			"it is guarded by the next operation that fences or guards the site")
	}
	if o.facts.AutoCreate {
		o.find("warning", "US128", fmt.Sprintf("auto.create.topics.enable is on at %s: a producer that retries against it may take the name of a topic that is made anew", site),
			"set auto.create.topics.enable=false")
	}
}

// bare says whether the site is a secondary that nothing keeps ordinary writers out of.
func (o *observer) bare() bool {
	if o.stamp == nil || o.stamp.Role.None() || o.stamp.Role.IsActive(o.s.name) {
		return false
	}
	w := o.facts.writable(o.s.name, o.stamp)
	return (w == "open" || w == "unguarded") && (len(o.facts.Denies) == 0 || o.facts.Everyone)
}

// unguarded lists the topics of a guarded secondary on which a writer is not denied.
func (o *observer) unguarded() []string {
	if len(o.facts.Denies) == 0 || o.stamp == nil || o.stamp.Role.IsActive(o.s.name) {
		return nil
	}
	var out []string
	for _, name := range o.facts.names() {
		for _, w := range o.facts.Writers {
			if !slices.Contains(o.facts.Denies, denyWrite(name, w)) {
				out = append(out, name)
				break
			}
		}
	}
	return out
}

// topicRights names the rights that are missing on topics, where the broker tells (KIP-430).
func (o *observer) topicRights() {
	needs := topicNeeds()
	if !o.facts.mayCreate {
		needs = append(needs, need{kmsg.ACLOperationCreate, "CREATE", "to make it anew after a divergence, and so is CREATE on the cluster"})
	}
	for _, n := range needs {
		var lacking []string
		for _, name := range o.facts.names() {
			if ops := o.md.Topics[name].Ops; ops > 0 && !cluster.May(ops, n.op) {
				lacking = append(lacking, name)
			}
		}
		o.findings = append(o.findings, o.w.lacking(o.s.name, n.name, "topic", lacking, n.why)...)
	}
}

// some names a few topics of a list.
func some(names []string) string { return someOf("topic", names) }

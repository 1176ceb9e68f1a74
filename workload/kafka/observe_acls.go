package kafka

import (
	"context"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
)

const everyone = "User:*"

// acls reads who may write the topics.
func (o *observer) acls(ctx context.Context) error {
	all, authorizer, err := o.s.admin.ListACLs(ctx, unbounded())
	if err != nil {
		return err
	}
	o.facts.Authorizer = authorizer
	if !authorizer {
		return nil
	}
	if !o.facts.MayAlter {
		o.find("refuse", "US102", "the right ALTER on the cluster is missing: without it ordinary writers cannot be denied",
			"grant ALTER on the cluster to the principal that understudy uses there")
	}
	writers, any := writersOf(all, o.facts.names(), o.s.endpoint.principal())
	o.facts.Everyone = any
	writers = append(writers, o.w.cfg.Writers...)
	if p := o.s.endpoint.writerPrincipal(); p != "" && p != o.s.endpoint.principal() {
		writers = append(writers, p)
	}
	slices.Sort(writers)
	o.facts.Writers = slices.Compact(writers)
	o.facts.Denies = denialsOf(all, o.facts.names())
	o.facts.Bare = bare(all, o.facts.names())
	o.facts.Rules = literalRules(all, o.facts.names())
	o.facts.Broad = broadRules(all, o.facts.names())
	return o.transactions(ctx)
}

// transactions looks whether a fence by append limit would see all of them, where one would be needed.
func (o *observer) transactions(ctx context.Context) error {
	if _, limit := o.s.means(o.facts); !limit {
		return nil
	}
	sees, known, err := o.s.seesTransactions(ctx, unbounded(), o.md)
	if err == nil && known && !sees {
		o.find("refuse", "US102", "the right "+cluster.DescribeTransactional+" is missing: a fence by append limit would leave the transactions hanging that it does not see",
			"grant it to the principal that understudy uses there, or let a fence deny ordinary writers by name")
	}
	return err
}

// writersOf lists the principals other than the mover's that a rule allows to write one of the topics, and
// says whether a rule allows everyone.
func writersOf(all []cluster.ACL, topics []string, mover string) (writers []string, anyone bool) {
	for _, a := range all {
		if a.Type != kmsg.ACLResourceTypeTopic || a.Allow != kmsg.ACLPermissionTypeAllow || !writes(a.Operation) || !coversAny(a, topics) {
			continue
		}
		switch a.Principal {
		case everyone:
			anyone = true
		case mover:
		default:
			writers = append(writers, a.Principal)
		}
	}
	return writers, anyone
}

// bare lists the topics on which no rule allows anything.
func bare(all []cluster.ACL, topics []string) []string {
	var out []string
	for _, t := range topics {
		if !slices.ContainsFunc(all, func(a cluster.ACL) bool {
			return a.Type == kmsg.ACLResourceTypeTopic && a.Allow == kmsg.ACLPermissionTypeAllow && coversAny(a, []string{t})
		}) {
			out = append(out, t)
		}
	}
	return out
}

func writes(op kmsg.ACLOperation) bool {
	return op == kmsg.ACLOperationWrite || op == kmsg.ACLOperationAll
}

func coversAny(a cluster.ACL, topics []string) bool {
	return slices.ContainsFunc(topics, func(t string) bool {
		if a.Pattern == kmsg.ACLResourcePatternTypePrefixed {
			return strings.HasPrefix(t, a.Name)
		}
		return a.Name == t || a.Name == "*"
	})
}

// denialsOf lists the rules that deny a principal to write one of the topics.
func denialsOf(all []cluster.ACL, topics []string) []cluster.ACL {
	var out []cluster.ACL
	for _, a := range all {
		if a.Type == kmsg.ACLResourceTypeTopic && a.Allow == kmsg.ACLPermissionTypeDeny && writes(a.Operation) && coversAny(a, topics) {
			out = append(out, a)
		}
	}
	return out
}

// denyWrite is the rule by which a fence stops one principal on one topic.
func denyWrite(topic, principal string) cluster.ACL {
	return cluster.ACL{
		Type: kmsg.ACLResourceTypeTopic, Name: topic, Pattern: kmsg.ACLResourcePatternTypeLiteral,
		Principal: principal, Host: "*", Operation: kmsg.ACLOperationWrite, Allow: kmsg.ACLPermissionTypeDeny,
	}
}

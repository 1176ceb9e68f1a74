package kafka

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
	"github.com/understudy-dr/understudy/workload/kafka/internal/topicconf"
)

type rulesArgs struct {
	base
	Rules []cluster.ACL `json:"rules,omitempty"`
	// Notes say what is not copied, and why.
	Notes []string `json:"notes,omitempty"`
}

// copyRules adds the rules that a topic has on the new primary and lacks on the old one. A rule that is there stays
// as it is, so running it twice changes nothing.
func copyRules(ctx context.Context, j *job) (understudy.Receipt, error) {
	a, err := args[rulesArgs](j.step)
	if err != nil {
		return understudy.Receipt{}, err
	}
	return understudy.Receipt{Warnings: a.Notes}, j.site.admin.CreateACLs(ctx, j.run.Lease, a.Rules)
}

// copyRules gives topics that are made anew the literal rules that they have at the source of the link. Whoever may
// write by one of them is denied first: the site is to be a secondary.
func (d *decision) copyRules(source, old *SiteFacts, topics []string) {
	s := d.stage.To
	a := rulesArgs{base: d.at(s)}
	if !source.Authorizer || !old.Authorizer {
		if source.Authorizer != old.Authorizer {
			a.Notes = []string{fmt.Sprintf("no ACL is copied from %s to %s: one of them has no authorizer", d.stage.Old, s)}
			d.step(stepRules, understudy.Idempotent, s, a, "note that no ACL is copied to %s", s)
		}
		return
	}
	var denials []cluster.ACL
	ours := fenceOf(d.stage.Kept, d.stage.Old).Denies
	for _, r := range source.Rules {
		if !slices.Contains(topics, r.Name) || slices.Contains(ours, r) || slices.Contains(old.Rules, r) {
			continue
		}
		grants := r.Allow == kmsg.ACLPermissionTypeAllow && writes(r.Operation)
		switch {
		case grants && r.Principal == everyone:
			a.Notes = append(a.Notes, fmt.Sprintf("%s: the rule that lets %s write is not copied to %s: nobody could be kept off a secondary", r.Name, everyone, s))
			continue
		case r.Principal == d.w.sites[d.stage.Old].endpoint.principal(), r.Principal == d.w.sites[s].endpoint.principal():
			continue // understudy's own rights are each site's affair
		case grants:
			denials = append(denials, denyWrite(r.Name, r.Principal))
		}
		a.Rules = append(a.Rules, r)
	}
	a.Notes = append(a.Notes, d.notByName(source, old, topics)...)
	if len(a.Rules)+len(a.Notes) == 0 {
		return
	}
	if denials = slices.DeleteFunc(denials, func(r cluster.ACL) bool { return slices.Contains(old.Denies, r) }); len(denials) > 0 {
		mem := d.fenceMemory(s, old, denials, nil)
		d.remember(map[string]any{keepFence(s): mem})
		d.step(stepDeny, understudy.Idempotent, s, denyArgs{base: d.at(s), Rules: denials, Topics: old.names()},
			"deny %d principals that may write the topics by the copied ACLs on %s", len(denials), s).Before = topicconf.Encode(mem)
	}
	step := d.step(stepRules, understudy.Idempotent, s, a, "copy %d ACLs of the topics from %s to %s", len(a.Rules), d.stage.Old, s)
	step.Before = topicconf.Encode(old.rulesOf(topics))
}

// notByName names the rules that say more than a topic's name: what else they would mean on the old primary only its owner knows.
func (d *decision) notByName(source, old *SiteFacts, topics []string) []string {
	var names []string
	for _, r := range source.Broad {
		if !coversAny(r, topics) || slices.Contains(old.Broad, r) || r.Principal == d.w.sites[d.stage.Old].endpoint.principal() {
			continue
		}
		what := "on all topics"
		if r.Name != "*" {
			what = "on topics from " + r.Name
		}
		word := "lets"
		if r.Allow == kmsg.ACLPermissionTypeDeny {
			word = "keeps"
		}
		names = append(names, fmt.Sprintf("%s %s %s %s", word, r.Principal, r.Operation, what))
	}
	if len(names) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%s lacks %d rules of %s by prefix or for all topics, which are not copied, since they may mean other topics too: one %s. Add there what you want",
		d.stage.To, len(names), d.stage.Old, strings.Join(names, ", one "))}
}

// broadRules gives the rules about some of these topics that do not name them.
func broadRules(all []cluster.ACL, topics []string) []cluster.ACL {
	return slices.DeleteFunc(slices.Clone(all), func(r cluster.ACL) bool {
		return r.Type != kmsg.ACLResourceTypeTopic || (r.Pattern == kmsg.ACLResourcePatternTypeLiteral && r.Name != "*") || !coversAny(r, topics)
	})
}

// rulesOf gives the site's literal rules of some topics.
func (s *SiteFacts) rulesOf(topics []string) []cluster.ACL {
	return slices.DeleteFunc(slices.Clone(s.Rules), func(r cluster.ACL) bool { return !slices.Contains(topics, r.Name) })
}

// literalRules gives the rules about exactly these topics.
func literalRules(all []cluster.ACL, topics []string) []cluster.ACL {
	return slices.DeleteFunc(slices.Clone(all), func(r cluster.ACL) bool {
		return r.Type != kmsg.ACLResourceTypeTopic || r.Pattern != kmsg.ACLResourcePatternTypeLiteral || !slices.Contains(topics, r.Name)
	})
}

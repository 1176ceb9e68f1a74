package e2e_test

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/understudy-dr/understudy/lab/kafka"
)

// The users of the clusters with authorizer: an ordinary writer, understudy, and one who lacks a right.
const (
	writer = "app"
	mover  = "mover"
	weak   = "weak"
)

// accessControl fences and guards by access control, on two clusters of its own.
func accessControl(t *testing.T, shared *estate) {
	e := open(t, func(o *kafka.Options) {
		o.Authorizer, o.WANUsers = true, true
		o.Users = map[string]string{writer: "a-secret", mover: "m-secret", weak: "w-secret"}
	})
	e.java = shared.java
	g := &guarded{scene: &scene{t: t, e: e, plan: "guarded", topic: "guarded.data"}}
	e.create(t, kafka.Topic{Name: g.topic, Partitions: partitions})
	g.allow(e.east)
	g.allow(e.west)
	g.p = e.serve(t, g.secrets())
	t.Run("missing right", func(t *testing.T) { g.within(t).missingRight() })
	t.Run("deny fence", func(t *testing.T) { g.within(t).denyFence() })
}

// guarded is a scene whose clusters ask who is there.
type guarded struct{ *scene }

// within gives the scene to a part of the test.
func (g *guarded) within(t *testing.T) *guarded {
	s := *g.scene
	p := *s.p
	s.t, s.p, p.t = t, &p, t
	return &guarded{&s}
}

// secrets writes the passwords to files and names them in serve's configuration.
func (g *guarded) secrets() string {
	dir := folder(g.t)
	text := "secrets:\n"
	for name, value := range map[string]string{writer: "a-secret", mover: "m-secret", weak: "w-secret"} {
		file := filepath.Join(dir, name)
		must(g.t, os.WriteFile(file, []byte(value), 0o600))
		text += fmt.Sprintf("  %s: { file: %s }\n", name, file)
	}
	return text
}

// allow gives the writer its topics, the mover all, and the weak one all but a right on the cluster.
func (g *guarded) allow(b *kafka.Broker) {
	acls := []kafka.ACL{
		{Type: "TOPIC", Name: "guarded.", Pattern: "PREFIXED", Principal: "User:" + writer, Operation: "WRITE", Permission: "ALLOW"},
		{Type: "TOPIC", Name: "guarded.", Pattern: "PREFIXED", Principal: "User:" + writer, Operation: "DESCRIBE", Permission: "ALLOW"},
		{Type: "CLUSTER", Name: "kafka-cluster", Principal: "User:" + mover, Operation: "ALL", Permission: "ALLOW"},
	}
	for _, user := range []string{mover, weak} {
		for _, kind := range []string{"TOPIC", "GROUP", "TRANSACTIONAL_ID"} {
			acls = append(acls, kafka.ACL{Type: kind, Name: "*", Principal: "User:" + user, Operation: "ALL", Permission: "ALLOW"})
		}
	}
	for _, operation := range []string{"DESCRIBE", "DESCRIBE_CONFIGS", "CREATE"} {
		acls = append(acls, kafka.ACL{Type: "CLUSTER", Name: "kafka-cluster", Principal: "User:" + weak, Operation: operation, Permission: "ALLOW"})
	}
	must(g.t, g.e.java.CreateACLs(g.t.Context(), b.Access(), acls...))
}

// documents are the sites with logins, and the plan.
func (g *guarded) documents(user string) string {
	site := func(name, addr string) string {
		return fmt.Sprintf(`site: %s
clusters:
  streaming:
    kafka:
      brokers: [%q]
      sasl: { mechanism: PLAIN, user: %s, secret: %s }
      superUsers: ["User:ANONYMOUS"]
      writer: { sasl: { mechanism: PLAIN, user: %s, secret: %s } }
---
`, name, addr, user, user, writer, writer)
	}
	return site("east", g.e.east.WANAddr()) + site("west", g.e.west.WANAddr()) + planFile(g.plan, `guarded\..*`)
}

// missingRight wants understudy without ALTER or CLUSTER_ACTION on the cluster to be refused, and the right named, before
// anything is applied too.
func (g *guarded) missingRight() {
	file := filepath.Join(g.t.TempDir(), "weak.yaml")
	must(g.t, os.WriteFile(file, []byte(g.documents(weak)), 0o600))
	o := g.p.try("validate", "--live", file)
	if o.status != 5 || !strings.Contains(o.stdout, "CLUSTER_ACTION") {
		g.t.Errorf("validate --live should name the missing right: %v", o)
	}
	g.p.apply(g.documents(weak))
	o = g.p.try("doctor", g.plan)
	if o.status != 5 || !strings.Contains(o.stdout, "CLUSTER_ACTION") {
		g.t.Errorf("doctor should name the missing right: %v", o)
	}
	o = g.p.try("protect", g.plan)
	if o.status != 5 || !strings.Contains(o.errs, "the right ALTER on the cluster is missing") {
		g.t.Errorf("protect should name the missing right: %v", o)
	}
	g.aborted()
}

// acls are a cluster's entries in a fixed order.
func (g *guarded) acls(b *kafka.Broker) []string {
	g.t.Helper()
	all, err := g.e.java.ACLs(g.t.Context(), b.Access())
	must(g.t, err)
	var out []string
	for _, a := range all {
		out = append(out, fmt.Sprintf("%s %s %s %s %s %s", a.Permission, a.Principal, a.Operation, a.Type, cmp.Or(a.Pattern, "LITERAL"), a.Name))
	}
	slices.Sort(out)
	return out
}

// write sends a record as the ordinary writer and gives the refusal, if there is one.
func (g *guarded) write(b *kafka.Broker, ref string) string {
	g.t.Helper()
	p, err := g.e.java.Producer(g.t.Context(), b.As(writer), map[string]string{"enable.idempotence": "false"})
	must(g.t, err)
	a, err := p.Send(g.t.Context(), numbered(g.topic, partitions, 1, ref)...)
	must(g.t, err)
	must(g.t, p.Close(g.t.Context()))
	if len(a.Refusals) > 0 {
		return a.Refusals[0].Error
	}
	return ""
}

// denyFence turns one switchover back and completes another: access control fences the old primary, and guards it
// as the secondary.
func (g *guarded) denyFence() {
	t, e := g.t, g.e
	g.p.apply(g.documents(mover))
	g.p.report("protect", g.plan)
	g.p.await(g.plan, "protected", protected)
	if refused := g.write(e.east, "first"); refused != "" {
		t.Fatalf("the writer in the east: %s", refused)
	}
	east, west := g.acls(e.east), g.acls(e.west)
	op := g.p.begin("switchover", g.plan, "--confirm", g.plan)
	g.stopAt(op.ID, "drain")
	if refused := g.write(e.east, "fenced"); !strings.HasPrefix(refused, "TopicAuthorization") {
		t.Errorf("the fenced writer is answered %q", refused)
	}
	g.p.run("abort", op.ID)
	if end := g.p.rested(op.ID); end.State != "aborted" {
		t.Fatalf("the abort is %+v", end)
	}
	if now := g.acls(e.east); !slices.Equal(now, east) {
		t.Errorf("access control in the east after the abort:\n%s\nbefore:\n%s", strings.Join(now, "\n"), strings.Join(east, "\n"))
	}
	if refused := g.write(e.east, "second"); refused != "" {
		t.Errorf("the writer after the abort: %s", refused)
	}
	g.p.await(g.plan, "protected after the abort", protected)
	r := g.p.report("switchover", g.plan, "--confirm", g.plan)
	g.fenceProof(r)
	g.guard(west)
}

// fenceProof wants the fence to be proven with the ordinary writer's login, and super users to be named.
func (g *guarded) fenceProof(r reportView) {
	found := false
	for _, p := range provenIn(r) {
		if p.Kind != "fence" || p.Site != "east" {
			continue
		}
		found = true
		if !p.Complete || p.Level != "F2" && p.Level != "F3" || !slices.Contains(p.CouldPass, "User:ANONYMOUS") || !strings.Contains(p.Means, writer) {
			g.t.Errorf("the proof of the fence is %+v", p)
		}
		g.t.Logf("%s: %s; could pass: %v", p.Level, p.Means, p.CouldPass)
	}
	if !found {
		g.t.Error("the report shows no proof of the fence")
	}
}

// provenIn lists every proof of a report.
func provenIn(r reportView) []proofView {
	var out []proofView
	for _, s := range r.Stages {
		for _, x := range s.Steps {
			out = append(out, receiptProofs(x.Receipt)...)
		}
	}
	return out
}

func receiptProofs(r *receiptView) []proofView {
	if r == nil {
		return nil
	}
	return r.Proofs
}

// guard wants the writer to be kept out of the new secondary, which our mirror writes all the same.
func (g *guarded) guard(west []string) {
	t, e := g.t, g.e
	g.p.await(g.plan, "protected the other way", protected)
	if refused := g.write(e.west, "new"); refused != "" {
		t.Errorf("the writer in the west: %s", refused)
	}
	if refused := g.write(e.east, "stray"); !strings.HasPrefix(refused, "TopicAuthorization") {
		t.Errorf("a writer at the guarded secondary is answered %q", refused)
	}
	g.same()
	g.p.report("commit", g.plan)
	g.p.report("failback", g.plan, "--confirm", g.plan)
	g.p.report("commit", g.plan)
	g.p.await(g.plan, "protected at home", protected)
	if refused := g.write(e.east, "home"); refused != "" {
		t.Errorf("the writer at home: %s", refused)
	}
	g.same()
	if now := g.acls(e.east); slices.ContainsFunc(now, func(a string) bool { return strings.HasPrefix(a, "DENY") }) {
		t.Errorf("access control in the east at home:\n%s", strings.Join(now, "\n"))
	}
	t.Logf("access control in the west, before %d entries, now:\n%s", len(west), strings.Join(g.acls(e.west), "\n"))
}

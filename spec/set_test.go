package spec

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/understudy-dr/understudy"
)

const second = `plan: contoso
home: west
sites: [east, west]
hooks: { check: smoke, freeze: stop-oozie, unfreeze: start-oozie }
workloads:
  - name: clicks
    kind: queue
    architecture: active-passive
    cluster: streaming
    objective: { rpo: 10s, rto: 10m }
    onFailure: continue
    topics: ["clicks"]
  - name: orders
    kind: queue
    architecture: active-passive
    cluster: streaming
    objective: { rpo: 1m, rto: 90m }
    onFailure: stop
    topics: ["orders.*"]
    batch: 32MiB
    labels: { team: core }
`

func parse(t *testing.T, from Set, texts ...string) Set {
	t.Helper()
	var sources []Source
	for i, text := range texts {
		sources = append(sources, Source{Name: "text-" + string(rune('a'+i)) + ".yaml", Text: []byte(text)})
	}
	set, err := Parse(toys(), from, sources...)
	if err != nil {
		t.Fatal(render(err))
	}
	return set
}

func contoso(t *testing.T) Set {
	t.Helper()
	set, err := Parse(toys(), Set{}, source(t, "testdata/good/alone-contoso.yaml"))
	if err != nil {
		t.Fatal(render(err))
	}
	return set
}

func TestCompiledPlan(t *testing.T) {
	set := contoso(t)
	p, ok := set.Plan("contoso")
	if !ok || p.Home != "east" || len(p.Sites) != 2 || p.Hooks[understudy.StageRoute] != "flip-dns" || p.Approvals[0] != understudy.Failover {
		t.Fatalf("the plan is %+v", p)
	}
	if p.Workloads[0].Name != "orders" || p.Workloads[1].Name != "curated" {
		t.Errorf("after is not respected: %s first", p.Workloads[0].Name)
	}
	w, _ := p.Workload("orders")
	c := w.Config.(*queueConfig)
	if !c.Topics[0].Match("orders.eu") || c.Topics[0].Match("my.orders") || c.Topics[1].Match("ClicksX1") {
		t.Error("patterns are not anchored")
	}
	if w.RPO.Seconds() != 30 || w.RTO.Minutes() != 90 || c.Batch != 64<<20 || w.Engine != understudy.Native || w.OnFailure != understudy.Stop {
		t.Errorf("the workload is %+v with %+v", w, c)
	}
	e := w.Clusters["east"].(*queueEndpoint)
	if len(e.Brokers) != 2 || e.SASL.Secret != "mq-east" || w.Clusters["west"].(*queueEndpoint).TLS != nil {
		t.Errorf("the endpoints are %+v", e)
	}
	lake, _ := p.Workload("curated")
	if len(lake.Directions) != 1 || lake.Directions[0].To != "west" {
		t.Errorf("the links are %v", lake.Directions)
	}
	if s, ok := set.Site("west"); !ok || s.Clusters[0].Name != "lake" {
		t.Errorf("the site is %+v", s)
	}
}

func TestApplyingReplacesOnlyWhatItNames(t *testing.T) {
	before := contoso(t)
	after := parse(t, before, second)
	if len(after.Sites) != 2 || len(after.Plans) != 1 || after.Plans[0].Home != "west" {
		t.Fatalf("the set has %v", after.Refs())
	}
	if text, _ := after.Document(Ref{"site", "west"}); !strings.Contains(text, "mq-w1:9093") {
		t.Errorf("a document that was not named changed:\n%s", text)
	}
	if before.Plans[0].Home != "east" {
		t.Error("the set before changed")
	}
	_, err := Parse(toys(), before, Source{Name: "less.yaml", Text: []byte("site: west\nclusters: {}\n")})
	var ps Problems
	if !errors.As(err, &ps) || ps[0].Code != codeNoCluster || ps[0].File != "alone-contoso.yaml" {
		t.Errorf("a site lost a cluster that a plan needs, and the answer is %v", err)
	}
	if _, err := before.Without(toys(), Ref{"site", "west"}); err == nil {
		t.Error("a site that a plan needs was removed")
	}
	less, err := before.Without(toys(), Ref{"plan", "contoso"}, Ref{"site", "west"})
	if err != nil || len(less.Refs()) != 1 {
		t.Errorf("removing a plan and a site left %v, %v", less.Refs(), err)
	}
}

func TestDiff(t *testing.T) {
	old := contoso(t)
	next := parse(t, old, second, "site: north\nclusters: { streaming: { queue: { brokers: [\"n:1\"] } } }\n")
	var lines []string
	for _, c := range Diff(old, next) {
		lines = append(lines, c.String())
	}
	for _, c := range Diff(next, old) {
		lines = append(lines, c.String())
	}
	golden(t, "testdata/diff.txt", strings.Join(lines, "\n")+"\n")
	if got := Diff(old, old); len(got) != 0 {
		t.Errorf("a set differs from itself: %v", got)
	}
	b, err := json.MarshalIndent(Diff(old, next), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/diff.json", string(b)+"\n")
}

func TestDiffSeesOrder(t *testing.T) {
	swapped := strings.Split(second, "  - name: ")
	old := parse(t, base(t), second)
	next := parse(t, base(t), swapped[0]+"  - name: "+swapped[2]+"  - name: "+swapped[1])
	got := Diff(old, next)
	if len(got) != 1 || got[0].Path != "workloads" || got[0].Old != "clicks, orders" || got[0].New != "orders, clicks" {
		t.Errorf("the changes are %v", got)
	}
}

func TestFormDoesNotMatter(t *testing.T) {
	a := parse(t, base(t), second)
	b := parse(t, base(t), "# another form\r\nworkloads:\r\n- {kind: queue, name: clicks, topics: [clicks], onFailure: continue, objective: {rto: 600s, rpo: 10000ms}, cluster: 'streaming', architecture: active-passive, batch: 1024KiB}\r\n"+
		"- {kind: queue, name: orders, topics: ['orders.*'], labels: {team: core}, onFailure: stop, objective: {rto: 1h30m, rpo: 60s}, cluster: streaming, architecture: active-passive, engine: native, batch: 32MiB, after: []}\r\n"+
		"hooks: {unfreeze: start-oozie, freeze: stop-oozie, check: smoke}\r\nsites:\r\n- east\r\n- west\r\nhome: west\r\nplan: contoso\r\n")
	if a.Digest() != b.Digest() {
		t.Errorf("two forms of one plan differ: %v\n%s\n%s", Diff(a, b), a.Canonical(), b.Canonical())
	}
}

func TestProblemsAsJSON(t *testing.T) {
	_, err := read(t, "testdata/bad/secret-password.yaml")
	b, e := json.MarshalIndent(err, "", "  ")
	if e != nil {
		t.Fatal(e)
	}
	golden(t, "testdata/problems.json", string(b)+"\n")
	one := understudy.AsError(err)
	if one.Code != codeMissing || !strings.HasPrefix(one.Summary, "secret-password.yaml:4:43: ") {
		t.Errorf("as an error it is %v", one)
	}
}

func TestNothingShowsASecret(t *testing.T) {
	for _, path := range samples(t, "bad") {
		_, err := read(t, path)
		b, _ := json.Marshal(err)
		for _, secret := range []string{"hunter2", "S3cr3t", "MIIB"} {
			if strings.Contains(string(b)+render(err)+err.Error(), secret) {
				t.Errorf("%s: a secret is shown:\n%s", path, render(err))
			}
		}
	}
}

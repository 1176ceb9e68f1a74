// Package metrics names what the product exports to Prometheus: names, labels, units and help, and the
// handler that serves them. It must not know where the numbers come from; it asks a function for them at
// every scrape.
package metrics

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/understudy-dr/understudy"
)

// Workload is what is exported about one workload.
type Workload struct {
	Plan       understudy.PlanName
	Name       understudy.WorkloadName
	Role       understudy.Role
	Sites      []understudy.Site
	Protection understudy.Protection
	Exposure   understudy.Exposure
	// RPO and RTO are the objectives; zero where the plan names none.
	RPO, RTO time.Duration
	Links    []Link
	// Verdict is the newest verification's, and VerdictAt its time; zero before the first.
	Verdict   understudy.Outcome
	VerdictAt time.Time
	// Unfenced lists inactive sites without proof that nobody writes them.
	Unfenced []understudy.Site
}

// Link is what is exported about one link of a workload.
type Link struct {
	From, To understudy.Site
	// CopiedRecords and CopiedBytes count since this process began to follow the link.
	CopiedRecords, CopiedBytes int64
}

// Operation counts the operations of one verb and state.
type Operation struct {
	Plan  understudy.PlanName
	Verb  understudy.Verb
	State string
	Count int
}

// Snapshot is everything that is exported, as of one scrape.
type Snapshot struct {
	Leader     bool
	Version    string
	Workloads  []Workload
	Operations []Operation
}

// Handler serves the metrics in the text formats of Prometheus. It calls read at every scrape.
func Handler(read func() Snapshot) http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(newCollector(read))
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{})
}

type collector struct {
	read func() Snapshot
	desc descriptions
}

type descriptions struct {
	exposure, exposureKnown, rpo, rto, backlogRecords, backlogBytes *prometheus.Desc
	copiedRecords, copiedBytes, active, epoch, protection           *prometheus.Desc
	reachable, verdict, verdictAt, unfenced, operations             *prometheus.Desc
	leader, build                                                   *prometheus.Desc
}

func newCollector(read func() Snapshot) *collector {
	workload := []string{"plan", "workload"}
	with := func(more ...string) []string { return append(workload[:2:2], more...) }
	d := func(name, help string, labels []string) *prometheus.Desc {
		return prometheus.NewDesc("understudy_"+name, help, labels, nil)
	}
	return &collector{read: read, desc: descriptions{
		exposure:       d("exposure_seconds", "What would be lost now, proven: seconds of acknowledged writes that may not be at the secondary.", workload),
		exposureKnown:  d("exposure_known", "1 when the exposure is proven, 0 while nothing is proven yet.", workload),
		rpo:            d("objective_rpo_seconds", "The plan's objective for exposure.", workload),
		rto:            d("objective_rto_seconds", "The plan's objective for the time of a takeover.", workload),
		backlogRecords: d("backlog_records", "Estimated records not yet at the secondary.", workload),
		backlogBytes:   d("backlog_bytes", "Estimated bytes not yet at the secondary.", workload),
		copiedRecords:  d("copied_records_total", "Records copied by this process.", with("from", "to")),
		copiedBytes:    d("copied_bytes_total", "Bytes copied by this process.", with("from", "to")),
		active:         d("role_active", "1 for a site that may take writes, else 0.", with("site")),
		epoch:          d("role_epoch", "The role epoch; it grows with every change of role.", workload),
		protection:     d("protection_state", "1 for the present state of protection.", with("state")),
		reachable:      d("source_reachable", "1 while the source answers.", workload),
		verdict:        d("verify_verdict", "1 for the outcome of the newest verification.", with("outcome")),
		verdictAt:      d("verify_last_timestamp_seconds", "When the newest verification ended, as Unix time.", workload),
		unfenced:       d("old_primary_unfenced", "1 for an inactive site without proof that nobody writes it.", with("site")),
		operations:     d("operations", "Operations in the journal by verb and state.", []string{"plan", "verb", "state"}),
		leader:         d("leader", "1 on the process that leads.", nil),
		build:          d("build_info", "The version that runs; always 1.", []string{"version"}),
	}}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	d := c.desc
	for _, x := range []*prometheus.Desc{d.exposure, d.exposureKnown, d.rpo, d.rto, d.backlogRecords, d.backlogBytes, d.copiedRecords, d.copiedBytes,
		d.active, d.epoch, d.protection, d.reachable, d.verdict, d.verdictAt, d.unfenced, d.operations, d.leader, d.build} {
		ch <- x
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	s := c.read()
	gauge(ch, c.desc.leader, flag(s.Leader))
	gauge(ch, c.desc.build, 1, s.Version)
	for _, w := range s.Workloads {
		c.workload(ch, w)
	}
	for _, o := range s.Operations {
		gauge(ch, c.desc.operations, float64(o.Count), string(o.Plan), string(o.Verb), o.State)
	}
}

func (c *collector) workload(ch chan<- prometheus.Metric, w Workload) {
	plan, name := string(w.Plan), string(w.Name)
	gauge(ch, c.desc.exposureKnown, flag(w.Exposure.Known), plan, name)
	if w.Exposure.Known {
		gauge(ch, c.desc.exposure, w.Exposure.Bound.Seconds(), plan, name)
	}
	gauge(ch, c.desc.rpo, w.RPO.Seconds(), plan, name)
	gauge(ch, c.desc.rto, w.RTO.Seconds(), plan, name)
	gauge(ch, c.desc.backlogRecords, float64(w.Exposure.Records), plan, name)
	gauge(ch, c.desc.backlogBytes, float64(w.Exposure.Bytes), plan, name)
	gauge(ch, c.desc.epoch, float64(w.Role.Epoch), plan, name)
	gauge(ch, c.desc.protection, 1, plan, name, string(w.Protection))
	gauge(ch, c.desc.reachable, flag(w.Exposure.SourceReachable), plan, name)
	for _, s := range w.Sites {
		gauge(ch, c.desc.active, flag(w.Role.IsActive(s)), plan, name, string(s))
	}
	for _, s := range w.Unfenced {
		gauge(ch, c.desc.unfenced, 1, plan, name, string(s))
	}
	if w.Verdict != "" {
		gauge(ch, c.desc.verdict, 1, plan, name, string(w.Verdict))
		gauge(ch, c.desc.verdictAt, float64(w.VerdictAt.UnixMilli())/1000, plan, name)
	}
	for _, l := range w.Links {
		ch <- prometheus.MustNewConstMetric(c.desc.copiedRecords, prometheus.CounterValue, float64(l.CopiedRecords), plan, name, string(l.From), string(l.To))
		ch <- prometheus.MustNewConstMetric(c.desc.copiedBytes, prometheus.CounterValue, float64(l.CopiedBytes), plan, name, string(l.From), string(l.To))
	}
}

func gauge(ch chan<- prometheus.Metric, d *prometheus.Desc, v float64, labels ...string) {
	ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func flag(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

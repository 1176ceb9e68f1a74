package kafka

import (
	"context"
	"fmt"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
)

// Kind describes Kafka to the rest of the product.
func Kind() workload.Kind {
	return workload.Kind{
		Name: "kafka",
		Doc: "Kafka topics, their configuration and their consumer groups, mirrored record batch by record batch at the same offsets. " +
			"Consumers continue at the second site where they stopped, without translation.",
		Offers: []workload.Offer{{
			Architecture: understudy.ActivePassive,
			Engines:      []understudy.Engine{understudy.Native},
			Doc:          "One site takes writes; the other follows at the same offsets and takes over.",
		}},
		Endpoint:     "kafka",
		NewEndpoint:  func() any { return &Endpoint{} },
		NewConfig:    func() any { return &Config{} },
		Starter:      starter(),
		Validate:     validate,
		Advise:       advise,
		Overlap:      overlap,
		Links:        links,
		ExportLedger: exportLedger,
		Uncommitted:  overRetained,
		Open: func(_ context.Context, s workload.Spec, o workload.Opening) (workload.Workload, error) {
			return open(s, o)
		},
	}
}

// links follows every source of the role into every site that is not one.
func links(s workload.Spec, r understudy.Role) []understudy.Link {
	var out []understudy.Link
	for _, from := range r.Sources() {
		for _, to := range s.Sites {
			if _, ok := s.Clusters[to]; !ok || to == from || r.IsActive(to) {
				continue
			}
			if _, ok := s.Clusters[from]; !ok {
				continue
			}
			out = append(out, understudy.Link{Plan: s.Plan, Workload: s.Name, From: from, To: to})
		}
	}
	return out
}

// validate checks a filled specification without any network.
func validate(s workload.Spec) []workload.FieldError {
	cfg, ok := s.Config.(*Config)
	if !ok {
		return []workload.FieldError{{Path: "kind", Err: understudy.AsError(bug("kafka.validate", "no configuration"))}}
	}
	var out []workload.FieldError
	bad := func(path, summary, fix string) {
		out = append(out, workload.FieldError{Path: path, Err: &understudy.Error{
			Code: "US105", Kind: understudy.KindInvalid, Op: "kafka.validate", Summary: summary, Fix: fix,
		}})
	}
	if len(cfg.Topics) == 0 {
		bad("topics", "no topics are named", `name at least one anchored pattern, such as topics: ["orders.*"]`)
	}
	for _, list := range []struct {
		key      string
		patterns []string
	}{{"topics", cfg.Topics}, {"exclude", cfg.Exclude}, {"groups", cfg.Groups}} {
		for i, p := range list.patterns {
			if _, err := compile(list.key, []string{p}); err != nil {
				bad(fmt.Sprintf("%s[%d]", list.key, i), fmt.Sprintf("%q is not a regular expression", p), "write an RE2 expression; it is anchored at both ends")
			}
		}
	}
	for i, p := range cfg.Writers {
		path := fmt.Sprintf("writers[%d]", i)
		switch {
		case p == "User:*":
			bad(path, "User:* cannot be denied: it would stop the mirror too", "name each principal")
		case len(p) < 6 || p[:5] != "User:":
			bad(path, fmt.Sprintf("%q is not a principal", p), `write it as the brokers do, such as "User:app"`)
		}
	}
	if cfg.Replication < 0 || cfg.Replication > 32767 {
		bad("replication", "the replication factor must be between 1 and 32767", "leave it out to use the primary's")
	}
	return append(out, validateEndpoints(s)...)
}

func validateEndpoints(s workload.Spec) []workload.FieldError {
	var out []workload.FieldError
	for _, name := range s.Sites {
		e, ok := s.Clusters[name].(*Endpoint)
		if !ok {
			continue
		}
		e.validate(func(path, summary, fix string) {
			out = append(out, workload.FieldError{Site: name, Path: path, Err: &understudy.Error{
				Code: "US109", Kind: understudy.KindInvalid, Op: "kafka.validate",
				Object: understudy.Object{Plan: s.Plan, Workload: s.Name, Site: name}, Summary: summary, Fix: fix,
			}})
		})
	}
	return out
}

// validate tells what is wrong with an endpoint, by its keys.
func (e *Endpoint) validate(bad func(path, summary, fix string)) {
	if len(e.Brokers) == 0 {
		bad("brokers", "no broker is named", "name host:port of at least one")
	}
	e.validateLogin(bad, "", e.Brokers, e.SASL)
	if e.Writer != nil {
		e.validateLogin(bad, "writer.", e.Writer.Brokers, e.Writer.SASL)
	}
}

// validateLogin looks at addresses and the login there.
func (*Endpoint) validateLogin(bad func(path, summary, fix string), at string, brokers []string, l *SASL) {
	for i, b := range brokers {
		if !workload.IsAddress(b) {
			bad(fmt.Sprintf("%sbrokers[%d]", at, i), fmt.Sprintf("%q is not host:port", b), "write it as kafka-1:9092")
		}
	}
	switch {
	case l == nil, l.Mechanism == "PLAIN", l.Mechanism == "SCRAM-SHA-256", l.Mechanism == "SCRAM-SHA-512":
	default:
		bad(at+"sasl.mechanism", fmt.Sprintf("%q is no login that understudy knows", l.Mechanism), "write PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")
	}
}

func (w *Writer) login() *SASL {
	if w == nil {
		return nil
	}
	return w.SASL
}

package e2e_test

import (
	"context"
	"maps"
	"testing"

	"github.com/understudy-dr/understudy/lab/kafka"
)

// scene is one topic under a plan of the same name, with a control plane of its own.
type scene struct {
	t     *testing.T
	e     *estate
	p     *plane
	plan  string
	topic string
}

// partitions of a scene's topic.
const partitions = 3

// newScene makes a topic with a first few records, and nothing else yet.
func newScene(t *testing.T, e *estate, name string) *scene {
	t.Helper()
	s := &scene{t: t, e: e, plan: name, topic: name + ".data"}
	e.create(t, kafka.Topic{Name: s.topic, Partitions: partitions, Configs: map[string]string{"retention.ms": "604800001", "max.message.bytes": "900000"}})
	e.send(t, e.east, map[string]string{"compression.type": "lz4"}, numbered(s.topic, partitions, 60, "early")...)
	return s
}

// documents are the scene's.
func (s *scene) documents() string { return s.e.documents(s.plan, s.plan+`\..*`) }

// protected starts a control plane and protects the topic.
func protectedScene(t *testing.T, e *estate, name, config string) *scene {
	t.Helper()
	s := newScene(t, e, name)
	s.p = e.serve(t, config)
	s.p.apply(s.documents())
	s.p.report("protect", s.plan)
	s.p.await(s.plan, "protected", protected)
	return s
}

// load starts a load on one side.
func (s *scene) load(b *kafka.Broker, rate int, prefix string) *kafka.Load {
	s.t.Helper()
	l, _ := s.e.load(s.t, b, kafka.Steady{Topic: s.topic, Partitions: partitions, Rate: rate, Size: 200, Prefix: prefix})
	return l
}

// same waits until both sides end at the same offsets and wants them to be identical.
func (s *scene) same() {
	s.t.Helper()
	s.e.caughtUp(s.t, s.topic)
	s.e.identical(s.t, "", s.topic)
}

// settings are what a cluster says of the topic.
func (s *scene) settings(b *kafka.Broker) map[string]kafka.Config {
	s.t.Helper()
	c, err := s.e.java.Configs(s.t.Context(), b.Access(), s.topic)
	must(s.t, err)
	return c
}

// sameSettings wants a cluster's settings to be as they were.
func (s *scene) sameSettings(b *kafka.Broker, before map[string]kafka.Config) {
	s.t.Helper()
	now := s.settings(b)
	if maps.Equal(now, before) {
		return
	}
	for name, v := range now {
		if v != before[name] {
			s.t.Errorf("%s of %s in the %s is %+v, before %+v", name, s.topic, b.Name(), v, before[name])
		}
	}
}

// stopAt follows an operation until it begins a stage, and pauses it there at the next boundary of a step.
func (s *scene) stopAt(id, stage string) operationView {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	must(s.t, s.p.watch(ctx, id, 0, func(v eventView) bool { return v.Kind == "stage" && v.Stage == stage }))
	must(s.t, s.p.act(ctx, id, "pause"))
	op := s.p.rested(id)
	if op.State != "paused-by-operator" || op.Promoted {
		s.t.Fatalf("paused at %s, the operation is %+v", stage, op)
	}
	return op
}

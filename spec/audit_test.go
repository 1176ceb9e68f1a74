package spec

import (
	"net"
	"strings"
	"testing"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
)

func TestAuditOfSoundKinds(t *testing.T) {
	if faults := Audit(toys()); len(faults) > 0 {
		t.Errorf("faults in sound kinds: %v", faults)
	}
}

// TestAuditFindsPlantedFaults is the negative control.
func TestAuditFindsPlantedFaults(t *testing.T) {
	type collides struct {
		Cluster string `yaml:"cluster"`
	}
	type strange struct {
		Call  chan int       `yaml:"call"`
		Deep  []map[int]bool `yaml:"deep"`
		IP    net.IP         `yaml:"ip"`
		Plain any            `yaml:"plain"`
	}
	kind := func(name, endpoint string, config, at func() any) workload.Kind {
		k := toys().Kinds()[0]
		k.Name, k.Endpoint, k.NewConfig, k.NewEndpoint = understudy.KindName(name), endpoint, config, at
		return k
	}
	good := func() any { return &queueEndpoint{} }
	for _, c := range []struct {
		kinds []workload.Kind
		want  []string
	}{
		{[]workload.Kind{kind("a", "q", func() any { return &collides{} }, good)}, []string{`the key "cluster" is one that every workload has`}},
		{[]workload.Kind{kind("a", "q", func() any { return &strange{} }, good)}, []string{"call is of type chan int", "deep[] is of type map[int]bool", "plain is of type interface {}"}},
		{[]workload.Kind{kind("a", "q", func() any { return queueConfig{} }, good)}, []string{"is not a pointer to a struct"}},
		{[]workload.Kind{kind("a", "q", good, good), kind("b", "q", good, func() any { return &storeEndpoint{} })}, []string{"has another type in another kind"}},
		{[]workload.Kind{kind("a", "", good, good)}, []string{"are needed"}},
	} {
		got := Audit(workload.NewRegistry(c.kinds...))
		if len(got) != len(c.want) {
			t.Errorf("found %q, want %q", got, c.want)
			continue
		}
		for i, want := range c.want {
			if !strings.Contains(got[i], want) {
				t.Errorf("found %q, want %q", got[i], want)
			}
		}
	}
}

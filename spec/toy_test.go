package spec

import (
	"fmt"
	"strings"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
)

// queueEndpoint and queueConfig are a kind's own keys, of every shape that files can hold.
type queueEndpoint struct {
	Brokers []string   `yaml:"brokers" doc:"host:port, several"`
	TLS     *queueTLS  `yaml:"tls" doc:"encryption"`
	SASL    *queueSASL `yaml:"sasl"`
}

type queueTLS struct {
	CA understudy.SecretName `yaml:"ca,omitempty"`
}

type queueSASL struct {
	Mechanism string                `yaml:"mechanism" enum:"PLAIN,SCRAM-SHA-256,SCRAM-SHA-512"`
	Secret    understudy.SecretName `yaml:"secret"`
}

type queueConfig struct {
	Topics  []understudy.Pattern `yaml:"topics" doc:"which topics, by pattern"`
	Exclude []understudy.Pattern `yaml:"exclude,omitempty"`
	Batch   understudy.Size      `yaml:"batch,omitempty" default:"1MiB"`
	Every   time.Duration        `yaml:"every,omitempty"`
	Deep    bool                 `yaml:"deep,omitempty"`
	Streams int8                 `yaml:"streams,omitempty"`
	Rate    float64              `yaml:"rate,omitempty"`
	Labels  map[string]string    `yaml:"labels,omitempty"`
	Guard   bool                 `yaml:"guard,omitempty" default:"true"`
}

type storeConfig struct {
	Trees []storeTree `yaml:"trees"`
}

type storeTree struct {
	Path   string `yaml:"path"`
	Delete string `yaml:"delete,omitempty" enum:"never,guarded"`
}

type storeEndpoint struct {
	Namenodes []string `yaml:"namenodes"`
	Port      uint16   `yaml:"port,omitempty"`
}

// diskEndpoint is another way to reach a store.
type diskEndpoint struct {
	Root string `yaml:"root" doc:"where it is mounted"`
}

// toys is a registry of two kinds that this package knows nothing about.
func toys() workload.Registry {
	queue := workload.Kind{
		Name: "queue", Doc: "Topics of a message queue.", Endpoint: "queue",
		Offers: []workload.Offer{
			{Architecture: understudy.ActivePassive, Engines: []understudy.Engine{understudy.Native, understudy.MirrorMaker2}},
			{Architecture: understudy.ActiveActive, Engines: []understudy.Engine{understudy.Native}},
		},
		NewEndpoint: func() any { return &queueEndpoint{} },
		NewConfig:   func() any { return &queueConfig{Batch: 1 << 20, Guard: true} },
		Validate: func(s workload.Spec) []workload.FieldError {
			var out []workload.FieldError
			bad := func(site understudy.Site, path, summary, why, fix string) {
				out = append(out, workload.FieldError{Site: site, Path: path, Err: &understudy.Error{Code: "US999", Summary: summary, Why: why, Fix: fix}})
			}
			c := s.Config.(*queueConfig)
			if len(c.Topics) == 0 {
				bad("", "topics", "no topics", "", "")
			}
			if c.Deep && c.Every == 0 {
				bad("", "every", "deep needs every", "someone has to say how often", "add `every: 1h`")
			}
			if c.Streams > 16 {
				bad("", "streams", fmt.Sprintf("%d streams are too many", c.Streams), "", "write at most 16")
			}
			for site, e := range s.Clusters {
				for i, b := range e.(*queueEndpoint).Brokers {
					if !strings.Contains(b, ":") {
						bad(site, fmt.Sprintf("brokers[%d]", i), fmt.Sprintf("%q has no port", b), "", "write host:port")
					}
				}
			}
			return out
		},
	}
	store := workload.Kind{
		Name: "store", Doc: "Directory trees.", Endpoint: "hdfs", ExplicitLinks: true,
		Offers:      []workload.Offer{{Architecture: understudy.OnDemandSecondary, Engines: []understudy.Engine{understudy.Native, understudy.DistCp}, Scheduled: true}},
		NewEndpoint: func() any { return &storeEndpoint{} },
		Endpoints:   []workload.EndpointKind{{Key: "disk", New: func() any { return &diskEndpoint{} }}},
		NewConfig:   func() any { return &storeConfig{} },
	}
	return workload.NewRegistry(queue, store)
}

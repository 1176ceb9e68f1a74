package spec

import (
	"fmt"
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
			c := s.Config.(*queueConfig)
			if c.Deep && c.Every == 0 {
				return []workload.FieldError{{Path: "every", Err: &understudy.Error{Code: "US999", Summary: "deep needs every", Why: "someone has to say how often", Fix: "add `every: 1h`"}}}
			}
			if c.Streams > 16 {
				return []workload.FieldError{{Path: "streams", Err: &understudy.Error{Code: "US999", Summary: fmt.Sprintf("%d streams are too many", c.Streams), Fix: "write at most 16"}}}
			}
			return nil
		},
	}
	store := workload.Kind{
		Name: "store", Doc: "Directory trees.", Endpoint: "hdfs", ExplicitLinks: true,
		Offers:      []workload.Offer{{Architecture: understudy.OnDemandSecondary, Engines: []understudy.Engine{understudy.Native, understudy.DistCp}}},
		NewEndpoint: func() any { return &storeEndpoint{} },
		NewConfig:   func() any { return &storeConfig{} },
	}
	return workload.NewRegistry(queue, store)
}

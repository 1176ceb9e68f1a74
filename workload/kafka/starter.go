package kafka

import "github.com/understudy-dr/understudy/workload"

// starter is what somebody begins with who protects topics for the first time.
func starter() workload.Starter {
	return workload.Starter{East: starterEast, West: starterWest, Workload: starterTopics}
}

const (
	starterEast = `
streaming:
  kafka:
    brokers: [kafka-east-1.example.com:9092, kafka-east-2.example.com:9092]
    # Secrets are named here only. Where their values are, serve's own configuration says.
    # tls: { ca: east-ca }
    # sasl: { mechanism: SCRAM-SHA-512, secret: kafka-east }
`
	starterWest = `
streaming:
  kafka:
    brokers: [kafka-west-1.example.com:9092, kafka-west-2.example.com:9092]
`
	starterTopics = `
name: orders
kind: kafka
architecture: active-passive
cluster: streaming
objective:
  rpo: 30s              # how much of the newest writes may be lost
  rto: 10m              # how long a takeover may take
# When a step of this workload fails: stop (everything pauses), quarantine (the others go on without it) or
# continue (only where nothing can be lost). There is no default.
onFailure: stop
topics: ["orders.*"]    # RE2 expressions that match whole names
# after: []             # workloads of this plan that come before this one
`
)

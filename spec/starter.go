package spec

// Init gives the text of a first site and plan file, with comments, for `understudy init`. It is valid as it
// stands, for a registry with the kind kafka.
func Init() string {
	return `# yaml-language-server: $schema=understudy.schema.json
#
# Sites and plans of understudy. Check this file:     understudy validate -f FILE
# Schema for your editor:                             understudy schema > understudy.schema.json
# Show what applying it would change, then do it:     understudy diff -f FILE; understudy apply -f FILE
#
# A file may hold several documents, separated by lines of ---. Applying replaces only the documents in it.

# A site is one region's clusters. A cluster has the same name at each site.
site: east
clusters:
  streaming:
    kafka:
      brokers: [kafka-east-1.example.com:9092, kafka-east-2.example.com:9092]
      # Secrets are named here only. Where their values are, serve's own configuration says.
      # tls: { ca: east-ca }
      # sasl: { mechanism: SCRAM-SHA-512, secret: kafka-east }
---
site: west
clusters:
  streaming:
    kafka:
      brokers: [kafka-west-1.example.com:9092, kafka-west-2.example.com:9092]
---
# A plan is what fails over together.
plan: shop
home: east                  # active at first, and where a failback returns
sites: [east, west]

# Commands to run at stages of an operation, by the names that serve's configuration gives them.
# Stages: check, confirm, freeze, enable, prove, route, unfreeze.
# hooks: { freeze: stop-jobs, route: flip-dns }

# Operations that wait for a second person.
# approvals: [failover]

workloads:
  - name: orders
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
}

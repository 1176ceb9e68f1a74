// Package cluster asks one Kafka cluster questions and orders changes of it, each bounded by a lease and
// never repeated behind the caller's back. It must not know plans, roles, stages or what an answer is for.
package cluster

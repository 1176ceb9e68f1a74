// Package demo tells the whole story of a lost region on one machine: two Kafka clusters and two directory trees, the
// real control plane between them, and a shop that remembers what was acknowledged. It must not know how the product
// does what it does: it gives orders as a person would, and counts for itself what became of the data.
package demo

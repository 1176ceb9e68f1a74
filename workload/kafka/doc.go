// Package kafka keeps Kafka topics, their configuration and their consumer groups ready at a second site,
// takes over there, and brings the first site back, with the same offsets on both sides. It must not know
// when or in what order things are done: control decides that, and asks.
package kafka

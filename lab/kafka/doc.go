// Package kafka runs single-node Apache Kafka brokers (KRaft, loopback only), MirrorMaker 2 and Kafka's own
// Java client for tests, demonstrations and benchmarks. It must not know the product, nor any Go client of
// Kafka: what it reads back, it reads with Kafka's own code.
//
//	b, err := kafka.Start(ctx, kafka.Options{Version: kafka.V44, Name: "east", Dir: dir})
//	b := kafka.Boot(t, kafka.Options{Version: kafka.V39, Name: "west"}) // in tests
//
// A broker has one controller and one broker in one JVM, internal topics with one partition, and no automatic
// topics unless Properties ask for them. With Authorizer the plain listener stays a super user
// (User:ANONYMOUS) and a SASL/PLAIN listener admits the Users. With WAN a further listener advertises a path
// that the caller controls, such as a *proxy.Proxy.
package kafka

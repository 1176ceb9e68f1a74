// Package kafkasim runs simulated Kafka clusters in this process, which answer fences, halts, markers and
// returning producers as real brokers were seen to answer, so that a demonstration and fast tests can be
// given every proof the product demands. It must not know the product, and it proves nothing about Kafka:
// what a broker accepts is asserted on real brokers, against which Answers holds this package.
//
//	c, err := kafkasim.Start(kafkasim.Options{ClusterID: "…", Topics: map[string]int32{"orders": 3}})
//	c.Addr()               // 127.0.0.1:port, plain and SASL/PLAIN on one port
//	c.Kill(); c.Restart()  // connections reset at once; the same port, with all that was acknowledged
//
// Behind each cluster stands one kfake broker, reachable only through the connections of this package,
// which decide about producers, markers, limits and configuration names before the broker sees a request.
// The log is the truth: producer state is folded from what was appended, and read again from the log
// where anything else may have written.
//
// What real brokers do and this package does not:
//
//   - one broker, so no leader changes and no divergence answer of Fetch; of replicas only what is seen while
//     they do not follow (Stall), and not that a wait for them takes time;
//   - records are not decoded: inner offsets and missing keys on compacted topics are not refused, of times
//     only a batch's latest is held against message.timestamp.after.max.ms, none against before.max.ms, and
//     topics with append time are not supported as targets;
//   - no throttling, no producer expiry (producer.id.expiration.ms), no segments worth the name;
//   - a transaction caught by an append limit of 0 hangs as on a real broker, until kfake's transaction
//     timeout aborts it; on a real broker it hangs until its coordinator is started again, and here after
//     Restart too where other topics of it were open;
//   - __consumer_offsets and __transaction_state are not topics;
//   - a negative producer id other than −1 is refused, where brokers take it;
//   - share groups read producer ids in their stored form (see disguise);
//   - a request for markers that names a partition twice in one entry is refused with INVALID_REQUEST, where
//     real brokers never answer.
package kafkasim

// Package batch reads, rewrites and writes Kafka record batches (message format v2) as bytes, so that a
// mirror can pass them on without decoding them. It must not know topics, clusters or requests: it never
// opens a connection, and what a batch is good for is decided by its caller.
//
// Sizes are bytes and offsets are log offsets. Timestamps are milliseconds since the Unix epoch. A batch
// is a 61 byte header, of which the first 21 bytes lie outside the checksum, followed by the records, which
// are compressed as a whole. Next checks a batch's length, magic and checksum; reading records checks
// everything inside, against a limit on the decompressed size, so that a hostile batch costs an error and
// not the memory of the process.
package batch

// Package versitygw runs a real S3 server, Versity S3 Gateway 1.8.0, over a directory, listening on loopback, in a process of its
// own that can be killed, paused and started again. It must not know what the product stores in it.
//
// Buckets are directories below the data directory, and each object is a plain file there with its metadata in extended attributes:
// so a test can look at, and damage, what the server holds. Names that a file system cannot hold are refused by it, and 'a' and 'a/b'
// cannot both be objects, unlike on Amazon S3.
package versitygw

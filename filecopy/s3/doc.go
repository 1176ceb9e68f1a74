// Package s3 is the store of a tree below a prefix of a bucket, on Amazon S3 or a server that speaks its protocol. It must not know
// who copies, nor any other store; filecopy is the contract.
//
// A key is a path: elements between slashes. Directories are no entries of their own, and attributes have no place; the mover's
// manifest keeps both. Reads are held to an ETag. A small file is staged as an object beside the tree, proven by the CRC32C that the
// server computed when it took it, and published by a copy within the server. The parts of a large file are staged in a multipart upload
// of its final key, proven by the CRC32C of each, and published by completing it. Each of both is one step for a reader.
// Where the server computes no CRC32C (Config.ReadBack), all files are staged as objects, read back and copied.
package s3

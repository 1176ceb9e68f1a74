// Package adls is the store of a tree below a directory of a file system of Azure Data Lake Storage Gen2, in an account with a hierarchical
// namespace. It must not know who copies, nor any other store; filecopy is the contract.
//
// Directories are entries, and owner, group, permissions and access control lists are the service's; times, extended attributes, links and
// what HDFS knows about blocks are kept by the mover's manifest. Reads are held to an ETag. A file is staged in a hidden directory beside the
// root, in appends each of which the service checks by its CRC64 when it takes it, and published by a rename over the old one.
package adls

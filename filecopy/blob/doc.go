// Package blob is the store of a tree below a prefix of a container of Azure Blob Storage. It must not know who copies, nor any other
// store; filecopy is the contract.
//
// A blob's name is a path: elements between slashes. Directories are no entries of their own, and attributes have no place; the
// mover's manifest keeps both. Reads are held to an ETag. A file is staged as uncommitted blocks of its final name, each of which the
// service checks by its MD5 when it takes it, and published by committing their list: one step for a reader. An empty file is staged as a
// blob beside the tree, and published by a copy within the account.
// Uncommitted blocks that nobody commits are removed by the service after a week.
package blob

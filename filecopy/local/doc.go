// Package local is the store of a directory of this machine, with what is mounted there. It must not know who copies, nor any
// other store; filecopy is the contract.
//
// Nothing is reached through a symlink: every path is opened element by element from the root, so that a link that somebody
// puts in the way is an error and never another tree. What is staged, kept and quarantined lies in a directory beside the root, on
// the same file system, so that publishing is a rename.
//
// The file system has no snapshots and no checksums of its own here: reads are held to inode, size, modification and change
// time, and what was staged is read back.
package local

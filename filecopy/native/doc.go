// Package native is the mover of our own: it lists or diffs, plans, stages, verifies, publishes file by file and replaces
// the manifest last, and resumes each of these after a crash. It must not know any particular store, nor when a copy
// runs; filecopy is the contract, and DESIGN.md of filecopy says why it is as it is.
package native

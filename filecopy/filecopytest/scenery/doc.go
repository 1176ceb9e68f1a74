// Package scenery has a tree that changes from version to version as one of users does, readers who look at a copy of it without pause, and the
// judgement of what they saw. It must not know the product: the suites of its packages and the stories of the built binary use it alike.
package scenery

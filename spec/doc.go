// Package spec reads sites, plans and serve's own configuration from files, strictly: whatever is unknown,
// misspelt, missing or of the wrong type is refused with its file, line, column and a suggestion.
// It must not know any particular kind of workload, nor when or how anything is done: the registry tells it
// which keys a kind has, and roles are never in a file.
package spec

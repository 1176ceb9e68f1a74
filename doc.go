// Package understudy is the vocabulary of the product: sites, roles, links, stages, steps, proofs,
// verdicts and errors, in the words the field uses. It must not know how anything is done: it imports
// the standard library only and performs no I/O.
//
// A reader who knows these nouns can read every other package: workloads answer questions about one
// protected thing, control decides when and in what order, the journal remembers, and the command line
// and the API only ask.
package understudy

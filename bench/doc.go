// Package bench measures the product beside what a user would pick instead, on the same servers and in one run.
// It must not know how the product works inside: it drives the built binary and asks the system what each process
// used.
package bench

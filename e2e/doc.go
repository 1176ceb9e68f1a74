// Package e2e tells the stories of the architectures on real servers, one test file each, through the built
// binary and the engines' own clients. It must not know how the product works inside: what it reads of the
// product is what its commands print and its socket answers.
package e2e

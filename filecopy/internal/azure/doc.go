// Package azure is what the stores of Azure's services share: clients by an account's key, what answers mean, and versions and sums as both
// services tell them. It must not know how a tree lies in either.
package azure

// Package static provides clusters that are always there: making and removing them does nothing. It must not know
// where they are, nor whether they answer.
package static

import (
	"context"

	"github.com/understudy-dr/understudy/provision"
)

// Provisioner is the provisioner of clusters that nobody makes or removes.
type Provisioner struct{}

var _ provision.Provisioner = Provisioner{}

// New gives the provisioner.
func New() Provisioner { return Provisioner{} }

func always(ctx context.Context) (provision.Status, error) {
	return provision.Status{State: provision.Present, Note: "always there"}, ctx.Err()
}

// Find says that the cluster is there.
func (Provisioner) Find(ctx context.Context, _ provision.Target) (provision.Status, error) {
	return always(ctx)
}

// Make has nothing to do.
func (Provisioner) Make(ctx context.Context, _ provision.Target, _ provision.Size) (provision.Status, error) {
	return always(ctx)
}

// Resize has nothing to do.
func (Provisioner) Resize(ctx context.Context, _ provision.Target, _ provision.Size) (provision.Status, error) {
	return always(ctx)
}

// Remove has nothing to do: the cluster stays.
func (Provisioner) Remove(ctx context.Context, _ provision.Target) (provision.Status, error) {
	return always(ctx)
}

// Package all is the list of the provisioners that this product has. It must not know anything about them but their
// names: the commands come from serve's configuration.
package all

import (
	"github.com/understudy-dr/understudy/provision"
	"github.com/understudy-dr/understudy/provision/script"
	"github.com/understudy-dr/understudy/provision/static"
)

// Registry lists the static provisioner and one for every command.
func Registry(commands script.Commands) provision.Registry {
	out := provision.Registry{provision.Static: static.New()}
	for name, c := range commands {
		out[name] = script.New(name, c)
	}
	return out
}

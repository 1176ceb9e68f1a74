package main

import (
	"os"
	"path/filepath"

	"github.com/understudy-dr/understudy/api"
)

// client gives a client of the running serve: --socket, $UNDERSTUDY_SOCKET, or the default data directory's.
func (a *app) client() *api.Client { return api.NewClient(a.socketPath()) }

func (a *app) socketPath() string {
	if a.socket != "" {
		return a.socket
	}
	if v, ok := a.env("UNDERSTUDY_SOCKET"); ok && v != "" {
		return v
	}
	return socketIn(a.defaultData())
}

// socketIn names the socket of a data directory.
func socketIn(data string) string { return filepath.Join(data, "understudy.sock") }

// defaultData is where serve keeps its state when its configuration does not say: /var/lib/understudy for root,
// else the user's state directory.
func (a *app) defaultData() string {
	if v, ok := a.env("UNDERSTUDY_DATA"); ok && v != "" {
		return v
	}
	if os.Geteuid() == 0 {
		return "/var/lib/understudy"
	}
	if v, ok := a.env("XDG_STATE_HOME"); ok && v != "" {
		return filepath.Join(v, "understudy")
	}
	home, _ := a.env("HOME")
	return filepath.Join(home, ".local", "state", "understudy")
}

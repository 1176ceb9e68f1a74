package storage

import (
	"context"
	"os/user"

	"github.com/understudy-dr/understudy/wire/hdfs"
	"github.com/understudy-dr/understudy/workload/storage/internal/place"
)

// place gives the endpoint in the form in which it is opened.
func (e *HDFS) place(secret func(context.Context, string) ([]byte, error)) place.HDFSConfig {
	c := place.HDFSConfig{
		Options: hdfs.Options{NameNodes: e.Namenodes, DatanodeHostnames: e.Hostnames, ReplaceDatanode: true},
		Login:   place.Login{User: e.User}, SuperUsers: e.SuperUsers, Secret: secret,
	}
	c.Login.Kerberos, c.Login.Keytab = e.Kerberos.login()
	if e.Writer != nil {
		c.Writer.User = e.Writer.User
		c.Writer.Kerberos, c.Writer.Keytab = e.Writer.Kerberos.login()
	}
	if u, err := user.Current(); err == nil && c.Login.User == "" && c.Login.Kerberos == nil {
		c.Login.User = u.Username
	}
	return c
}

// login gives a login's options, and the name of the secret with its keytab.
func (k *Kerberos) login() (*hdfs.Kerberos, string) {
	if k == nil {
		return nil, ""
	}
	return &hdfs.Kerberos{
		Principal: k.Principal, Config: k.Config, ServicePrincipal: k.Service,
		RPCProtection: hdfs.Protection(k.Protection), DataProtection: hdfs.Protection(k.DataProtection),
	}, string(k.Keytab)
}

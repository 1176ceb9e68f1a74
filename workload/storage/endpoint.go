package storage

import (
	"context"
	"os/user"

	"github.com/understudy-dr/understudy/wire/hdfs"
	"github.com/understudy-dr/understudy/workload"
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

// place gives the endpoint in the form in which it is opened.
func (e *S3) place(secret func(context.Context, string) ([]byte, error)) place.S3Config {
	return place.S3Config{
		URL: e.URL, Region: e.Region, Bucket: e.Bucket, Prefix: e.Prefix, Keys: string(e.Secret), CA: string(e.CA), Writer: e.Writer.secret(),
		ReadBack: e.ReadBack, Marks: e.Marks, Policy: e.Fence == "policy", Principal: e.Principal, Secret: secret,
	}
}

// place gives the endpoint in the form in which it is opened.
func (e *Blob) place(secret func(context.Context, string) ([]byte, error)) place.BlobConfig {
	return place.BlobConfig{
		URL: e.URL, Account: accountOf(e.Account, e.URL), Container: e.Container, Prefix: e.Prefix, Key: string(e.Secret), Writer: e.Writer.secret(),
		Policies: e.Policies, Secret: secret,
	}
}

// place gives the endpoint in the form in which it is opened.
func (e *ADLS) place(secret func(context.Context, string) ([]byte, error)) place.ADLSConfig {
	return place.ADLSConfig{
		URL: e.URL, Account: accountOf(e.Account, e.URL), FileSystem: e.FileSystem, Prefix: e.Prefix, Key: string(e.Secret), NoOwners: e.NoOwners,
		Secret: secret,
	}
}

// site opens an endpoint; false for one that is none of ours. Extended attributes of bare trees are left out.
func site(endpoint any, secret func(context.Context, string) ([]byte, error), bare []string) (place.Site, bool) {
	switch e := endpoint.(type) {
	case *Local:
		return place.Local(e.Root, bare...), true
	case *HDFS:
		c := e.place(secret)
		c.NoXattrs = bare
		return place.HDFS(c), true
	case *S3:
		return place.S3(e.place(secret)), true
	case *Blob:
		return place.Blob(e.place(secret)), true
	case *ADLS:
		return place.ADLS(e.place(secret)), true
	}
	return nil, false
}

// endpoints are the further ways to reach a store beside HDFS.
func endpoints() []workload.EndpointKind {
	return []workload.EndpointKind{
		{Key: "local", New: func() any { return &Local{} }},
		{Key: "s3", New: func() any { return &S3{} }},
		{Key: "blob", New: func() any { return &Blob{} }},
		{Key: "adls", New: func() any { return &ADLS{} }},
	}
}

package hdfs

import (
	"context"
	"net"
	"os/user"
	"time"
)

// Options say which cluster to speak to, as whom, and with how much patience.
type Options struct {
	// NameNodes are the addresses host:port of the NameNodes of one namespace: one, or all of a highly available set in any order.
	NameNodes []string
	// User acts in simple authentication; empty is the user of this process.
	// With Kerberos the principal acts, and User is ignored.
	User string
	// Kerberos proves who we are; nil is simple authentication.
	Kerberos *Kerberos
	// Dial opens connections; nil is a net.Dialer. Tests and proxies set it.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// DatanodeHostnames says to reach DataNodes by name and not by the address they registered with.
	DatanodeHostnames bool
	// CallTimeout bounds one call to a NameNode, the opening of a connection, and the silence of a DataNode in the middle of an operation;
	// 0 is one minute. A context ends a call earlier.
	CallTimeout time.Duration
	// RetryFor bounds how long a call goes on looking for a NameNode that answers, over restarts and failovers; 0 is 30 s, negative is not at all.
	RetryFor time.Duration
	// WriteWindow is how many packets of a file may be on their way unacknowledged; 0 is 80, as Hadoop's own client has it.
	WriteWindow int
	// ReplaceDatanode says to look for another DataNode when one of three or more is lost from a pipeline and half of them or fewer remain,
	// which is the default policy of Hadoop's own client.
	ReplaceDatanode bool
}

// Protection is how much of a conversation is protected, in the words of hadoop.rpc.protection and dfs.data.transfer.protection.
type Protection string

// The protections. An empty one is: no demand, whatever the server offers first.
const (
	Authentication Protection = "authentication"
	Integrity      Protection = "integrity"
	Privacy        Protection = "privacy"
)

// Kerberos is how to prove who we are. One value may serve many clients.
type Kerberos struct {
	// Principal is who we are, such as understudy/host@REALM; Keytab is the file with its keys.
	Principal, Keytab string
	// Config is the path of krb5.conf; empty is /etc/krb5.conf.
	Config string
	// ServicePrincipal is who the NameNodes must be, such as hdfs/_HOST@REALM, where _HOST stands for the host of the address; empty is hdfs/_HOST.
	ServicePrincipal string
	// RPCProtection is the least that is taken from a NameNode.
	RPCProtection Protection
	// DataProtection is what the DataNodes demand (dfs.data.transfer.protection); empty is a cluster without it.
	// A cluster with dfs.encrypt.data.transfer needs no setting: it says so itself.
	DataProtection Protection
}

// Dialer gives what opens connections.
func (o Options) Dialer() func(ctx context.Context, network, address string) (net.Conn, error) {
	if o.Dial == nil {
		return (&net.Dialer{}).DialContext
	}
	return o.Dial
}

// filled gives the options with the defaults in place.
func (o Options) filled() Options {
	o.Dial = o.Dialer()
	if o.CallTimeout == 0 {
		o.CallTimeout = time.Minute
	}
	if o.RetryFor == 0 {
		o.RetryFor = 30 * time.Second
	}
	if o.WriteWindow == 0 {
		o.WriteWindow = 80
	}
	if o.User == "" && o.Kerberos == nil {
		if u, err := user.Current(); err == nil {
			o.User = u.Username
		}
	}
	return o
}

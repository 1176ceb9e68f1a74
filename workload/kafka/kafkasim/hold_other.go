//go:build !unix

package kafkasim

import "net"

// hold keeps a port of this machine where the system can; here it cannot.
func hold(net.Addr) (release func()) { return func() {} }

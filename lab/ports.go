package lab

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
)

// Ports are taken from below the range that systems give to outgoing connections: a client that keeps
// dialling the port of a killed server can otherwise be given that very port and connect to itself.
const (
	firstPort = 20000
	lastPort  = 30000
)

// Ports is a set of loopback ports that no other user of the lab gets until Release.
type Ports struct {
	// Numbers are the ports, in no particular order.
	Numbers []int
	locks   []*os.File
}

// Reserve finds n free loopback ports and keeps them for this process, also while nothing listens on them.
func Reserve(n int) (*Ports, error) {
	dir := filepath.Join(os.TempDir(), "understudy-lab-ports-"+strconv.Itoa(os.Getuid()))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	p := &Ports{}
	start := rand.IntN(lastPort - firstPort)
	for i := range lastPort - firstPort {
		port := firstPort + (start+i)%(lastPort-firstPort)
		if f := reservePort(dir, port); f != nil {
			p.Numbers, p.locks = append(p.Numbers, port), append(p.locks, f)
		}
		if len(p.Numbers) == n {
			return p, nil
		}
	}
	p.Release()
	return nil, fmt.Errorf("no %d free ports between %d and %d on loopback", n, firstPort, lastPort)
}

// Release gives the ports back.
func (p *Ports) Release() {
	for _, f := range p.locks {
		_ = f.Close()
	}
	p.Numbers, p.locks = nil, nil
}

// reservePort locks the port's file and checks that nothing listens; nil when the port is not to be had.
func reservePort(dir string, port int) *os.File {
	f, err := os.OpenFile(filepath.Join(dir, strconv.Itoa(port)), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil
	}
	if ok, err := tryLock(f); err != nil || !ok {
		_ = f.Close()
		return nil
	}
	l, err := net.Listen("tcp4", Loopback(port))
	if err != nil {
		_ = f.Close()
		return nil
	}
	l.Close()
	return f
}

// Loopback returns the address of a port on this machine.
func Loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

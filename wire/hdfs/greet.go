package hdfs

import (
	"context"
	"errors"

	"github.com/understudy-dr/understudy/wire/hdfs/internal/rpc"
	"github.com/understudy-dr/understudy/wire/hdfs/internal/sasl"
)

// errAsked ends a handshake in which we were asked who we are.
var errAsked = errors.New("asked who we are")

// Greets says whether any of the NameNodes asks who we are, and does not tell it: who cannot log in learns that somebody is there. A NameNode says
// which logins it takes before it wants one, also where it takes none but the simple one. All are asked side by side, until one answers or ctx ends.
func Greets(ctx context.Context, o Options) bool {
	o = o.filled()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	came := make(chan bool, len(o.NameNodes))
	for _, address := range o.NameNodes {
		go func() { came <- greets(ctx, o, address) }()
	}
	found := false
	for range o.NameNodes {
		if <-came {
			found = true
			cancel()
		}
	}
	return found
}

// greets asks one NameNode.
func greets(ctx context.Context, o Options, address string) bool {
	conn, err := rpc.Connect(ctx, rpc.Config{
		Address: address, Dial: o.Dial, Protocol: clientProtocol, Timeout: o.CallTimeout,
		Login: func(context.Context) (sasl.Mechanism, error) { return nil, errAsked },
	})
	if err == nil {
		conn.Close()
		return true
	}
	var refused *rpc.ServerError
	return errors.Is(err, errAsked) || errors.Is(err, rpc.ErrNoKerberos) || errors.As(err, &refused)
}

package kafka_test

import (
	"context"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	lab "github.com/understudy-dr/understudy/lab/kafka"
	"github.com/understudy-dr/understudy/workload/kafka"
)

// real boots two real clusters of one version. With authorizer, understudy is User:mover, and the
// application User:app; neither is a super user.
func real(t *testing.T, version string, authorizer bool) theatre {
	t.Helper()
	return realWith(t, version, authorizer, nil)
}

func realWith(t *testing.T, version string, authorizer bool, properties map[string]string) theatre {
	t.Helper()
	options := func(name string) lab.Options {
		o := lab.Options{Version: version, Name: name, Properties: properties}
		if authorizer {
			o.Authorizer, o.Users = true, map[string]string{"mover": "m", "app": "a"}
		}
		return o
	}
	all := lab.BootAll(t, options("east"), options("west"))
	brokers := map[understudy.Site]*lab.Broker{east: all[0], west: all[1]}
	th := theatre{at: endpoints{}, east: all[0].Addr(), west: all[1].Addr(), saslEast: all[0].SASLAddr(), saslWest: all[1].SASLAddr()}
	for s, b := range brokers {
		th.at[s] = &kafka.Endpoint{Brokers: []string{b.Addr()}}
		if authorizer {
			th.at[s] = secured(b.SASLAddr())
			grant(t, b.Addr())
		}
	}
	th.authorizer = authorizer
	th.kill = func(s understudy.Site) {
		if err := brokers[s].Kill(); err != nil {
			t.Fatal(err)
		}
	}
	th.restart = func(s understudy.Site) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := brokers[s].Restart(ctx); err != nil {
			t.Fatal(err)
		}
	}
	th.make(t)
	return th
}

// authorized runs a scene on every pinned version with an authorizer.
func authorized(t *testing.T, scene func(*testing.T, theatre)) {
	for _, v := range lab.Versions() {
		t.Run(v, func(t *testing.T) { scene(t, real(t, v, true)) })
	}
}

// versions runs a scene on every pinned version.
func versions(t *testing.T, scene func(*testing.T, theatre)) {
	for _, v := range lab.Versions() {
		t.Run(v, func(t *testing.T) { scene(t, real(t, v, false)) })
	}
}

func TestRealSwitchoverAndHome(t *testing.T)          { versions(t, switchoverAndHome) }
func TestRealFailoverLedgerAndReprotect(t *testing.T) { versions(t, failoverLedgerAndReprotect) }
func TestRealAbortAfterHalt(t *testing.T)             { versions(t, abortAfterHalt) }

func TestRealDeniedSwitchover(t *testing.T) { authorized(t, deniedSwitchover) }
func TestRealDeniedReturn(t *testing.T)     { authorized(t, deniedReturn) }

func TestRealARetryingProducer(t *testing.T) {
	for _, v := range lab.Versions() {
		t.Run(v, func(t *testing.T) {
			retryingProducer(t, realWith(t, v, false, map[string]string{"auto.create.topics.enable": "true"}))
		})
	}
}

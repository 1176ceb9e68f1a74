package demo

import (
	"context"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload/kafka/kafkasim"
)

// nearby is the delay of a healthy way between two regions that lie close together, in each direction.
const nearby = time.Millisecond

// simulated are two clusters in this process.
type simulated struct {
	clusters map[understudy.Site]*kafkasim.Cluster
	links    map[understudy.Site]*kafkasim.Link
}

// simulate starts both, with an authorizer each, and the ways between them.
func simulate() (servers, error) {
	s := &simulated{clusters: map[understudy.Site]*kafkasim.Cluster{}, links: map[understudy.Site]*kafkasim.Link{}}
	for _, site := range []understudy.Site{east, west} {
		c, err := kafkasim.Start(kafkasim.Options{ClusterID: "simulated-" + string(site), Authorizer: true, Users: passwords()})
		if err != nil {
			s.close()
			return nil, failed("the simulated cluster "+string(site)+" did not start", err)
		}
		s.clusters[site] = c
		link, err := c.Link(0)
		if err != nil {
			s.close()
			return nil, failed("the way to the simulated cluster "+string(site)+" did not open", err)
		}
		s.links[site] = link
	}
	s.links[east].SetDelay(nearby)
	return s, nil
}

func (s *simulated) at(site understudy.Site) address {
	c := s.clusters[site]
	return address{admin: c.Addr(), near: c.Addr(), far: s.links[site].Addr()}
}

func (s *simulated) kill(_ context.Context, site understudy.Site) error {
	s.clusters[site].Kill()
	return nil
}

func (s *simulated) start(_ context.Context, site understudy.Site) error {
	return s.clusters[site].Restart()
}

func (s *simulated) delay(_ context.Context, d time.Duration) error {
	s.links[east].SetDelay(d)
	return nil
}

func (s *simulated) what() string { return "simulated" }

func (s *simulated) close() {
	for _, c := range s.clusters {
		c.Close()
	}
}

package cluster

import (
	"context"
	"maps"

	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/understudy-dr/understudy"
)

// Version is what a broker says that it can do.
type Version struct {
	// Guess is the newest release whose abilities the broker has, such as "v3.9".
	Guess string
	// Max is the newest version of each request, by its key.
	Max map[int16]int16
}

// Knows says whether the broker understands a request.
func (v Version) Knows(key kmsg.Key) bool {
	_, ok := v.Max[key.Int16()]
	return ok
}

// Version asks one broker which requests it understands.
func (c *Cluster) Version(ctx context.Context, lease understudy.Lease) (Version, error) {
	req := kmsg.NewPtrApiVersionsRequest()
	req.ClientSoftwareName, req.ClientSoftwareVersion = "understudy", "1"
	resp, err := c.Do(ctx, lease, req)
	if err != nil {
		return Version{}, err
	}
	r := resp.(*kmsg.ApiVersionsResponse)
	v := Version{Max: map[int16]int16{}}
	for _, k := range r.ApiKeys {
		v.Max[k.ApiKey] = k.MaxVersion
	}
	v.Guess = c.release(v.Max, r)
	return v, c.Refused("kafka.apiversions", "", r.ErrorCode, "")
}

// release guesses the release of a broker; it looks through all releases only when the abilities are not those of the
// last answer.
func (c *Cluster) release(most map[int16]int16, r *kmsg.ApiVersionsResponse) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen.Guess == "" || !maps.Equal(c.seen.Max, most) {
		c.seen = Version{Guess: kversion.FromApiVersionsResponse(r).VersionGuess(), Max: most}
	}
	return c.seen.Guess
}

// knows says whether the cluster understands a request; the answer is asked for once.
func (c *Cluster) knows(ctx context.Context, lease understudy.Lease, key kmsg.Key) (bool, error) {
	c.versionMu.Lock()
	defer c.versionMu.Unlock()
	if c.version == nil {
		v, err := c.Version(ctx, lease)
		if err != nil {
			return false, err
		}
		c.version = &v
	}
	return c.version.Knows(key), nil
}

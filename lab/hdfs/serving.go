package hdfs

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/understudy-dr/understudy/lab"
)

// probeEvery is how often a NameNode is asked while waiting for it; probeLimit bounds one question.
const (
	probeEvery = 100 * time.Millisecond
	probeLimit = 10 * time.Second
)

// JMX reads a bean of a daemon's web server, such as "Hadoop:service=NameNode,name=FSNamesystem": its attributes by
// name, as of a second ago at most. An unknown bean is an error.
func JMX(ctx context.Context, addr, bean string) (map[string]any, error) {
	return ask(ctx, addr, "qry="+bean)
}

// attribute reads one attribute of a bean. To compute all of them, as JMX does, costs a server that has just started more than its answer
// is worth.
func attribute(ctx context.Context, addr, bean, name string) (any, error) {
	found, err := ask(ctx, addr, "get="+bean+"::"+name)
	return found[name], err
}

// ask sends a question to a daemon's web server, and gives the first bean of its answer.
func ask(ctx context.Context, addr, question string) (map[string]any, error) {
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/jmx?"+question, nil)
	if err != nil {
		return nil, err
	}
	request.Close = true
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	var found struct {
		Beans []map[string]any `json:"beans"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&found); err != nil {
		return nil, fmt.Errorf("%s of %s: status %d: %w", question, addr, answer.StatusCode, err)
	}
	if len(found.Beans) == 0 {
		return nil, fmt.Errorf("%s has no bean for %s", addr, question)
	}
	return found.Beans[0], nil
}

// serving waits until every NameNode that can answer has left safe mode and knows every such DataNode.
func (c *Cluster) serving(ctx context.Context) error {
	for _, d := range c.layout.names {
		n := c.holder(d.name)
		if !n.awake() {
			continue
		}
		if err := poll(ctx, n, func() string { return c.unready(ctx, lab.Loopback(d.http)) }); err != nil {
			return fmt.Errorf("hdfs %s: %w", c.opts.Name, err)
		}
	}
	return nil
}

// poll asks until nothing is lacking; it fails when the JVM or ctx ends.
func poll(ctx context.Context, n *Node, lacking func() string) error {
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for {
		why := lacking()
		if why == "" {
			return nil
		}
		select {
		case <-n.Done():
			return fmt.Errorf("%s ended, see %s", n.Name(), n.Log())
		case <-ctx.Done():
			return fmt.Errorf("%s: %s: %w", n.Name(), why, ctx.Err())
		case <-tick.C:
		}
	}
}

// unready says what a NameNode lacks, or nothing.
func (c *Cluster) unready(ctx context.Context, addr string) string {
	mode, err := attribute(ctx, addr, "Hadoop:service=NameNode,name=NameNodeInfo", "Safemode")
	if err != nil {
		return err.Error()
	}
	if safe, ok := mode.(string); !ok || safe != "" {
		return fmt.Sprintf("safe mode: %v", mode)
	}
	nodes, err := attribute(ctx, addr, "Hadoop:service=NameNode,name=FSNamesystemState", "NumLiveDataNodes")
	if err != nil {
		return err.Error()
	}
	want := 0
	for _, d := range c.layout.data {
		if c.holder(d.name).awake() {
			want++
		}
	}
	if live, ok := nodes.(float64); !ok || int(live) < want {
		return fmt.Sprintf("%v of %d DataNodes", nodes, want)
	}
	return ""
}

package kafka

import "context"

// Topic is a topic to create, with as many replicas as the broker gives (Options.Replication).
type Topic struct {
	Name       string            `json:"name"`
	Partitions int32             `json:"partitions"`
	Configs    map[string]string `json:"configs"`
}

// Offset is a position in a partition, such as a group's.
type Offset struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	Metadata  string `json:"metadata"`
}

// ACL is one access control entry, in Kafka's own words: TOPIC, LITERAL, User:x, WRITE, DENY. An empty
// Pattern is LITERAL.
type ACL struct {
	Type       string `json:"type"`
	Name       string `json:"name"`
	Pattern    string `json:"pattern,omitempty"`
	Principal  string `json:"principal"`
	Operation  string `json:"operation"`
	Permission string `json:"permission"`
}

// Config is a topic's configuration value and where it comes from, such as DYNAMIC_TOPIC_CONFIG.
type Config struct {
	Value  string `json:"value"`
	Source string `json:"source"`
}

// CreateTopics creates topics.
func (c *Client) CreateTopics(ctx context.Context, a Access, topics ...Topic) error {
	return c.admin(ctx, a, "create-topics", request{"topics": topics}, nil)
}

// DeleteTopics deletes topics by name.
func (c *Client) DeleteTopics(ctx context.Context, a Access, topics ...string) error {
	return c.admin(ctx, a, "delete-topics", request{"topics": topics}, nil)
}

// DeleteRecords moves log starts up to the offsets.
func (c *Client) DeleteRecords(ctx context.Context, a Access, before ...Offset) error {
	return c.admin(ctx, a, "delete-records", request{"offsets": before}, nil)
}

// SetConfigs changes settings of a topic; a nil value removes one.
func (c *Client) SetConfigs(ctx context.Context, a Access, topic string, configs map[string]*string) error {
	return c.admin(ctx, a, "set-configs", request{"topic": topic, "configs": configs}, nil)
}

// Configs are the effective settings of a topic by name.
func (c *Client) Configs(ctx context.Context, a Access, topic string) (map[string]Config, error) {
	var all map[string]Config
	err := c.admin(ctx, a, "configs", request{"topic": topic}, func(r reply) { all = r.Configs })
	return all, err
}

// SetOffsets sets the committed offsets of a group without members.
func (c *Client) SetOffsets(ctx context.Context, a Access, group string, offsets ...Offset) error {
	return c.admin(ctx, a, "set-offsets", request{"group": group, "offsets": offsets}, nil)
}

// Offsets are the committed offsets of a group.
func (c *Client) Offsets(ctx context.Context, a Access, group string) (map[Partition]Offset, error) {
	all := make(map[Partition]Offset)
	err := c.admin(ctx, a, "offsets", request{"group": group}, func(r reply) {
		if o := r.Offset; o != nil {
			all[Partition{o.Topic, o.Partition}] = *o
		}
	})
	return all, err
}

// CreateACLs creates access control entries.
func (c *Client) CreateACLs(ctx context.Context, a Access, acls ...ACL) error {
	return c.admin(ctx, a, "create-acls", request{"acls": acls}, nil)
}

// ACLs are all access control entries of the cluster.
func (c *Client) ACLs(ctx context.Context, a Access) ([]ACL, error) {
	var all []ACL
	err := c.admin(ctx, a, "acls", request{}, func(r reply) {
		if r.ACL != nil {
			all = append(all, *r.ACL)
		}
	})
	return all, err
}

func (c *Client) admin(ctx context.Context, a Access, do string, r request, each func(reply)) error {
	r["config"] = a.config(map[string]string{"request.timeout.ms": "10000", "default.api.timeout.ms": "20000"})
	return c.call(ctx, do, r, each)
}

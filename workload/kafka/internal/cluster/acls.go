package cluster

import (
	"cmp"
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/understudy-dr/understudy"
)

// ACL is one rule of a cluster's authorizer.
type ACL struct {
	Type      kmsg.ACLResourceType        `json:"type"`
	Name      string                      `json:"name"`
	Pattern   kmsg.ACLResourcePatternType `json:"pattern"`
	Principal string                      `json:"principal"`
	Host      string                      `json:"host"`
	Operation kmsg.ACLOperation           `json:"operation"`
	Allow     kmsg.ACLPermissionType      `json:"allow"`
}

// ListACLs gives all rules about topics, transactional ids, groups and the cluster. It says false when the
// cluster has no authorizer.
func (c *Cluster) ListACLs(ctx context.Context, lease understudy.Lease) ([]ACL, bool, error) {
	req := kmsg.NewPtrDescribeACLsRequest()
	req.ResourceType = kmsg.ACLResourceTypeAny
	req.ResourcePatternType = kmsg.ACLResourcePatternTypeAny
	req.Operation = kmsg.ACLOperationAny
	req.PermissionType = kmsg.ACLPermissionTypeAny
	resp, err := c.Do(ctx, lease, req)
	if err != nil {
		return nil, false, err
	}
	r := resp.(*kmsg.DescribeACLsResponse)
	if r.ErrorCode == CodeSecurityDisabled {
		return nil, false, nil
	}
	if err := c.Refused("kafka.describeacls", "", r.ErrorCode, "DESCRIBE on the cluster"); err != nil {
		return nil, true, err
	}
	var out []ACL
	for _, res := range r.Resources {
		for _, a := range res.ACLs {
			out = append(out, ACL{res.ResourceType, res.ResourceName, res.ResourcePatternType, a.Principal, a.Host, a.Operation, a.PermissionType})
		}
	}
	slices.SortFunc(out, compareACL)
	return out, true, nil
}

func compareACL(a, b ACL) int {
	return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Pattern, b.Pattern),
		cmp.Compare(a.Principal, b.Principal), cmp.Compare(a.Host, b.Host), cmp.Compare(a.Operation, b.Operation), cmp.Compare(a.Allow, b.Allow))
}

// rulesMost is how many rules are changed by one request. A controller takes 10,000 records at once, and no more.
const rulesMost = 2000

// CreateACLs adds rules. A rule that is there already stays as it is. After an error some may be there.
func (c *Cluster) CreateACLs(ctx context.Context, lease understudy.Lease, acls []ACL) error {
	for some := range slices.Chunk(acls, rulesMost) {
		if err := c.createACLs(ctx, lease, some); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) createACLs(ctx context.Context, lease understudy.Lease, acls []ACL) error {
	req := kmsg.NewPtrCreateACLsRequest()
	for _, a := range acls {
		r := kmsg.NewCreateACLsRequestCreation()
		r.ResourceType, r.ResourceName, r.ResourcePatternType = a.Type, a.Name, a.Pattern
		r.Principal, r.Host, r.Operation, r.PermissionType = a.Principal, a.Host, a.Operation, a.Allow
		req.Creations = append(req.Creations, r)
	}
	resp, err := c.Do(ctx, lease, req)
	if err != nil {
		return err
	}
	for i, a := range resp.(*kmsg.CreateACLsResponse).Results {
		if err := c.Refused("kafka.createacls", acls[min(i, len(acls)-1)].Name, a.ErrorCode, "ALTER on the cluster"); err != nil {
			return because(err, a.ErrorMessage)
		}
	}
	return nil
}

// DeleteACLs removes exactly these rules. A rule that is not there is fine. After an error some may be gone.
func (c *Cluster) DeleteACLs(ctx context.Context, lease understudy.Lease, acls []ACL) error {
	for some := range slices.Chunk(acls, rulesMost) {
		if err := c.deleteACLs(ctx, lease, some); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) deleteACLs(ctx context.Context, lease understudy.Lease, acls []ACL) error {
	req := kmsg.NewPtrDeleteACLsRequest()
	for _, a := range acls {
		f := kmsg.NewDeleteACLsRequestFilter()
		f.ResourceType, f.ResourceName, f.ResourcePatternType = a.Type, kmsg.StringPtr(a.Name), a.Pattern
		f.Principal, f.Host, f.Operation, f.PermissionType = kmsg.StringPtr(a.Principal), kmsg.StringPtr(a.Host), a.Operation, a.Allow
		req.Filters = append(req.Filters, f)
	}
	resp, err := c.Do(ctx, lease, req)
	if err != nil {
		return err
	}
	for i, a := range resp.(*kmsg.DeleteACLsResponse).Results {
		if err := c.Refused("kafka.deleteacls", acls[min(i, len(acls)-1)].Name, a.ErrorCode, "ALTER on the cluster"); err != nil {
			return because(err, a.ErrorMessage)
		}
	}
	return nil
}

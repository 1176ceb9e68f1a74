package demo

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"github.com/understudy-dr/understudy"
)

const (
	east = understudy.Site("east")
	west = understudy.Site("west")
)

// The two principals: understudy itself, and the application. Both clusters know them.
const (
	mover, moverPassword = "understudy", "the-understudy"
	shop, shopPassword   = "shop", "the-shop"
)

// passwords gives the password of every principal.
func passwords() map[string]string {
	return map[string]string{mover: moverPassword, shop: shopPassword}
}

// servers are the two clusters and what can happen to them.
type servers interface {
	// at says where a site's cluster answers.
	at(understudy.Site) address
	// kill is the loss of a site: kill -9 of its servers.
	kill(context.Context, understudy.Site) error
	// start brings a killed site back, with the data that it had.
	start(context.Context, understudy.Site) error
	// delay makes the way between the sites slow, by so much in each direction.
	delay(context.Context, time.Duration) error
	// what says which servers these are, for people.
	what() string
	// close ends all of them.
	close()
}

// address is where one cluster answers.
type address struct {
	// admin lets its administrator in without a login.
	admin string
	// near is for the application, and far the way that understudy takes from the other site.
	near, far string
}

// topics are what the shop keeps in Kafka, with their partitions.
func topics() map[string]int32 { return map[string]int32{"orders": 3, "payments": 1} }

// furnish makes the topics at home, and gives both principals their rights at both sites, as the administrators of
// these clusters would have done long before.
func furnish(ctx context.Context, s servers) error {
	for _, site := range []understudy.Site{east, west} {
		if err := furnishSite(ctx, s.at(site).admin, site == east); err != nil {
			return failed("the cluster at "+string(site)+" could not be prepared", err)
		}
	}
	return nil
}

func furnishSite(ctx context.Context, admin string, home bool) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(admin))
	if err != nil {
		return err
	}
	defer client.Close()
	adm := kadm.NewClient(client)
	if home {
		for name, partitions := range topics() {
			if _, err := adm.CreateTopic(ctx, partitions, 1, nil, name); err != nil {
				return err
			}
		}
	}
	for _, rights := range []*kadm.ACLBuilder{
		kadm.NewACLs().Topics("*").Groups("*").Clusters().TransactionalIDs("*").ResourcePatternType(kmsg.ACLResourcePatternTypeLiteral).
			Allow("User:" + mover).AllowHosts("*").Operations(kadm.OpAll),
		kadm.NewACLs().Topics("orders", "payments").ResourcePatternType(kmsg.ACLResourcePatternTypeLiteral).
			Allow("User:"+shop).AllowHosts("*").Operations(kadm.OpWrite, kadm.OpRead, kadm.OpDescribe),
	} {
		results, err := adm.CreateACLs(ctx, rights)
		if err != nil {
			return err
		}
		for _, r := range results {
			if r.Err != nil {
				return r.Err
			}
		}
	}
	return awaitRights(ctx, admin)
}

// awaitRights waits until the shop's rights have reached the broker.
func awaitRights(ctx context.Context, admin string) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(admin))
	if err != nil {
		return err
	}
	defer client.Close()
	adm := kadm.NewClient(client)
	want := kadm.NewACLs().Topics().Allow("User:" + shop).AllowHosts().Operations().ResourcePatternType(kadm.ACLPatternAny)
	for {
		found, err := adm.DescribeACLs(ctx, want)
		if err != nil && !kerr.IsRetriable(err) {
			return err
		}
		for _, f := range found {
			if len(f.Described) > 0 {
				return nil
			}
		}
		if err := rest(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

// asShop logs a client in as the application.
func asShop(addr string) []kgo.Opt {
	return []kgo.Opt{
		kgo.SeedBrokers(addr), kgo.ClientID(shop),
		// Metrics would make the end of a client wait for a dead cluster.
		kgo.DisableClientMetrics(),
		kgo.SASL(plain.Auth{User: shop, Pass: shopPassword}.AsMechanism()),
	}
}

// rest waits, but not beyond the end of ctx.
func rest(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

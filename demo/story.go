package demo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
)

// Play tells the story once and gives what it came to. The error is US514, beside a complete Result, when a promise
// was not kept, and another one when the story could not be told to its end. When ctx ends, everything that was
// started is ended and removed.
func Play(ctx context.Context, o Options) (Result, error) {
	began := time.Now()
	s, err := raise(ctx, o)
	if err != nil {
		return Result{}, err
	}
	defer s.lower()
	for _, act := range []func(context.Context) error{
		s.protect, s.sellUntilTheRegionIsLost, s.failover, s.countTheSurvivors, s.bringThePrimaryBack,
		s.commit, s.reprotect, s.verify, s.failback, s.countAgain,
	} {
		err := act(ctx)
		if ctx.Err() != nil {
			return s.result, context.Cause(ctx)
		}
		if err != nil {
			return s.result, err
		}
		s.finish()
	}
	s.result.Seconds = time.Since(began).Seconds()
	s.result.judge()
	s.conclude()
	return s.result, s.result.err()
}

// story is the stage on which it is played, and what is known of it so far.
type story struct {
	options  Options
	audience Audience
	dir      string
	servers  servers
	house    *house
	app      application
	lake     lake
	clerk    clerk
	step     Step
	begun    time.Time
	// before are the orders sent before the region was lost, and home is the first one around the way home;
	// written and back are the same of the invoices.
	before, written page
	home, back      id
	result          Result
}

// protect makes west learn the part of an east that has been selling for a while.
func (s *story) protect(ctx context.Context) error {
	s.begin("Protect: west learns the part of east", "understudy apply -f shop.yaml && understudy protect shop")
	if err := s.sell(ctx, east, s.pace().burst); err != nil {
		return err
	}
	if err := s.house.apply(ctx, s.servers, s.lake); err != nil {
		return err
	}
	report, err := s.operate(ctx, control.StartRequest{Verb: understudy.Protect})
	if err != nil {
		return err
	}
	s.tell("%d topics of east are mirrored to west, every record at its own offset, and the tree of invoices", len(topics()))
	s.tell("is copied whole, from now on by schedule; %s", took(report))
	s.result.Tree.Runs = 1
	return nil
}

// sellUntilTheRegionIsLost lets the shop write directly to east, while understudy follows the topics over a way that is
// slow and copies the tree now and then, and kills east at a moment that nobody has prepared: what is lost is a race.
func (s *story) sellUntilTheRegionIsLost(ctx context.Context) error {
	s.begin("The shop sells, the way between the regions is slow, and east is lost", "understudy replicate shop && understudy status shop")
	if err := s.servers.delay(ctx, s.pace().delay); err != nil {
		return err
	}
	sell := func(ctx context.Context) {
		var shop sync.WaitGroup
		shop.Go(func() { _ = s.app.write(ctx, s.servers.at(east).near) })
		shop.Go(func() { s.clerk.work(ctx) })
		shop.Go(func() { s.copyNowAndThen(ctx) })
		shop.Wait()
	}
	var exposed map[understudy.WorkloadName]understudy.Exposure
	err := during(ctx, sell, func() (err error) {
		if err := s.wait(ctx, s.loadFor(), "selling"); err != nil {
			return err
		}
		if exposed, err = s.exposures(ctx); err != nil {
			return err
		}
		return errors.Join(s.lake.lose(east), s.servers.kill(ctx, east))
	})
	if err != nil {
		return err
	}
	s.before, s.written = s.app.book.since(0), s.clerk.book.since(0)
	s.result.Acknowledged = int64(len(s.before.acknowledged()))
	s.result.Unacknowledged = int64(len(s.before.times)) - s.result.Acknowledged
	s.result.Tree.Files = int64(len(s.written.acknowledged()))
	s.result.Exposure, s.result.Tree.Exposure = exposed[orders].Bound.Seconds(), exposed[invoices].Bound.Seconds()
	s.tell("status said: everything up to %s ago is proven to be at west; of the invoices, what was there %s ago",
		short(exposed[orders].Bound), short(exposed[invoices].Bound))
	s.tell("kill -9 of east in the middle of a write: %d orders were acknowledged, %d more were on their way",
		s.result.Acknowledged, s.result.Unacknowledged)
	s.tell("its file system is gone with it: %d invoices were written, and %d sets of them had been copied", s.result.Tree.Files, s.result.Tree.Runs)
	return nil
}

// failover lets west go on. The loss is bounded before, and the silence of east is taken on a person's word.
func (s *story) failover(ctx context.Context) error {
	s.begin("Failover: west goes on", "understudy failover shop --max-loss 30s --accept-fence FA --as \""+operator+"\" --confirm=shop")
	most := 30 * time.Second
	report, err := s.operate(ctx, control.StartRequest{Verb: understudy.Failover, MaxLoss: &most, AcceptFence: []understudy.Site{east}})
	if err != nil {
		return err
	}
	bound, err := boundOf(report, orders)
	if err != nil {
		return err
	}
	if s.result.Order, err = orderOf(report); err != nil {
		return err
	}
	s.result.LostBoundClaimed = s.before.after(bound.Safe)
	s.result.LostBoundSeconds = bound.Bound.Seconds()
	s.result.RTO = seconds(report.RTO)
	s.tell("bound stated before: at most the last %s, which is %d acknowledged orders", short(bound.Bound), s.result.LostBoundClaimed)
	if err := s.boundTree(report); err != nil {
		return err
	}
	s.tell("one plan, in its order at every stage: %s, then %s, which come after them", s.result.Order[0], s.result.Order[1])
	s.tell("first verified write at west %s after the last sign of east (detect %s, confirm %s, fence %s, promote %s, verify %s)",
		short(report.RTO.Total), short(report.RTO.Detect), short(report.RTO.Confirm), short(report.RTO.Fence), short(report.RTO.Promote), short(report.RTO.Verify))
	s.tell("nobody could fence a silent east: %s gave their word for it, and it is in the report", operator)
	return nil
}

// countTheSurvivors reads west with an ordinary consumer and holds it against the application's own book.
func (s *story) countTheSurvivors(ctx context.Context) error {
	s.begin("Count what survived, with a consumer of our own", "")
	found, err := s.count(ctx, west)
	if err != nil {
		return err
	}
	r := &s.result
	r.Survived = found.of(s.before.acknowledged())
	r.Lost = r.Acknowledged - r.Survived
	s.tell("%d of %d acknowledged orders are at west: %d lost, %d were claimed as the most", r.Survived, r.Acknowledged, r.Lost, r.LostBoundClaimed)
	if err := s.countTree(); err != nil {
		return err
	}
	s.home, s.back = s.app.book.sent(), s.clerk.book.sent()
	if err := s.sell(ctx, west, s.pace().burst); err != nil {
		return err
	}
	s.tell("the shop goes on at west: %d orders and %d invoices more", len(s.app.book.since(s.home).acknowledged()), len(s.clerk.book.since(s.back).acknowledged()))
	return nil
}

// bringThePrimaryBack starts east again, as somebody would who knows nothing of the failover.
func (s *story) bringThePrimaryBack(ctx context.Context) error {
	s.begin("East comes back, and is fenced at first contact", "understudy status shop")
	if err := s.servers.delay(ctx, nearby); err != nil {
		return err
	}
	if err := errors.Join(s.servers.start(ctx, east), s.lake.find(east)); err != nil {
		return err
	}
	up := time.Now()
	proofs, err := s.house.awaitFenced(ctx, east)
	if err != nil {
		return err
	}
	proof, tree := proofs[orders], proofs[invoices]
	s.result.Fence, s.result.Tree.Fence = proof, tree
	s.tell("fenced %s after its start, at level %s: %s", short(proof.At.Sub(up)), proof.Level, proof.Means)
	if len(proof.CouldPass) > 0 {
		s.tell("whom that does not stop: %v", proof.CouldPass)
	}
	s.tell("its tree was closed %s after its start, at level %s; root gets past that, and whoever understudy runs as", short(tree.At.Sub(up)), tree.Level)
	return nil
}

// commit makes the failover final.
func (s *story) commit(ctx context.Context) error {
	s.begin("Commit the failover", "understudy commit shop")
	report, err := s.operate(ctx, control.StartRequest{Verb: understudy.Commit})
	if err != nil {
		return err
	}
	s.tell("west is the primary; %s", took(report))
	return nil
}

// reprotect brings east back as the secondary. What only east had is saved before anything of it is overwritten.
func (s *story) reprotect(ctx context.Context) error {
	s.begin("Reprotect: east becomes the understudy", "understudy reprotect shop --confirm=shop && understudy ledger show shop")
	report, err := s.operate(ctx, control.StartRequest{Verb: understudy.Reprotect})
	if err != nil {
		return err
	}
	saved, claimed, err := s.house.savedOrders(ctx)
	if err != nil {
		return err
	}
	acknowledged := s.before.acknowledged()
	for _, n := range saved {
		if _, was := slices.BinarySearch(acknowledged, n); was {
			s.result.LedgeredLost++
		} else {
			s.result.LedgeredUnacknowledged++
		}
	}
	s.result.Ledgered = claimed
	s.tell("the ledger has the %d records that only east had: %d acknowledged and lost, %d never acknowledged",
		claimed, s.result.LedgeredLost, s.result.LedgeredUnacknowledged)
	if err := s.ledgerTree(ctx); err != nil {
		return err
	}
	s.tell("east follows west; %s", took(report))
	return nil
}

// verify compares both sites by content.
func (s *story) verify(ctx context.Context) error {
	s.begin("Verify by content", "understudy verify shop")
	report, err := s.operate(ctx, control.StartRequest{Verb: understudy.Verify})
	if err != nil {
		return err
	}
	v, err := verdict(report, orders)
	if err != nil {
		return err
	}
	files, err := verdict(report, invoices)
	if err != nil {
		return err
	}
	s.result.Verdict, s.result.Compared = v.Outcome, v.Compared
	s.result.Tree.Verdict, s.result.Tree.Compared = files.Outcome, files.Compared
	s.tell("%s: %d records compared in %d partitions (%s)", v.Outcome, v.Compared, v.Shards, v.Coverage)
	s.tell("%s: %d entries of the tree compared (%s)", files.Outcome, files.Compared, files.Coverage)
	return nil
}

// failback moves home while the shop sells. The application is refused by west, and finds east open.
func (s *story) failback(ctx context.Context) error {
	s.begin("Fail back by a planned switchover, while the shop sells", "understudy failback shop --confirm=shop")
	sell := func(ctx context.Context) {
		_ = during(ctx, s.clerk.work, func() error {
			s.app.roam(ctx, s.servers.at(west).near, s.servers.at(east).near)
			return nil
		})
	}
	var report control.Report
	err := during(ctx, sell, func() (err error) {
		if err := s.wait(ctx, s.pace().burst, "selling"); err != nil {
			return err
		}
		if report, err = s.operate(ctx, control.StartRequest{Verb: understudy.Failback}); err != nil {
			return err
		}
		return s.wait(ctx, s.pace().burst, "selling")
	})
	if err != nil {
		return err
	}
	s.result.SwitchoverRTO = seconds(report.RTO)
	s.tell("home again; the clerk paused at the plan's hook and went on at home; %s", took(report))
	return nil
}

// countAgain reads east, and holds it against the book once more.
func (s *story) countAgain(ctx context.Context) error {
	s.begin("Count at home", "")
	found, err := s.count(ctx, east)
	if err != nil {
		return err
	}
	around := s.app.book.since(s.home).acknowledged()
	r := &s.result
	r.SwitchoverAcknowledged = int64(len(around))
	r.SwitchoverLost = r.SwitchoverAcknowledged - found.of(around)
	if still := found.of(s.before.acknowledged()); still != r.Survived {
		return failed(fmt.Sprintf("%d of the orders that had survived are at home, not %d", still, r.Survived), nil)
	}
	s.tell("%d orders were acknowledged since the failover: %d lost, %d duplicated", r.SwitchoverAcknowledged, r.SwitchoverLost, r.Duplicates)
	return s.countTreeAgain()
}

// raise sets the stage: servers, topics, and a control plane with a journal of its own.
func raise(ctx context.Context, o Options) (*story, error) {
	s := &story{options: o, audience: o.Audience}
	s.app.perTick = max(1, cmp.Or(o.Rate, busy)*int(tick)/int(time.Second))
	if s.audience == nil {
		s.audience = nobody{}
	}
	var err error
	if s.dir, err = os.MkdirTemp("", "understudy-demo-"); err != nil {
		return nil, failed("no temporary directory", err)
	}
	if err := s.furnish(ctx); err != nil {
		s.lower()
		return nil, err
	}
	return s, nil
}

func (s *story) furnish(ctx context.Context) (err error) {
	s.servers, err = s.choose(ctx)
	if err != nil {
		return err
	}
	s.result.Servers, s.result.NotShown = s.servers.what(), []string{}
	s.introduce()
	if err := furnish(ctx, s.servers); err != nil {
		return err
	}
	s.lake, s.result.Tree.Store = lake{dir: s.dir}, "local"
	if err := s.lake.open(); err != nil {
		return failed("the trees could not be made", err)
	}
	s.clerk.sit(s.lake.tree(east))
	if s.house, err = build(ctx, s.dir, hooks{&s.clerk, s.lake}, s.options.Log); err != nil {
		return err
	}
	s.house.open()
	return nil
}

// lower ends everything and leaves nothing behind.
func (s *story) lower() {
	if s.house != nil {
		s.house.close()
	}
	if s.servers != nil {
		s.servers.close()
	}
	_ = os.RemoveAll(s.dir)
}

// loadFor is how long the shop sells before east is lost.
func (s *story) loadFor() time.Duration {
	if s.options.LoadFor > 0 {
		return s.options.LoadFor
	}
	p := s.pace()
	return p.load + rand.N(p.load/2)
}

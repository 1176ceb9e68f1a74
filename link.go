package understudy

import "time"

// Link is one direction of one workload: from a site, to a site.
type Link struct {
	Plan     PlanName     `json:"plan"`
	Workload WorkloadName `json:"workload"`
	From     Site         `json:"from"`
	To       Site         `json:"to"`
}

// String names the link, such as "contoso/orders east>west".
func (l Link) String() string {
	return string(l.Plan) + "/" + string(l.Workload) + " " + string(l.From) + ">" + string(l.To)
}

// Lease is the time-bound right to cause effects. A lock is not a fence: the holder checks the deadline
// before every outgoing request and bounds the request by it, because nobody can take back bytes already sent.
type Lease struct {
	// Term grows with every new holder of the same right.
	Term int64
	// Deadline is the moment after which nothing more may be sent; it moves forward while the lease is
	// renewed. It already lies a margin before the moment at which a successor may start.
	Deadline func() time.Time
}

// Assignment tells a mover to follow one link. It ends when its context is cancelled, or for good at halt.
type Assignment struct {
	Link Link
	// Epoch is the role epoch under which the link was assigned. The mover uses it as its fencing token
	// in the engine and never changes it.
	Epoch RoleEpoch
	// Lease bounds every request of the mover.
	Lease Lease
	// Frozen says, whenever asked, that an operation has frozen what is not data: the mover stops copying
	// configuration and creating shards, and goes on with data and positions.
	Frozen func() bool
	// Reverse says that the link runs against the direction of the first protection or follows a takeover:
	// positions of consumers are set exactly, also backwards, once at the start.
	Reverse bool
	// Unsettled is until when requests of an earlier mover that was killed may still be applied at the target:
	// before it, the mover sends nothing that the engine cannot tell from a repetition. Zero when there was none.
	Unsettled time.Time
	// Kept is what the workload asked control to remember, as of the start of the assignment.
	Kept Keep
}

// Keep is the small memory a workload keeps in the journal: before-images and intended configuration,
// by name. Values are JSON documents owned by the workload.
type Keep map[string][]byte

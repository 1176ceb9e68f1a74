package understudy

import "time"

// FenceLevel says by what means nobody writes the old side.
type FenceLevel string

// The levels of the design, weakest first; FA stands beside them.
const (
	F0 FenceLevel = "F0" // none
	F1 FenceLevel = "F1" // routing cut
	F2 FenceLevel = "F2" // authorization: ACL, Ranger deny
	F3 FenceLevel = "F3" // engine: topic closed to appends, table read-only
	F4 FenceLevel = "F4" // network or keys revoked
	F5 FenceLevel = "F5" // cluster confirmed stopped
	FA FenceLevel = "FA" // a named person's word
)

// Rank orders the levels; FA ranks above F0 and below every proven level.
func (l FenceLevel) Rank() int {
	switch l {
	case FA:
		return 1
	case F1:
		return 2
	case F2:
		return 3
	case F3:
		return 4
	case F4:
		return 5
	case F5:
		return 6
	default:
		return 0
	}
}

// ProofKind says what a proof shows.
type ProofKind string

// The kinds of proof that control demands before it goes on.
const (
	// ProofFence shows that ordinary writers are refused on every shard of a site.
	ProofFence ProofKind = "fence"
	// ProofDrain shows that the target holds everything the fenced source holds.
	ProofDrain ProofKind = "drain"
	// ProofHalt shows that later writes of a link's mover would be refused at the target.
	ProofHalt ProofKind = "halt"
	// ProofOpen shows that a site takes writes: open on every shard, and one acknowledged write.
	ProofOpen ProofKind = "open"
	// ProofLevel shows that after an abort the source ends exactly where the halted target ends.
	ProofLevel ProofKind = "level"
	// ProofNeverEnabled shows that the new side never took an ordinary write.
	ProofNeverEnabled ProofKind = "never-enabled"
	// ProofLedger shows that the ledger is durable and counted against the positions it covers.
	ProofLedger ProofKind = "ledger"
	// ProofStaged shows that what a run staged at the target is what it captured at the source.
	ProofStaged ProofKind = "staged"
)

// Proof is evidence, gained by looking, that something holds. It ages.
type Proof struct {
	Kind ProofKind `json:"kind"`
	// Site is the site the proof is about: the fenced one, the opened one, or the halted link's target.
	Site Site `json:"site"`
	// Link is the halted or drained link; zero for proofs about a site.
	Link  *Link      `json:"link,omitempty"`
	Level FenceLevel `json:"level,omitempty"`
	// Epoch is the role epoch at which it was gained.
	Epoch RoleEpoch `json:"epoch"`
	At    time.Time `json:"at"`
	// Valid is how long the proof may be relied on.
	Valid time.Duration `json:"valid"`
	// Complete is true only when every shard was covered; Missing names the others.
	Complete bool     `json:"complete"`
	Missing  []string `json:"missing,omitempty"`
	// Means says how, for people: "bad-CRC probe as User:app refused with 10 on 12 of 12 partitions".
	Means string `json:"means"`
	// CouldPass names those the fence does not stop, such as super users.
	CouldPass []string `json:"couldPass,omitempty"`
}

// Holds says whether the proof is complete and still fresh. One from the future does not hold: the clock was set
// back, and its age is not known.
func (p Proof) Holds(now time.Time) bool {
	return p.Complete && !p.At.After(now) && (p.Valid == 0 || now.Before(p.At.Add(p.Valid)))
}

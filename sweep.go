package understudy

// Sweep is what a scheduled run does beyond copying what its source says has changed. A run may do several.
type Sweep string

// The sweeps.
const (
	// Relist reads the whole source although it could tell what changed, and finds what that does not show, such as changes of times alone.
	Relist Sweep = "relist"
	// Repair also reads the whole target, and puts right, path by path, what is not there as it was published.
	Repair Sweep = "repair"
)

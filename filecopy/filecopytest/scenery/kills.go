package scenery

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
)

// Names of what makes a test of kills longer, or repeats one.
const (
	killRuns = "UNDERSTUDY_KILLS"
	killSeed = "UNDERSTUDY_KILL_SEED"
)

// Kills says how often to kill, and by which random numbers: as often as the test does and by new ones, unless the environment says
// otherwise. It logs the seed, so that a run can be repeated.
func Kills(t testing.TB, kills int) (int, *rand.Rand) {
	t.Helper()
	seed := rand.Uint64()
	if n, err := strconv.Atoi(os.Getenv(killRuns)); err == nil {
		kills = n
	}
	if n, err := strconv.ParseUint(os.Getenv(killSeed), 10, 64); err == nil {
		seed = n
	}
	t.Logf("%s=%d", killSeed, seed)
	return kills, rand.New(rand.NewPCG(seed, 0))
}

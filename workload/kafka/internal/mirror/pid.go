package mirror

import (
	"fmt"
	"hash/crc32"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
)

// MaxEpoch is the highest role epoch a link may have: producer epochs end at 32767, and a broker gives an
// application of that epoch another producer id, which ours never gets.
const MaxEpoch understudy.RoleEpoch = 32000

// PID is the producer id of all data and markers that a link writes: one for each source cluster and link,
// the same for every mover of it.
func PID(sourceClusterID string, link understudy.Link) int64 {
	name := sourceClusterID + "\x00" + link.String()
	return cluster.PIDTag<<48 | int64(crc32.ChecksumIEEE([]byte(name)))<<16 | 1
}

// ProducerEpoch is the producer epoch of a role epoch. The error is US147 outside 0 to MaxEpoch.
func ProducerEpoch(e understudy.RoleEpoch) (int16, error) {
	if e < 0 || e > MaxEpoch {
		return 0, &understudy.Error{
			Code: "US147", Kind: understudy.KindInvalid, Op: "kafka.mirror",
			Summary: fmt.Sprintf("role epoch %d is outside 0 to %d", e, MaxEpoch),
			Why:     "the role epoch is the producer epoch that fences a mover, and Kafka's producer epochs end at 32767",
			Fix:     "unprotect and protect the workload again, under a new name",
		}
	}
	return int16(e), nil
}

package digest

import (
	"hash/crc32"

	"github.com/understudy-dr/understudy/workload/kafka/internal/batch"
)

func crcOf(b batch.Batch) uint32 { return crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli)) }

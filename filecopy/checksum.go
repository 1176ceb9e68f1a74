package filecopy

import (
	"fmt"
	"hash/crc32"
)

// Checksum is the CRC32C (Castagnoli) of a whole file: the one checksum of this product. It equals the COMPOSITE_CRC of
// HDFS and the FULL_OBJECT CRC32C of S3. The zero value means that none is known.
type Checksum struct {
	CRC32C uint32
	Known  bool
}

// SumOf gives a known checksum.
func SumOf(crc uint32) Checksum { return Checksum{CRC32C: crc, Known: true} }

// String gives eight hex digits, or "unknown".
func (c Checksum) String() string {
	if !c.Known {
		return "unknown"
	}
	return fmt.Sprintf("%08x", c.CRC32C)
}

// Extend gives the checksum of what was summed and p after it; the unknown checksum stands for no bytes.
func (c Checksum) Extend(p []byte) Checksum {
	return SumOf(crc32.Update(c.CRC32C, crc32.MakeTable(crc32.Castagnoli), p))
}

// Append gives the checksum of what was summed and then length bytes with the given checksum, without those bytes: CRC is
// linear, so length zero bytes are a product of matrices over GF(2).
func (c Checksum) Append(next Checksum, length int64) Checksum {
	if length <= 0 {
		return SumOf(c.CRC32C)
	}
	var odd, even [32]uint32
	odd[0] = crc32.Castagnoli
	for n := 1; n < 32; n++ {
		odd[n] = 1 << (n - 1)
	}
	square(&even, &odd)
	square(&odd, &even)
	crc := c.CRC32C
	for from, to := &odd, &even; length > 0; from, to = to, from {
		square(to, from)
		if length&1 != 0 {
			crc = times(to, crc)
		}
		length >>= 1
	}
	return SumOf(crc ^ next.CRC32C)
}

// times multiplies a matrix with a vector over GF(2).
func times(m *[32]uint32, v uint32) uint32 {
	var sum uint32
	for i := 0; v != 0; i, v = i+1, v>>1 {
		if v&1 != 0 {
			sum ^= m[i]
		}
	}
	return sum
}

// square multiplies a matrix with itself.
func square(to, m *[32]uint32) {
	for i := range m {
		to[i] = times(m, m[i])
	}
}

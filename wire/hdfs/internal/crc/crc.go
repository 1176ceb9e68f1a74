// Package crc computes CRC32C and joins the sums of pieces to the sum of the whole.
// It knows polynomials and nothing of files.
package crc

import "hash/crc32"

// poly is Castagnoli's polynomial, with the lowest power in the highest bit.
const poly = 0x82F63B78

// one is the polynomial 1 in that order of bits.
const one = uint32(1) << 31

// Sum gives the CRC32C of b.
func Sum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// Update gives the CRC32C of what had the sum c, followed by b.
func Update(c uint32, b []byte) uint32 { return crc32.Update(c, crc32.MakeTable(crc32.Castagnoli), b) }

// Combine gives the CRC32C of A followed by B from those of A and B and the length of B in bytes.
// A CRC is the remainder of a division: the remainder of A moves up by as many places as B is long.
func Combine(a, b uint32, lenB int64) uint32 { return multiply(shift(lenB), a) ^ b }

// shift gives x to the power of 8 n, modulo the polynomial, by squaring.
func shift(n int64) uint32 {
	result, square := one, one>>8
	for ; n > 0; n >>= 1 {
		if n&1 != 0 {
			result = multiply(result, square)
		}
		square = multiply(square, square)
	}
	return result
}

// multiply gives a times b modulo the polynomial.
func multiply(a, b uint32) uint32 {
	var product uint32
	for ; a != 0; a <<= 1 {
		if a&one != 0 {
			product ^= b
		}
		b = divide(b)
	}
	return product
}

// divide moves a polynomial up by one power.
func divide(b uint32) uint32 {
	if b&1 != 0 {
		return b>>1 ^ poly
	}
	return b >> 1
}

// Joiner joins the sums of pieces of one fixed length with four table look-ups a piece. It may be shared.
type Joiner struct {
	size  int
	table [4][256]uint32
}

// NewJoiner makes a Joiner for pieces of size bytes.
func NewJoiner(size int) *Joiner {
	j := &Joiner{size: size}
	factor := shift(int64(size))
	for i := range j.table {
		for v := range j.table[i] {
			j.table[i][v] = multiply(factor, uint32(v)<<(8*i))
		}
	}
	return j
}

// Size is the length of a piece in bytes.
func (j *Joiner) Size() int { return j.size }

// Join gives the sum of what had the sum a, followed by a piece with the sum b.
func (j *Joiner) Join(a, b uint32) uint32 {
	return j.table[0][a&0xff] ^ j.table[1][a>>8&0xff] ^ j.table[2][a>>16&0xff] ^ j.table[3][a>>24] ^ b
}

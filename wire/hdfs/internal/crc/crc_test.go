package crc

import (
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

func TestSumsOfPiecesAreTheSumOfTheWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		whole := rapid.SliceOfN(rapid.Byte(), 0, 3000).Draw(t, "whole")
		cut := rapid.IntRange(0, len(whole)).Draw(t, "cut")
		a, b := whole[:cut], whole[cut:]
		if got, want := Combine(Sum(a), Sum(b), int64(len(b))), Sum(whole); got != want {
			t.Fatalf("joined at %d of %d: %08x, whole %08x", cut, len(whole), got, want)
		}
	})
}

func TestJoinerAgreesWithCombine(t *testing.T) {
	for _, size := range []int{1, 512, 4096, 65536} {
		j := NewJoiner(size)
		for range 100 {
			a, b := rand.Uint32(), rand.Uint32()
			if got, want := j.Join(a, b), Combine(a, b, int64(size)); got != want {
				t.Fatalf("pieces of %d: %08x, want %08x", size, got, want)
			}
		}
	}
}

// The check value of CRC32C is the sum of the nine digits (RFC 3720, and every catalogue of CRCs).
func TestCheckValue(t *testing.T) {
	if got := Combine(Sum([]byte("12345")), Sum([]byte("6789")), 4); got != 0xE3069283 {
		t.Fatalf("sum of the digits: %08x", got)
	}
}

func BenchmarkJoin(b *testing.B) {
	j := NewJoiner(512)
	var sum uint32
	for i := range b.N {
		sum = j.Join(sum, uint32(i))
	}
	_ = sum
}

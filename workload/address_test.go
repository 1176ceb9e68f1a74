package workload_test

import (
	"testing"

	"github.com/understudy-dr/understudy/workload"
)

func TestIsAddress(t *testing.T) {
	for text, want := range map[string]bool{
		"kafka-1:9092": true, "10.0.0.1:1": true, "[::1]:9092": true, "kafka-1:65535": true,
		"": false, "kafka-1": false, "kafka-1:": false, ":9092": false, "kafka-1:0": false, "kafka-1:65536": false,
		"kafka-1:kafka": false, "::1:9092": false, "kafka-1:9092:1": false, "kafka-1:+9092": false, "kafka-1:9092 ": false,
	} {
		if got := workload.IsAddress(text); got != want {
			t.Errorf("%q: %t", text, got)
		}
	}
}

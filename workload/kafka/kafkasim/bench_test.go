package kafkasim

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// BenchmarkProduce writes 1 KB records through one ordinary client.
func BenchmarkProduce(b *testing.B) {
	c, err := Start(Options{Topics: map[string]int32{"orders": 4}})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.Addr()), kgo.DefaultProduceTopic("orders"), kgo.DisableClientMetrics())
	if err != nil {
		b.Fatal(err)
	}
	defer cl.Close()
	value := make([]byte, 1024)
	b.SetBytes(1024)
	for b.Loop() {
		cl.Produce(b.Context(), &kgo.Record{Value: value}, nil)
	}
	if err := cl.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkMarkers writes transaction markers, a thousand a request.
func BenchmarkMarkers(b *testing.B) {
	c, err := Start(Options{Topics: map[string]int32{"orders": 1}})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	a := connect(b.Context(), Target{Addr: c.Addr()}, "")
	defer a.close()
	a.topic = "orders"
	for b.Loop() {
		a.markers(crafted, 0, 0, 1000)
	}
	if a.err != nil {
		b.Fatal(a.err)
	}
}

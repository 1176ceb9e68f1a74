package hdfs_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	labhdfs "github.com/understudy-dr/understudy/lab/hdfs"
	"github.com/understudy-dr/understudy/wire/hdfs"
)

// fast starts a cluster whose servers may use all of their compiler, and gives a place on it.
func fast(b *testing.B) place {
	b.Helper()
	cluster := labhdfs.Boot(b, labhdfs.Options{Name: "fast", DataNodes: 2, HeapMB: 512, Optimise: true})
	p := place{TB: b, cluster: cluster, dir: "/bench"}
	p.Client = dial(b, hdfs.Options{NameNodes: cluster.Addrs()})
	must(b, p.Mkdirs(b.Context(), p.dir, 0o755))
	return p
}

// cpu is what this process has used so far.
func cpu() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// spread does n things from many goroutines.
func spread(n, workers int, do func(i int)) {
	var next atomic.Int64
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for i := int(next.Add(1)); i <= n; i = int(next.Add(1)) {
				do(i)
			}
		})
	}
	group.Wait()
}

func BenchmarkClient(b *testing.B) {
	p := fast(b)
	b.Run("stat", p.benchStat)
	b.Run("list", p.benchList)
	b.Run("small", p.benchSmall)
	b.Run("large", p.benchLarge)
}

// benchStat asks for one path from 64 callers over one connection.
func (p place) benchStat(b *testing.B) {
	begin, used := time.Now(), cpu()
	spread(b.N, 64, func(int) { _, _ = p.Stat(b.Context(), p.dir) })
	b.ReportMetric(float64(b.N)/time.Since(begin).Seconds(), "calls/s")
	b.ReportMetric(float64((cpu()-used).Nanoseconds())/float64(b.N), "cpu-ns/call")
}

// benchList lists a folder of 10,000 files, with locations, from 4 callers.
func (p place) benchList(b *testing.B) {
	const files = 10000
	dir := p.at("list")
	if page, err := p.List(b.Context(), dir, hdfs.ListOptions{}); err != nil || len(page.Entries)+page.Remaining < files {
		spread(files, 64, func(i int) { p.write(fmt.Sprintf("list/f%06d", i), nil, hdfs.CreateOptions{Overwrite: true}) })
	}
	b.ResetTimer()
	begin, used := time.Now(), cpu()
	var entries atomic.Int64
	spread(b.N, 4, func(int) {
		for _, err := range p.Entries(b.Context(), dir, hdfs.ListOptions{Locations: true}) {
			must(b, err)
			entries.Add(1)
		}
	})
	b.ReportMetric(float64(entries.Load())/time.Since(begin).Seconds(), "entries/s")
	b.ReportMetric(float64((cpu()-used).Nanoseconds())/float64(entries.Load()), "cpu-ns/entry")
}

// benchSmall copies files of 4 KiB from 16 workers.
func (p place) benchSmall(b *testing.B) {
	p.write("small", random(1, 4096), hdfs.CreateOptions{Overwrite: true})
	from, err := p.List(b.Context(), p.at("small"), hdfs.ListOptions{Locations: true})
	must(b, err)
	b.ResetTimer()
	begin, used, calls := time.Now(), cpu(), p.Calls()
	spread(b.N, 16, func(i int) { p.copied(b, &from.Entries[0], p.at(fmt.Sprint("c", i))) })
	b.ReportMetric(float64(b.N)/time.Since(begin).Seconds(), "files/s")
	b.ReportMetric(float64((cpu()-used).Microseconds())/float64(b.N), "cpu-us/file")
	b.ReportMetric(float64(p.Calls()-calls)/float64(b.N), "calls/file")
}

// benchLarge copies a file of 256 MiB.
func (p place) benchLarge(b *testing.B) {
	const size = 256 << 20
	p.write("large", random(2, size), hdfs.CreateOptions{Overwrite: true})
	from, err := p.List(b.Context(), p.at("large"), hdfs.ListOptions{Locations: true})
	must(b, err)
	b.SetBytes(size)
	b.ResetTimer()
	used := cpu()
	for range b.N {
		p.copied(b, &from.Entries[0], p.at("to"))
	}
	b.ReportMetric((cpu()-used).Seconds()*1000/float64(b.N)/(size>>20), "cpu-ms/MiB")
}

// copied copies one file packet by packet.
func (p place) copied(b *testing.B, from *hdfs.FileInfo, to string) {
	r, err := p.OpenInfo(b.Context(), from)
	must(b, err)
	defer r.Close()
	w, err := p.Create(b.Context(), to, hdfs.CreateOptions{Overwrite: true})
	must(b, err)
	must(b, relay(r, w))
	must(b, w.Close())
}

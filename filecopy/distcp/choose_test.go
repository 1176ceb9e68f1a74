package distcp

import (
	"strings"
	"testing"
	"time"
)

func TestChoose(t *testing.T) {
	const gb = 1 << 30
	for _, c := range []struct {
		name string
		q    Question
		want Engine
		says string
	}{
		{"the plan", Question{Wanted: Native, Files: 1 << 30, Bytes: 1 << 60}, Native, "plan says native"},
		{"the plan, small", Question{Wanted: DistCp, Files: 1, Bytes: 1}, DistCp, "plan says distcp"},
		{"the plan, nothing", Question{Wanted: DistCp}, Native, "no file"},
		{"nothing", Question{}, Native, "not worth"},
		{"small", Question{Files: 1000, Bytes: gb}, Native, "below 10m0s"},
		{"large", Question{Files: 10_000, Bytes: 5000 * gb}, DistCp, "20 maps about 1h26m"},
		{"large, thin link", Question{Files: 10_000, Bytes: 5000 * gb, Link: 50 << 20}, Native, "the link is the limit"},
		{"large, wide link", Question{Files: 10_000, Bytes: 5000 * gb, Link: 10 * gb}, DistCp, "20 maps"},
		{"many small", Question{Files: 10_000_000, Bytes: 40 * gb}, Native, "not clearly faster"},
		{"many small, many maps", Question{Files: 10_000_000, Bytes: 40 * gb, Maps: 200}, DistCp, "200 maps"},
		{"in a hurry", Question{Files: 100, Bytes: 50 * gb, Least: time.Minute}, DistCp, "maps"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, why := Choose(c.q); got != c.want || !strings.Contains(why, c.says) {
				t.Errorf("%s: %s", got, why)
			}
		})
	}
}

package digest

import "sort"

// differ notes one offset, as part of the range before it where it continues that.
func (c *comparison) differ(offset int64, text string) {
	if n := len(c.found); n > 0 {
		if r := &c.found[n-1]; r.Text == text && offset >= r.Last && offset-r.Last <= 1 {
			r.Last = offset
			r.Records++
			return
		}
	}
	if len(c.found) >= maxDifferences {
		c.res.More++
		return
	}
	c.found = append(c.found, Range{First: offset, Last: offset, Records: 1, Text: text})
}

// finish lists what nothing excused, in order.
func (c *comparison) finish() {
	for s := range c.lacks {
		var at []int64
		for _, list := range c.lacks[s] {
			for _, p := range list {
				at = append(at, p.offset)
			}
		}
		sort.Slice(at, func(i, j int) bool { return at[i] < at[j] })
		for _, o := range at {
			c.differ(o, "only on "+c.sides[1-s].side.Name+", and nothing later has its key on "+c.sides[s].side.Name)
		}
	}
	sort.SliceStable(c.found, func(i, j int) bool { return c.found[i].First < c.found[j].First })
	c.res.Differences = c.found
}

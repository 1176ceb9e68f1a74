package azure

import "time"

// At lets the keys go by a clock of the test's.
func (c *Clients[C]) At(now func() time.Time) { c.now = now }

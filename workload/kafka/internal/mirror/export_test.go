package mirror

// AllReturned says whether all memory of the budgets was given back.
func (m *Mirror) AllReturned() bool { return m.budget.empty() && m.workshop.memory.empty() }

// Unbounded lets batches be taken apart in as much memory as they want.
func (m *Mirror) Unbounded() { m.workshop.memory = newBudget(1 << 40) }

// Full says that all memory to take batches apart in is taken.
func (m *Mirror) Full() bool {
	if m.workshop.memory.sem.TryAcquire(1) {
		m.workshop.memory.sem.Release(1)
		return false
	}
	return true
}

func (b *budget) empty() bool {
	if !b.sem.TryAcquire(b.size) {
		return false
	}
	b.sem.Release(b.size)
	return true
}

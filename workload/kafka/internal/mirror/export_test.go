package mirror

// AllReturned says whether all memory of the budget was given back.
func (m *Mirror) AllReturned() bool {
	if !m.budget.sem.TryAcquire(m.budget.size) {
		return false
	}
	m.budget.sem.Release(m.budget.size)
	return true
}

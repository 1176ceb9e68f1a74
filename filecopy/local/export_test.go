package local

// Reached has a store call f right before each call of the kernel that changes what readers see.
func Reached(s *Store, f func(call string)) { s.reached = f }

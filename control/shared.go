package control

import (
	"crypto/rand"
	"strings"
	"sync"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
)

// signal wakes everyone who waits, again and again. The zero value is ready.
type signal struct {
	mu sync.Mutex
	ch chan struct{}
}

// wait gives a channel that is closed at the next fire.
func (s *signal) wait() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch == nil {
		s.ch = make(chan struct{})
	}
	return s.ch
}

// fire wakes all waiters.
func (s *signal) fire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch != nil {
		close(s.ch)
		s.ch = nil
	}
}

// keyedLocks is one mutex per name. The zero value is ready.
type keyedLocks struct {
	mu    sync.Mutex
	locks map[string]*sync.Mutex
}

// lock takes the name's mutex, and gives what releases it.
func (k *keyedLocks) lock(name string) func() {
	k.mu.Lock()
	if k.locks == nil {
		k.locks = map[string]*sync.Mutex{}
	}
	l := k.locks[name]
	if l == nil {
		l = &sync.Mutex{}
		k.locks[name] = l
	}
	k.mu.Unlock()
	l.Lock()
	return l.Unlock
}

// seen keeps the newest observation of each workload. The zero value is ready.
type seen struct {
	mu  sync.Mutex
	obs map[understudy.Object]workload.Observation
}

func (s *seen) put(o understudy.Object, obs workload.Observation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.obs == nil {
		s.obs = map[understudy.Object]workload.Observation{}
	}
	s.obs[o] = obs
}

func (s *seen) get(o understudy.Object) (workload.Observation, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	obs, ok := s.obs[o]
	return obs, ok
}

// forget drops all observations: the sites may lie elsewhere from now on.
func (s *seen) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.obs = nil
}

// randomName gives n letters and digits that nobody has used before.
func randomName(n int) string { return strings.ToLower(rand.Text())[:n] }

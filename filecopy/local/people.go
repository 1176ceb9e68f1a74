package local

import (
	"fmt"
	"os/user"
	"strconv"
	"sync"

	"github.com/understudy-dr/understudy"
)

// people knows names of users and groups, and asks the system for each once. Ids without a name go by their number.
type people struct {
	mu     sync.Mutex
	users  map[uint32]string
	groups map[uint32]string
	uids   map[string]int
	gids   map[string]int
}

func newPeople() *people {
	return &people{users: map[uint32]string{}, groups: map[uint32]string{}, uids: map[string]int{}, gids: map[string]int{}}
}

func (p *people) user(id uint32) string {
	return remember(&p.mu, p.users, id, func() string {
		number := strconv.FormatUint(uint64(id), 10)
		if u, err := user.LookupId(number); err == nil {
			return u.Username
		}
		return number
	})
}

func (p *people) group(id uint32) string {
	return remember(&p.mu, p.groups, id, func() string {
		number := strconv.FormatUint(uint64(id), 10)
		if g, err := user.LookupGroupId(number); err == nil {
			return g.Name
		}
		return number
	})
}

// uid gives the id of a user; -1, which changes nothing, for the empty name.
func (p *people) uid(name string) (int, error) {
	id := remember(&p.mu, p.uids, name, func() int {
		if u, err := user.Lookup(name); err == nil {
			return number(u.Uid)
		}
		return number(name)
	})
	return known(id, name, "user")
}

// gid gives the id of a group.
func (p *people) gid(name string) (int, error) {
	id := remember(&p.mu, p.gids, name, func() int {
		if g, err := user.LookupGroup(name); err == nil {
			return number(g.Gid)
		}
		return number(name)
	})
	return known(id, name, "group")
}

func number(s string) int {
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return -1
	}
	return int(n)
}

func known(id int, name, kind string) (int, error) {
	if id >= 0 || name == "" {
		return id, nil
	}
	return id, &understudy.Error{
		Code: "US617", Kind: understudy.KindInvalid, Op: "filecopy.attributes",
		Summary: fmt.Sprintf("the %s %q does not exist on this machine", kind, name), Fix: "make it, or map it to another one in the plan",
	}
}

func remember[K comparable, V any](mu *sync.Mutex, known map[K]V, key K, ask func() V) V {
	mu.Lock()
	defer mu.Unlock()
	if v, ok := known[key]; ok {
		return v
	}
	v := ask()
	known[key] = v
	return v
}

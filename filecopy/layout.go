package filecopy

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"
)

// maxTwins is how many things of one path one quarantine may hold.
const maxTwins = 1000

// Layout says where a tree, and what is the mover's own, lie in one space of names: a bucket, a container, a file system.
type Layout struct {
	// Root and Area have no slash at either end; an empty root is the whole space.
	Root string
	Area string
}

// LayOut gives the layout of a root and an area; an empty area is ".NAME.understudy" beside the root. The area must be outside of the tree,
// unless that is the whole space: then the area's names belong to no tree. fits says what may be a name there.
func LayOut(root, area string, fits func(name string) bool) (Layout, error) {
	l := Layout{Root: strings.Trim(root, "/"), Area: strings.Trim(area, "/")}
	switch {
	case l.Area == "" && l.Root == "":
		l.Area = ".understudy"
	case l.Area == "":
		l.Area = path.Join(path.Dir("/"+l.Root), "."+path.Base("/"+l.Root)+".understudy")[1:]
	}
	for _, p := range []string{l.Root, l.Area} {
		if Path(p).Check() != nil || !fits(p) {
			return l, fmt.Errorf("%q cannot be where a tree or the mover's area lies", p)
		}
	}
	if l.Root != "" && Path(l.Area).Below(Path(l.Root)) || Path(l.Root).Below(Path(l.Area)) {
		return l, fmt.Errorf("the mover's area must be outside of the tree, not %q", l.Area)
	}
	return l, nil
}

// Name gives the name of a path of the tree.
func (l Layout) Name(p Path) string {
	if p == "" {
		return l.Root
	}
	return string(Path(l.Root).Join(string(p)))
}

// Below gives the prefix of all names below a path.
func (l Layout) Below(p Path) string {
	if name := l.Name(p); name != "" {
		return name + "/"
	}
	return ""
}

// Inner gives what a name of the tree is below the root.
func (l Layout) Inner(name string) string {
	if l.Root == "" {
		return name
	}
	return strings.TrimPrefix(name, l.Root+"/")
}

// Ours says whether a name lies in the mover's area.
func (l Layout) Ours(name string) bool { return Path(name).Below(Path(l.Area)) }

// Place gives a name in the area.
func (l Layout) Place(elements ...string) string { return l.Area + "/" + strings.Join(elements, "/") }

// CheckOwn refuses a name that would leave the area, or that a handle could not hold between its marks: ErrName.
func CheckOwn(name string) error {
	if name == "" || Path(name).Check() != nil || strings.Contains(name, "~") {
		return fmt.Errorf("%w: %q cannot be used in the mover's area", ErrName, name)
	}
	return nil
}

// CheckRetired refuses what cannot go into a quarantine: ErrName.
func CheckRetired(p Path, quarantine string) error {
	if err := CheckOwn(quarantine); err != nil {
		return err
	}
	if p == "" || p.Check() != nil {
		return fmt.Errorf("%w: %q cannot be retired", ErrName, string(p))
	}
	return nil
}

// NewID makes up 24 letters and digits that nobody else has.
func NewID() string {
	random := make([]byte, 12)
	// It gives no error: without randomness the program ends.
	_, _ = rand.Read(random)
	return hex.EncodeToString(random)
}

// Twins offers one place after another for a path in a quarantine, until one is taken.
func Twins(to string, take func(free string) (taken bool, err error)) error {
	for twin := range maxTwins {
		free := to
		if twin > 0 {
			free = fmt.Sprintf("%s.%d", to, twin)
		}
		if taken, err := take(free); taken || err != nil {
			return err
		}
	}
	return fmt.Errorf("the quarantine holds %d things at %q already", maxTwins, to)
}

// Outdated gives the quarantines of the given names, but for those made before a moment, which it removes; the zero moment removes none.
func Outdated(names []string, before time.Time, remove func(name string) error) ([]Quarantine, error) {
	var kept []Quarantine
	for _, name := range names {
		made, err := QuarantineMade(name)
		if err != nil || before.IsZero() || !made.Before(before) {
			kept = append(kept, Quarantine{Name: name, Made: made})
			continue
		}
		if err := remove(name); err != nil {
			return nil, err
		}
	}
	return kept, nil
}

// AbsentIsFine takes what is not there as removed.
func AbsentIsFine(err error) error {
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

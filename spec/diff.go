package spec

import (
	"fmt"
	"slices"
	"strings"
)

// Change is one difference between two sets.
type Change struct {
	Document Ref `json:"document"`
	// Path is the place within the document, such as "workloads.orders.objective.rpo"; empty when the whole
	// document was added or removed. Workloads are found by name, not by number.
	Path string `json:"path,omitempty"`
	// Action is added, removed or changed.
	Action string `json:"action"`
	// Old and New are the canonical values; Old is empty for added ones, New for removed ones.
	Old string `json:"old,omitempty"`
	New string `json:"new,omitempty"`
}

// String gives the change on one line, such as "~ plan contoso: workloads.orders.objective.rpo: 30s -> 1m".
func (c Change) String() string {
	place := c.Document.String()
	if c.Path != "" {
		place += ": " + c.Path
	}
	switch c.Action {
	case "added":
		return strings.TrimSuffix("+ "+place+": "+c.New, ": ")
	case "removed":
		return strings.TrimSuffix("- "+place+": "+c.Old, ": ")
	default:
		return fmt.Sprintf("~ %s: %s -> %s", place, c.Old, c.New)
	}
}

// Diff lists what makes the new set of the old one, by document and then in the order of the file. Equal sets have
// no changes, however their files look.
func Diff(old, new Set) []Change {
	var changes []Change
	for _, d := range old.docs {
		if !slices.ContainsFunc(new.docs, func(o *document) bool { return o.ref == d.ref }) {
			changes = append(changes, Change{Document: d.ref, Action: "removed"})
		}
	}
	for _, d := range new.docs {
		i := slices.IndexFunc(old.docs, func(o *document) bool { return o.ref == d.ref })
		if i < 0 {
			changes = append(changes, Change{Document: d.ref, Action: "added"})
			continue
		}
		changes = append(changes, compare(d.ref, "", old.docs[i].tree(), d.tree())...)
	}
	return changes
}

// compare walks two trees of the same place.
func compare(ref Ref, path string, old, now tree) []Change {
	old, now = byName(old), byName(now)
	if old.shape != mapShape || now.shape != mapShape {
		if a, b := old.line(), now.line(); a != b {
			return []Change{{Document: ref, Path: path, Action: "changed", Old: a, New: b}}
		}
		return nil
	}
	var changes []Change
	for i, key := range old.keys {
		if !slices.Contains(now.keys, key) {
			changes = append(changes, Change{Document: ref, Path: join(path, key), Action: "removed", Old: old.values[i].line()})
		}
	}
	for i, key := range now.keys {
		j := slices.Index(old.keys, key)
		if j < 0 {
			changes = append(changes, Change{Document: ref, Path: join(path, key), Action: "added", New: now.values[i].line()})
			continue
		}
		changes = append(changes, compare(ref, join(path, key), old.values[j], now.values[i])...)
	}
	if len(changes) == 0 && path == "workloads" && !slices.Equal(old.keys, now.keys) {
		changes = append(changes, Change{Document: ref, Path: path, Action: "changed", Old: strings.Join(old.keys, ", "), New: strings.Join(now.keys, ", ")})
	}
	return changes
}

// byName turns a list of things that have names into a mapping by these.
func byName(t tree) tree {
	if t.shape != listShape || len(t.list) == 0 {
		return t
	}
	out := tree{shape: mapShape}
	for _, item := range t.list {
		i := slices.Index(item.keys, "name")
		if i < 0 || slices.Contains(out.keys, item.values[i].scalar) {
			return t
		}
		out.set(item.values[i].scalar, item)
	}
	return out
}

// line gives a tree on one line, in YAML's flow form.
func (t tree) line() string {
	switch t.shape {
	case listShape:
		items := make([]string, len(t.list))
		for i, v := range t.list {
			items[i] = v.line()
		}
		return "[" + strings.Join(items, ", ") + "]"
	case mapShape:
		items := make([]string, len(t.keys))
		for i, k := range t.keys {
			items[i] = quote(k) + ": " + t.values[i].line()
		}
		return "{" + strings.Join(items, ", ") + "}"
	default:
		return t.inline()
	}
}

package native

import (
	"encoding/binary"
	"errors"

	"github.com/understudy-dr/understudy/filecopy"
)

// op is what is to be done with a path.
type op uint8

// The ops of a plan. Manifests hold items without one.
const (
	opNone op = iota
	// opMake makes a directory or a link.
	opMake
	// opCopy stages and publishes a file.
	opCopy
	// opStyle sets attributes.
	opStyle
	// opKeep changes nothing at the target: only the manifest learns something, such as the source's new version.
	opKeep
	// opRetire takes the path, with all below, into the quarantine.
	opRetire
	// opMove renames From to Path.
	opMove
	// opSkip is a file that vanished from a live source after it was listed: the set is made as if it had not been looked at.
	opSkip
)

// item is one line of a listing, a plan, a ready set or a manifest: all of them are sorted by path and share one format.
type item struct {
	// Entry is as the source showed it, with the source's own names; Sum is set in manifests.
	filecopy.Entry
	Op op
	// Gone says that the path is not in the set: a tombstone over older layers.
	Gone bool
	// First says that the item stands in the way of what comes at its path, and has to go before the files of the set.
	First bool
	// Deep says that all below the path is meant too.
	Deep bool
	// Set are the attributes that opStyle sets.
	Set filecopy.Fields
	// TargetVersion is the entry's version at the target once it is published.
	TargetVersion string
	// Inherits says that the storage policy comes from the directory above: the target gets none of its own.
	Inherits bool
	// From is where opMove comes from.
	From filecopy.Path
	// Expect is what the content must be, when it is known from before: a source that gives other bytes under the same version has rotted.
	Expect filecopy.Checksum
	// Before is one more than the size of the file that the published set has at the path; zero when it has none.
	Before int64
	// Sealed is what is staged.
	Sealed filecopy.Sealed
	// fix is what the item changes in the account of the set, inNew says that a file belongs to a new directory, and was not begun yet, and
	// vanished that only the older of two listings shows the entry; they live in memory only.
	fix             correction
	inNew, vanished bool
}

// fields that are present in an encoded item.
const (
	hasSum = 1 << iota
	hasExpect
	hasACL
	hasXattrs
	hasSealed
	hasGone
	hasFirst
	hasDeep
	hasBuilding
	hasRare
	hasInherits
)

var errMalformed = errors.New("malformed record")

// appendItem encodes an item.
func appendItem(b []byte, it *item) []byte {
	flags := flagsOf(it)
	b = binary.AppendUvarint(b, flags)
	b = append(b, byte(it.Op), byte(it.Kind))
	b = appendString(b, string(it.Path))
	b = binary.AppendVarint(b, it.Size)
	b = appendString(b, it.Version)
	b = appendString(b, it.TargetVersion)
	b = appendString(b, it.Owner)
	b = appendString(b, it.Group)
	b = binary.AppendUvarint(b, uint64(it.Mode))
	b = binary.AppendVarint(b, it.Modified)
	b = binary.AppendVarint(b, it.Accessed)
	b = appendSums(b, it, flags)
	if flags&hasACL != 0 {
		b = binary.AppendUvarint(b, uint64(len(it.ACL)))
		for _, a := range it.ACL {
			b = appendString(b, a)
		}
	}
	if flags&hasXattrs != 0 {
		b = binary.AppendUvarint(b, uint64(len(it.Xattrs)))
		for _, x := range it.Xattrs {
			b = appendString(appendString(b, x.Name), string(x.Value))
		}
	}
	if flags&hasSealed != 0 {
		b = appendSealed(b, it.Sealed)
	}
	if flags&hasRare != 0 {
		b = appendRare(b, it)
	}
	return b
}

func flagsOf(it *item) uint64 {
	var f uint64
	set := func(on bool, bit uint64) {
		if on {
			f |= bit
		}
	}
	set(it.Sum.Known, hasSum)
	set(it.Expect.Known, hasExpect)
	set(len(it.ACL) > 0, hasACL)
	set(len(it.Xattrs) > 0, hasXattrs)
	set(it.Sealed != filecopy.Sealed{}, hasSealed)
	set(it.Gone, hasGone)
	set(it.First, hasFirst)
	set(it.Deep, hasDeep)
	set(it.Building, hasBuilding)
	set(it.Inherits, hasInherits)
	set(it.Replication != 0 || it.BlockSize != 0 || it.StoragePolicy != "" || it.Link != "" || it.From != "" || it.Set != 0 || it.Before != 0, hasRare)
	return f
}

func appendSums(b []byte, it *item, flags uint64) []byte {
	if flags&hasSum != 0 {
		b = binary.LittleEndian.AppendUint32(b, it.Sum.CRC32C)
	}
	if flags&hasExpect != 0 {
		b = binary.LittleEndian.AppendUint32(b, it.Expect.CRC32C)
	}
	return b
}

func appendSealed(b []byte, s filecopy.Sealed) []byte {
	b = appendString(appendString(b, string(s.Handle)), s.Identity)
	b = append(b, byte(s.Proof), bit(s.Sum.Known))
	return binary.LittleEndian.AppendUint32(b, s.Sum.CRC32C)
}

func appendRare(b []byte, it *item) []byte {
	b = binary.AppendUvarint(b, uint64(it.Replication))
	b = binary.AppendVarint(b, it.BlockSize)
	b = appendString(appendString(appendString(b, it.StoragePolicy), it.Link), string(it.From))
	b = binary.AppendUvarint(b, uint64(it.Set))
	return binary.AppendVarint(b, it.Before)
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func bit(on bool) byte {
	if on {
		return 1
	}
	return 0
}

// cursor reads what the append functions wrote. After the first malformed field all others are zero and bad is set.
type cursor struct {
	rest []byte
	bad  bool
}

func (c *cursor) take(n uint64) []byte {
	if n > uint64(len(c.rest)) {
		c.bad, c.rest = true, nil
		return nil
	}
	b := c.rest[:n]
	c.rest = c.rest[n:]
	return b
}

func (c *cursor) uvarint() uint64 {
	v, n := binary.Uvarint(c.rest)
	if n <= 0 {
		c.bad, c.rest = true, nil
		return 0
	}
	c.rest = c.rest[n:]
	return v
}

func (c *cursor) varint() int64 {
	v, n := binary.Varint(c.rest)
	if n <= 0 {
		c.bad, c.rest = true, nil
		return 0
	}
	c.rest = c.rest[n:]
	return v
}

func (c *cursor) byte() byte {
	if b := c.take(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

func (c *cursor) text() string { return string(c.take(c.uvarint())) }

func (c *cursor) sum() filecopy.Checksum {
	if b := c.take(4); len(b) == 4 {
		return filecopy.SumOf(binary.LittleEndian.Uint32(b))
	}
	return filecopy.Checksum{}
}

// readItem decodes one item from the cursor.
func readItem(c *cursor) (item, error) {
	var it item
	flags := c.uvarint()
	it.Op, it.Kind = op(c.byte()), filecopy.EntryKind(c.byte())
	it.Path = filecopy.Path(c.text())
	it.Size = c.varint()
	it.Version, it.TargetVersion = c.text(), c.text()
	it.Owner, it.Group = c.text(), c.text()
	it.Mode = uint32(c.uvarint())
	it.Modified, it.Accessed = c.varint(), c.varint()
	if flags&hasSum != 0 {
		it.Sum = c.sum()
	}
	if flags&hasExpect != 0 {
		it.Expect = c.sum()
	}
	c.readLists(&it, flags)
	if flags&hasSealed != 0 {
		it.Sealed = c.sealed()
	}
	it.Gone, it.First, it.Deep, it.Building = flags&hasGone != 0, flags&hasFirst != 0, flags&hasDeep != 0, flags&hasBuilding != 0
	it.Inherits = flags&hasInherits != 0
	if flags&hasRare != 0 {
		it.Replication = uint16(c.uvarint())
		it.BlockSize = c.varint()
		it.StoragePolicy, it.Link, it.From = c.text(), c.text(), filecopy.Path(c.text())
		it.Set = filecopy.Fields(c.uvarint())
		it.Before = c.varint()
	}
	if c.bad {
		return item{}, errMalformed
	}
	return it, nil
}

func (c *cursor) readLists(it *item, flags uint64) {
	if flags&hasACL != 0 {
		for n := c.uvarint(); n > 0 && !c.bad; n-- {
			it.ACL = append(it.ACL, c.text())
		}
	}
	if flags&hasXattrs != 0 {
		for n := c.uvarint(); n > 0 && !c.bad; n-- {
			it.Xattrs = append(it.Xattrs, filecopy.Xattr{Name: c.text(), Value: []byte(c.text())})
		}
	}
}

func (c *cursor) sealed() filecopy.Sealed {
	s := filecopy.Sealed{Handle: filecopy.Handle(c.text()), Identity: c.text()}
	s.Proof = filecopy.Proof(c.byte())
	known := c.byte() == 1
	if s.Sum = c.sum(); !known {
		s.Sum = filecopy.Checksum{}
	}
	return s
}

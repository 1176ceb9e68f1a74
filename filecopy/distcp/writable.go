package distcp

import (
	"encoding/binary"
	"encoding/xml"
	"io"
	"slices"
	"strings"

	"github.com/understudy-dr/understudy/filecopy"
)

// The forms of Hadoop's files: Writable, SequenceFile (version 6, uncompressed), CopyListingFileStatus (Hadoop 3), JobSplit and
// SplitMetaInfo, and Configuration.

// appendVarint appends a number as WritableUtils.writeVLong does.
func appendVarint(b []byte, v int64) []byte {
	if v >= -112 && v <= 127 {
		return append(b, byte(v))
	}
	mark := -112
	if v < 0 {
		v = ^v
		mark = -120
	}
	n := 0
	for rest := v; rest != 0; rest >>= 8 {
		n++
	}
	b = append(b, byte(mark-n))
	for i := n - 1; i >= 0; i-- {
		b = append(b, byte(v>>(8*i)))
	}
	return b
}

// appendText appends a string as Text.writeString does.
func appendText(b []byte, s string) []byte { return append(appendVarint(b, int64(len(s))), s...) }

func appendInt(b []byte, v int32) []byte  { return binary.BigEndian.AppendUint32(b, uint32(v)) }
func appendLong(b []byte, v int64) []byte { return binary.BigEndian.AppendUint64(b, uint64(v)) }

// appendStatus appends a CopyListingFileStatus of a file at a URL: what a map needs to know of it, and no attribute that is not its matter.
func appendStatus(b []byte, url string, e filecopy.Entry) []byte {
	b = appendText(b, url)
	b = appendLong(b, e.Size)
	b = append(b, 0) // no directory
	b = binary.BigEndian.AppendUint16(b, e.Replication)
	b = appendLong(b, e.BlockSize)
	b = appendLong(b, e.Modified)
	b = appendLong(b, e.Accessed)
	b = binary.BigEndian.AppendUint16(b, uint16(e.Mode&0o777))
	b = appendText(appendText(b, e.Owner), e.Group)
	b = append(b, 0xff)  // -1: no ACL
	b = appendInt(b, -1) // no extended attributes
	b = appendLong(b, 0) // the chunk begins at the beginning
	return appendLong(b, e.Size)
}

// syncSize is that of the marks between records.
const syncSize = 16

// sequence writes a SequenceFile with a mark before every record, so that each may begin a split.
type sequence struct {
	to   io.Writer
	mark [syncSize]byte
	// size is how much was written.
	size   int64
	buffer []byte
}

func newSequence(to io.Writer, mark [syncSize]byte) (*sequence, error) {
	s := &sequence{to: to, mark: mark}
	b := append(s.buffer, "SEQ\x06"...)
	b = appendText(b, "org.apache.hadoop.io.Text")
	b = appendText(b, "org.apache.hadoop.tools.CopyListingFileStatus")
	b = append(b, 0, 0) // neither compressed nor in blocks
	b = appendInt(b, 0) // no metadata
	b = append(b, mark[:]...)
	return s, s.write(b)
}

func (s *sequence) write(b []byte) error {
	n, err := s.to.Write(b)
	s.size, s.buffer = s.size+int64(n), b[:0]
	return err
}

// add writes a record: where a file goes, below the target of the job, and what it is.
func (s *sequence) add(to, url string, e filecopy.Entry) error {
	b := appendInt(s.buffer, -1)
	b = append(b, s.mark[:]...)
	head := len(b)
	b = appendInt(appendInt(b, 0), 0)
	key := len(b)
	b = appendText(b, to)
	value := len(b)
	b = appendStatus(b, url, e)
	binary.BigEndian.PutUint32(b[head:], uint32(len(b)-key))
	binary.BigEndian.PutUint32(b[head+4:], uint32(value-key))
	return s.write(b)
}

// split is a piece of the listing: one map's work.
type split struct{ offset, length int64 }

// splits gives job.split and job.splitmetainfo for pieces of a listing.
func splits(listing string, all []split) (content, meta []byte) {
	content = appendInt([]byte("SPL"), 1)
	meta = appendVarint(appendVarint([]byte("META-SPL"), 1), int64(len(all)))
	for _, s := range all {
		meta = appendVarint(meta, 0) // no preferred hosts
		meta = appendVarint(appendVarint(meta, int64(len(content))), s.length)
		content = appendText(content, "org.apache.hadoop.mapreduce.lib.input.FileSplit")
		content = appendText(content, listing)
		content = appendLong(appendLong(content, s.offset), s.length)
	}
	return content, meta
}

// cutter cuts a listing into pieces of about equal weight.
type cutter struct {
	// share is the weight of one piece, most the highest number of them.
	share int64
	most  int
	begin int64
	sum   int64
	all   []split
}

// fileWeight is what a file costs beside its bytes.
const fileWeight = 1 << 20

func newCutter(files, bytes int64, most int) *cutter {
	most = max(1, most)
	return &cutter{share: (bytes + files*fileWeight + int64(most) - 1) / int64(most), most: most}
}

// file says that a file's record begins at the offset.
func (c *cutter) file(offset, size int64) {
	weight := size + fileWeight
	if c.sum > 0 && c.sum+weight > c.share && len(c.all) < c.most-1 {
		c.all = append(c.all, split{c.begin, offset - c.begin})
		c.begin, c.sum = offset, 0
	}
	c.sum += weight
}

// done gives the pieces of a listing of the given size.
func (c *cutter) done(size int64) []split {
	return append(c.all, split{c.begin, size - c.begin})
}

// configuration gives job.xml, with its properties sorted by name.
func configuration(p map[string]string) ([]byte, error) {
	type property struct {
		Name  string `xml:"name"`
		Value string `xml:"value"`
	}
	var doc struct {
		XMLName    xml.Name   `xml:"configuration"`
		Properties []property `xml:"property"`
	}
	for name, value := range p {
		doc.Properties = append(doc.Properties, property{name, value})
	}
	slices.SortFunc(doc.Properties, func(a, b property) int { return strings.Compare(a.Name, b.Name) })
	b, err := xml.Marshal(doc)
	return append([]byte(xml.Header), b...), err
}

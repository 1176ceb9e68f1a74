// Package digest compares the content of two logs that ought to hold the same records at the same offsets.
// It must not know clusters, topics or links: it reads pages of record batches from two sides, and says in
// which ranges they differ.
//
// What a reader does not see does not count: control records, aborted records, holes. Of a record everything
// counts that a reader sees: offset, timestamp, key, value and headers, with null and empty kept apart.
// The memory is bounded by the pages in hand and, on compacted topics, by the records that one side lacks.
package digest

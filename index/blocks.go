package index

import (
	"encoding/binary"
	"hash/crc32"
	"sync/atomic"
)

// What a search reads of a segment is checked as it is read, in blocks of 16 KiB:
// the first read of a block since its file was opened compares the block's
// checksum, and later ones look at one bit. So opening reads nothing of the large
// sections, a search reads no more of them than it did, and what is damaged gives
// an error that names file, section and bytes, never another score.
//
// A block of 16 KiB is four pages, less than what the system reads ahead, and is
// checked in one to five microseconds, as long as it takes to come from memory;
// scoring one document takes one. Its checksum takes 0.024 % of its size.
//
// The bits belong to an open file and say nothing of later damage to it: pages that
// the system has dropped and reads again are not checked again.
const (
	blockBits = 14
	blockSize = 1 << blockBits
)

// blocksOf returns how many blocks a section of that length has.
func blocksOf(length uint64) uint64 { return length>>blockBits + min(length&(blockSize-1), 1) }

// blocks is a section that is checked as it is read. It is safe for concurrent
// use.
type blocks struct {
	file    *container
	section section
	// intact has a bit for each block that was found intact, and then one for the
	// checksums of blocks themselves. Two readers may check the same block at the
	// same time and come to the same result.
	intact []atomic.Uint32
}

// lazy returns a section that is checked as it is read.
func (c *container) lazy(name string, version uint32) (view, error) {
	s, data, err := c.find(name, version)
	if err != nil {
		return view{}, err
	}
	b := &blocks{file: c, section: s, intact: make([]atomic.Uint32, blocksOf(s.length)/32+1)}
	return view{data: data, blocks: b}, nil
}

func (b *blocks) has(block uint64) bool { return b.intact[block/32].Load()>>(block%32)&1 != 0 }

func (b *blocks) note(block uint64) { b.intact[block/32].Or(1 << (block % 32)) }

// check checks a block, and in a file that has no checksums of blocks the whole
// section.
func (b *blocks) check(block uint64) error {
	count := blocksOf(b.section.length)
	if b.section.sums == 0 {
		if err := b.file.check(b.section); err != nil {
			return err
		}
		for i := range count {
			b.note(i)
		}
		return nil
	}
	if !b.has(count) {
		if err := b.file.checkSums(b.section); err != nil {
			return err
		}
		b.note(count)
	}
	if err := b.file.checkBlock(b.section, block); err != nil {
		return err
	}
	b.note(block)
	return nil
}

// sumsOf returns the checksums of a section's blocks.
func (c *container) sumsOf(s section) []byte { return c.data[s.sums:][:4*blocksOf(s.length)] }

// checkSums checks the checksums of a section's blocks.
func (c *container) checkSums(s section) error {
	if crc32.Checksum(c.sumsOf(s), castagnoli) != s.checksum {
		return c.corrupt(s.name, "the checksum of the checksums of its blocks is wrong")
	}
	return nil
}

// checkBlock checks one block against its checksum.
func (c *container) checkBlock(s section, block uint64) error {
	lo := block << blockBits
	hi := min(lo+blockSize, s.length)
	sum := binary.LittleEndian.Uint32(c.sumsOf(s)[4*block:])
	if crc32.Checksum(c.data[s.offset:][lo:hi], castagnoli) != sum {
		return c.corrupt(s.name, "the checksum of bytes %d to %d is wrong", lo, hi-1)
	}
	return nil
}

// view is a part of a section that is checked as it is read. The zero value is
// of a section that is not there.
type view struct {
	data   []byte // to be read once it is checked
	start  uint64 // of data in the section
	blocks *blocks
}

// cut returns the part from byte lo to byte hi, which must be there.
func (v view) cut(lo, hi uint64) view {
	return view{data: v.data[lo:hi:hi], start: v.start + lo, blocks: v.blocks}
}

// from returns the part from byte lo, which must be there.
func (v view) from(lo uint64) view { return v.cut(lo, uint64(len(v.data))) }

// missing tells whether there is no such section.
func (v view) missing() bool { return v.blocks == nil }

// corrupt makes an error about the section.
func (v view) corrupt(format string, args ...any) error {
	return v.blocks.file.corrupt(v.blocks.section.name, format, args...)
}

// check checks what bytes lo to hi, which must be there, lie in.
func (v *view) check(lo, hi uint64) error {
	if lo == hi {
		return nil
	}
	last := (v.start + hi - 1) >> blockBits
	for block := (v.start + lo) >> blockBits; block <= last; block++ {
		if !v.blocks.has(block) {
			if err := v.blocks.check(block); err != nil {
				return err
			}
		}
	}
	return nil
}

// around is check, and returns the bytes of all the blocks that it has checked.
func (v *view) around(lo, hi uint64) (span, error) {
	if err := v.check(lo, hi); err != nil {
		return span{}, err
	}
	lo, hi = (v.start+lo)&^(blockSize-1), (v.start+hi+blockSize-1)&^(blockSize-1)
	return span{max(lo, v.start) - v.start, min(hi-v.start, uint64(len(v.data)))}, nil
}

// all returns all bytes.
func (v *view) all() ([]byte, error) { return v.data, v.check(0, uint64(len(v.data))) }

// number returns the u32 at place i, which must be there.
func (v *view) number(i uint32) (uint32, error) {
	at := 4 * uint64(i)
	if err := v.check(at, at+4); err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(v.data[at:]), nil
}

// items are byte strings that lie behind each other, and where each of them
// ends.
type items struct {
	ends view // one u32 for each
	data view
}

// at returns an item, checked.
func (it *items) at(i uint32) ([]byte, error) {
	r := reader{items: it}
	return r.at(i)
}

// reader reads items, best in ascending order: it remembers what it has just found
// intact, so that the next item, which most often lies in the same blocks, costs
// no more than looking whether it does.
type reader struct {
	*items
	knownEnds, known span
}

// span is a run of bytes of a view.
type span struct{ lo, hi uint64 }

// at returns an item, checked.
func (r *reader) at(i uint32) ([]byte, error) {
	place := 4 * uint64(i)
	before := place - min(place, 4)
	if before < r.knownEnds.lo || place+4 > r.knownEnds.hi {
		if err := r.findEnds(i, before, place+4); err != nil {
			return nil, err
		}
	}
	ends := r.ends.data
	start, end := uint64(0), uint64(binary.LittleEndian.Uint32(ends[place:]))
	if i > 0 {
		start = uint64(binary.LittleEndian.Uint32(ends[before:]))
	}
	if start < r.known.lo || end > r.known.hi || start > end {
		if err := r.find(i, start, end); err != nil {
			return nil, err
		}
	}
	return r.data.data[start:end:end], nil
}

// findEnds checks the ends of an item and of that before it, if they are there.
func (r *reader) findEnds(i uint32, lo, hi uint64) (err error) {
	if hi > uint64(len(r.ends.data)) {
		return r.ends.corrupt("entry %d of %d", i, len(r.ends.data)/4)
	}
	r.knownEnds, err = r.ends.around(lo, hi)
	return err
}

// find checks an item, if it is there.
func (r *reader) find(i uint32, lo, hi uint64) (err error) {
	if lo > hi || hi > uint64(len(r.data.data)) {
		return r.ends.corrupt("entry %d has no place", i)
	}
	if lo < hi {
		r.known, err = r.data.around(lo, hi)
	}
	return err
}

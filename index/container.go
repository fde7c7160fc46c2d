package index

import (
	"bufio"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"slices"

	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/index/docpruner"
	"github.com/pare-search/pare/internal/durable"
)

// A container is the frame of every file of an index:
//
//	0  magic "PARE"                          4 bytes
//	4  container version                     u32
//	8  section bytes, one after the other    no padding, so each byte counts
//	   block checksums, for each section of
//	     more than 16 KiB, in their order:
//	     CRC-32C of 16 KiB of the section,
//	       of less at its end                 u32 each
//	   table, one entry a section:           40 bytes each
//	     name, zero-padded                     16
//	     section format version               u32
//	     CRC-32C of its block checksums, or,
//	       without these, of its bytes        u32
//	     offset in the file                   u64
//	     length in bytes                      u64
//	   footer:                               24 bytes
//	     offset of the table                  u64
//	     number of sections                   u32
//	     CRC-32C of header, table and the
//	       twelve footer bytes before this    u32
//	     magic "PARE-END"                       8
//
// All integers are little-endian. The table stands at the end so that a file
// is written in one pass; the footer comes last so that a truncated file is
// recognised by its missing magic. The checksums make a tree: the footer's covers
// those in the table, these cover those of blocks, these the bytes. So any block
// of a large section can be checked when it is read (blocks.go), and opening
// checks no more than the table.
//
// Version 1 had no block checksums. Its sections are checked as a whole when the
// first byte of them is read.
const (
	containerMagic      = "PARE"
	containerEnd        = "PARE-END"
	containerVersion    = 2
	minContainerVersion = 1

	headerSize  = 8
	entrySize   = 40
	footerSize  = 24
	nameSize    = 16
	maxSections = 64
)

// Errors that tell what is wrong with a file. They arrive wrapped with the
// file's and, where known, the section's name.
var (
	// ErrCorrupt: the bytes cannot have been written by this package.
	ErrCorrupt = errors.New("corrupt index file")
	// ErrVersion: the file was written by a later version.
	ErrVersion = errors.New("unsupported format version")
	// ErrNotIndex: there is no index in this folder.
	ErrNotIndex = errors.New("not a pare index")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// section is one entry of a container's table.
type section struct {
	name           string
	version        uint32
	checksum       uint32 // of its bytes, or of the checksums of its blocks
	offset, length uint64
	sums           uint64 // offset of the checksums of its blocks, 0 if there are none
}

// containerWriter writes a container to a file in one pass. Its methods
// remember the first error; finish returns it. Between begin and end it is an
// io.Writer of one section.
type containerWriter struct {
	folder   folder
	name     string
	file     durable.File
	buffer   *bufio.Writer // before the file
	offset   uint64
	sections []section
	sums     []byte // checksums of the blocks of all sections of more than one
	first    int    // of those of the section being written
	err      error
}

// create starts a new file.
func (f folder) create(name string) (*containerWriter, error) {
	file, err := f.fs.Create(f.path(name))
	if err != nil {
		return nil, err
	}
	w := &containerWriter{folder: f, name: name, file: file, buffer: bufio.NewWriterSize(file, 256<<10)}
	header := append([]byte(containerMagic), 0, 0, 0, 0)
	binary.LittleEndian.PutUint32(header[4:], containerVersion)
	w.write(header)
	return w, nil
}

func (w *containerWriter) write(data []byte) {
	if w.err != nil {
		return
	}
	_, w.err = w.buffer.Write(data)
	w.offset += uint64(len(data))
}

// add writes one section of the given parts.
func (w *containerWriter) add(name string, version uint32, parts ...[]byte) {
	w.begin(name, version)
	for _, part := range parts {
		w.Write(part)
	}
	w.end()
}

func (w *containerWriter) begin(name string, version uint32) {
	w.sections = append(w.sections, section{name: name, version: version, offset: w.offset})
	w.first = len(w.sums)
}

func (w *containerWriter) Write(data []byte) (int, error) {
	s := &w.sections[len(w.sections)-1]
	for rest := data; len(rest) > 0; {
		n := min(blockSize-int(s.length&(blockSize-1)), len(rest)) // to the end of the block
		s.checksum = crc32.Update(s.checksum, castagnoli, rest[:n])
		s.length += uint64(n)
		rest = rest[n:]
		if s.length&(blockSize-1) == 0 {
			w.endBlock(s)
		}
	}
	w.write(data)
	return len(data), w.err
}

// endBlock notes the checksum of a block, and begins another.
func (w *containerWriter) endBlock(s *section) {
	w.sums = binary.LittleEndian.AppendUint32(w.sums, s.checksum)
	s.checksum = 0
}

func (w *containerWriter) end() {
	s := &w.sections[len(w.sections)-1]
	if s.length&(blockSize-1) > 0 {
		w.endBlock(s)
	}
	switch sums := w.sums[w.first:]; len(sums) {
	case 0:
	case 4: // the table has room for it
		s.checksum = binary.LittleEndian.Uint32(sums)
		w.sums = w.sums[:w.first]
	default:
		s.checksum = crc32.Checksum(sums, castagnoli)
	}
}

// discard gives up and removes the file.
func (w *containerWriter) discard() error {
	return errors.Join(w.file.Close(), w.folder.remove(w.name))
}

// finish writes block checksums, table and footer, flushes the file to disk and closes it. On
// any error the file is removed.
func (w *containerWriter) finish() error {
	w.write(w.sums)
	var tail []byte
	for _, s := range w.sections {
		var name [nameSize]byte
		copy(name[:], s.name)
		tail = append(tail, name[:]...)
		tail = binary.LittleEndian.AppendUint32(tail, s.version)
		tail = binary.LittleEndian.AppendUint32(tail, s.checksum)
		tail = binary.LittleEndian.AppendUint64(tail, s.offset)
		tail = binary.LittleEndian.AppendUint64(tail, s.length)
	}
	tail = binary.LittleEndian.AppendUint64(tail, w.offset)
	tail = binary.LittleEndian.AppendUint32(tail, uint32(len(w.sections)))
	header := binary.LittleEndian.AppendUint32([]byte(containerMagic), containerVersion)
	checksum := crc32.Update(crc32.Checksum(header, castagnoli), castagnoli, tail)
	tail = binary.LittleEndian.AppendUint32(tail, checksum)
	w.write(append(tail, containerEnd...))
	if w.err == nil {
		w.err = w.buffer.Flush()
	}
	if w.err == nil {
		w.err = w.file.Sync()
	}
	w.err = errors.Join(w.err, w.file.Close())
	if w.err != nil {
		return errors.Join(fmt.Errorf("writing %s: %w", w.name, w.err), w.folder.remove(w.name))
	}
	return nil
}

// container is an opened, memory-mapped file. Sections are views into the
// mapping and die with close.
type container struct {
	name     string // for errors
	data     []byte
	mapping  *durable.Mapping
	sections []section
	checksum uint32 // of all but the sections' bytes, so of their checksums
}

// open maps a file and checks its frame, not the sections' checksums.
func (f folder) open(name string) (*container, error) {
	c := &container{name: name}
	mapping, err := f.fs.Map(f.path(name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: %s is missing: %w", ErrCorrupt, name, err)
	case errors.Is(err, fs.ErrInvalid):
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	case err != nil:
		return nil, err
	}
	c.mapping, c.data = mapping, mapping.Data
	if err := c.parse(); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

func (c *container) close() error {
	c.data = nil
	return c.mapping.Close()
}

// corrupt makes an ErrCorrupt that names the file and, unless empty, the section.
func (c *container) corrupt(section, format string, args ...any) error {
	if section == "" {
		return fmt.Errorf("%w: %s: %s", ErrCorrupt, c.name, fmt.Sprintf(format, args...))
	}
	return fmt.Errorf("%w: %s, section %s: %s", ErrCorrupt, c.name, section, fmt.Sprintf(format, args...))
}

// fault turns an error of package codec or docpruner about a section's bytes
// into one of this package.
func (c *container) fault(section string, err error) error {
	return fmt.Errorf("%w: %s, section %s: %w", faultKind(err), c.name, section, err)
}

// faultKind returns the error of this package that one of package codec is.
func faultKind(err error) error {
	if errors.Is(err, codec.ErrVersion) || errors.Is(err, docpruner.ErrVersion) {
		return ErrVersion
	}
	return ErrCorrupt
}

func (c *container) parse() error {
	size := uint64(len(c.data))
	if size < headerSize+footerSize {
		return c.corrupt("", "%d bytes are too few", size)
	}
	header, footer := c.data[:headerSize], c.data[size-footerSize:]
	if string(header[:4]) != containerMagic {
		return c.corrupt("", "does not begin with %q", containerMagic)
	}
	if string(footer[16:]) != containerEnd {
		return c.corrupt("", "does not end with %q; it may be truncated", containerEnd)
	}
	table := binary.LittleEndian.Uint64(footer)
	count := uint64(binary.LittleEndian.Uint32(footer[8:]))
	if count > maxSections || table < headerSize || table > size || size-table != count*entrySize+footerSize {
		return c.corrupt("", "the section table does not fit")
	}
	tail := c.data[table : size-footerSize+12]
	checksum := crc32.Update(crc32.Checksum(header, castagnoli), castagnoli, tail)
	if checksum != binary.LittleEndian.Uint32(footer[12:]) {
		return c.corrupt("", "the checksum of the section table is wrong")
	}
	c.checksum = checksum
	version := binary.LittleEndian.Uint32(header[4:])
	if version < minContainerVersion || version > containerVersion {
		return fmt.Errorf("%w: %s: container version %d, this program reads %d to %d",
			ErrVersion, c.name, version, minContainerVersion, containerVersion)
	}
	next := uint64(headerSize)
	for i := range count {
		entry := c.data[table+i*entrySize:][:entrySize]
		name := entry[:nameSize]
		if end := slices.Index(name, 0); end >= 0 {
			name = name[:end]
		}
		s := section{
			name:     string(name),
			version:  binary.LittleEndian.Uint32(entry[16:]),
			checksum: binary.LittleEndian.Uint32(entry[20:]),
			offset:   binary.LittleEndian.Uint64(entry[24:]),
			length:   binary.LittleEndian.Uint64(entry[32:]),
		}
		if s.offset != next || s.length > table-next {
			return c.corrupt(s.name, "offset or length does not fit")
		}
		next += s.length
		c.sections = append(c.sections, s)
	}
	for i := range c.sections {
		s := &c.sections[i]
		if count := blocksOf(s.length); count > 1 && version > 1 {
			if 4*count > table-next {
				return c.corrupt(s.name, "the checksums of its blocks do not fit")
			}
			s.sums = next
			next += 4 * count
		}
	}
	if next != table {
		return c.corrupt("", "%d bytes belong to no section", table-next)
	}
	return nil
}

// find returns a section that must exist in the given version, unchecked.
func (c *container) find(name string, version uint32) (section, []byte, error) {
	for _, s := range c.sections {
		if s.name != name {
			continue
		}
		if s.version != version {
			return s, nil, fmt.Errorf("%w: %s, section %s: version %d, this program reads %d",
				ErrVersion, c.name, name, s.version, version)
		}
		return s, c.data[s.offset : s.offset+s.length : s.offset+s.length], nil
	}
	return section{}, nil, c.corrupt(name, "missing")
}

// has tells whether there is a section of that name.
func (c *container) has(name string) bool {
	return slices.ContainsFunc(c.sections, func(s section) bool { return s.name == name })
}

// checked returns a section's bytes after comparing their checksum.
func (c *container) checked(name string, version uint32) ([]byte, error) {
	s, data, err := c.find(name, version)
	if err != nil {
		return nil, err
	}
	return data, c.check(s)
}

// check compares the checksums of a whole section.
func (c *container) check(s section) error { return c.checkContext(context.Background(), s) }

// checkContext is check with an end: then it returns the error of ctx. Of several
// damaged blocks it names the first.
func (c *container) checkContext(ctx context.Context, s section) error {
	if s.sums > 0 {
		if err := c.checkSums(s); err != nil {
			return err
		}
	}
	checksum := uint32(0)
	for block := range blocksOf(s.length) {
		const often = 64 // a megabyte, a fraction of a millisecond's work
		if block%often == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if s.sums > 0 {
			if err := c.checkBlock(s, block); err != nil {
				return err
			}
			continue
		}
		lo := block << blockBits
		checksum = crc32.Update(checksum, castagnoli, c.data[s.offset:][lo:min(lo+blockSize, s.length)])
	}
	if s.sums == 0 && checksum != s.checksum {
		return c.corrupt(s.name, "the checksum is wrong")
	}
	return nil
}

// verify compares the checksums of every section and returns what is wrong with
// each, or the error of ctx.
func (c *container) verify(ctx context.Context) error {
	var faults []error
	for _, s := range c.sections {
		faults = append(faults, c.checkContext(ctx, s))
	}
	return cmp.Or(ctx.Err(), errors.Join(faults...))
}

// decoder reads little-endian and varint values from bytes that may be
// corrupt. The first failure sticks; later reads return zero, so a parser
// reads on and checks bad once.
type decoder struct {
	data []byte
	bad  bool
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.data)
	if n <= 0 {
		d.bad, d.data = true, nil
		return 0
	}
	d.data = d.data[n:]
	return v
}

func (d *decoder) bytes(n uint64) []byte {
	if n > uint64(len(d.data)) {
		d.bad, d.data = true, nil
		return nil
	}
	part := d.data[:n:n]
	d.data = d.data[n:]
	return part
}

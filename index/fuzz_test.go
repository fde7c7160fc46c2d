package index

import (
	"bytes"
	"hash/crc32"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/simd"
)

// The fuzz targets hand bytes to a parser as if they stood in a mapped file.

func FuzzOpenContainer(f *testing.F) {
	for _, data := range readDir(f, buildEverything(f, 8)) {
		f.Add(data)
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < headerSize+footerSize {
			return // refused by parse
		}
		c := &container{name: "fuzz", data: data}
		if err := c.parse(); err != nil {
			if !isFault(err) {
				t.Errorf("%v", err)
			}
			return
		}
		// What was accepted covers the file without gaps.
		size := int64(headerSize + footerSize + entrySize*len(c.sections))
		for _, s := range c.sections {
			_, section, _ := c.find(s.name, s.version)
			size += int64(s.length)
			if bytes.Count(data, []byte(s.name)) == 1 && uint64(len(section)) != s.length {
				t.Errorf("section %q has %d bytes, want %d", s.name, len(section), s.length)
			}
		}
		if size != int64(len(data)) {
			t.Errorf("%d of %d bytes are accounted for", size, len(data))
		}
		_ = c.verify(t.Context())
	})
}

// sectionOf returns a section of the first segment of an index.
func sectionOf(f *testing.F, name string) (data []byte, documents uint32, vectors uint64) {
	f.Helper()
	s := open(f, buildEverything(f, 9))
	for _, section := range s.parts[0].file.sections {
		if section.name == name {
			_, view, err := s.parts[0].file.find(name, section.version)
			check(f, err)
			return slices.Clone(view), s.parts[0].segment.documents, s.parts[0].vectors
		}
	}
	f.Fatalf("no section %s", name)
	return nil, 0, 0
}

// viewOf returns bytes as a section whose checksums are right.
func viewOf(s *segment, data []byte) view {
	part := section{name: "fuzz", length: uint64(len(data)), checksum: crc32.Checksum(data, castagnoli)}
	c := &container{name: s.file.name, data: data}
	return view{data: data, blocks: &blocks{file: c, section: part, intact: make([]atomic.Uint32, blocksOf(part.length)/32+1)}}
}

func fuzzSegment(documents uint32) *segment {
	return &segment{file: &container{name: "fuzz"}, documents: documents % 10_000}
}

func FuzzCells(f *testing.F) {
	s := open(f, buildEverything(f, 9))
	book, payloads := s.Codebook(), slices.Clone(s.parts[0].codes.data.data)
	ends := slices.Clone(s.parts[0].codes.ends.data)
	data, documents, _ := sectionOf(f, "cells")
	f.Add(data, documents)
	f.Add(bytes.Repeat([]byte{0xff}, 40), uint32(5))
	query := simd.PackQuery(simd.NewMatrix(3, book.Dim()))
	scorer := book.NewScorer()
	check(f, scorer.Reset(query, nil, nil))
	f.Fuzz(func(t *testing.T, data []byte, documents uint32) {
		s := fuzzSegment(documents % 50)
		n := 4 * int(s.documents)
		if len(data) < n {
			return // refused by load
		}
		s.cells = items{viewOf(s, data[:n]), viewOf(s, data[n:])}
		s.codes = items{viewOf(s, ends), viewOf(s, payloads)}
		for document := range s.documents {
			payload, err := s.payload(document)
			if err != nil {
				if !isFault(err) {
					t.Error(err)
				}
				continue
			}
			_, checked := book.Check(payload)
			_, ranked := scorer.RankScore(payload.Cells, data)
			_, _, scored := scorer.Score(payload, codec.Payload{})
			if checked == nil && (ranked != nil || scored != nil) {
				t.Errorf("document %d: rank %v, score %v", document, ranked, scored)
			}
		}
	})
}

func FuzzPostings(f *testing.F) {
	const cells = 3
	data, documents, _ := sectionOf(f, "postings")
	f.Add(data, documents)
	f.Add(bytes.Repeat([]byte{0xff}, 40), uint32(5))
	f.Fuzz(func(t *testing.T, data []byte, documents uint32) {
		if len(data) < 8*cells {
			return // refused by load
		}
		s := fuzzSegment(documents)
		s.lists = items{viewOf(s, data[:4*cells]), viewOf(s, data[8*cells:])}
		s.listCounts = viewOf(s, data[4*cells:8*cells])
		counts := make([]uint32, cells)
		check(t, s.addPostingCounts(counts))
		for cell := range uint32(cells) {
			list, err := s.appendPostings(nil, cell, 0)
			switch {
			case err != nil && !isFault(err):
				t.Error(err)
			case err != nil:
			case len(list) != int(counts[cell]):
				t.Errorf("%d postings, the list says %d", len(list), counts[cell])
			case !slices.IsSorted(list) || len(slices.Compact(slices.Clone(list))) != len(list):
				t.Errorf("not ascending: %v", list)
			case len(list) > 0 && list[len(list)-1] >= s.documents:
				t.Errorf("document %d of %d", list[len(list)-1], s.documents)
			}
		}
	})
}

func FuzzTokens(f *testing.F) {
	data, documents, vectors := sectionOf(f, "tokens")
	f.Add(data, documents, vectors)
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0x0f, 1, 1, 1, 1, 1}, uint32(1), uint64(1))
	f.Fuzz(func(t *testing.T, data []byte, documents uint32, vectors uint64) {
		s := fuzzSegment(documents)
		s.vectors = vectors % (1 << 40)
		if err := s.parseTokens(data); err != nil {
			if !isFault(err) {
				t.Error(err)
			}
			return
		}
		for i, count := range s.tokens {
			if i > 0 && count.id <= s.tokens[i-1].id || count.documents > count.vectors || uint64(count.vectors) > s.vectors {
				t.Errorf("entry %d: %+v", i, count)
			}
			if v, d := s.tokenFrequency(count.id); v != count.vectors || d != count.documents {
				t.Errorf("token %d: %d, %d", count.id, v, d)
			}
		}
	})
}

func FuzzText(f *testing.F) {
	data, documents, _ := sectionOf(f, "text")
	f.Add(data, documents)
	f.Add([]byte{0xff, 0xff, 0xff, 0xff}, uint32(3))
	f.Fuzz(func(t *testing.T, data []byte, documents uint32) {
		s := fuzzSegment(documents % 50)
		s.text = viewOf(s, data)
		whole := s.verifyText()
		if whole != nil && !isFault(whole) {
			t.Error(whole)
		}
		for document := range s.documents {
			if _, err := s.textOf(document); err != nil && (!isFault(err) || whole == nil) {
				t.Errorf("document %d: %v, verifying: %v", document, err, whole)
			}
		}
	})
}

func FuzzIDs(f *testing.F) {
	data, documents, _ := sectionOf(f, "ids")
	f.Add(data, documents)
	f.Fuzz(func(t *testing.T, data []byte, documents uint32) {
		s := fuzzSegment(documents % 50)
		n := int(s.documents)
		if len(data) < 8*n {
			return // refused by load
		}
		s.ids = items{viewOf(s, data[:4*n]), viewOf(s, data[8*n:])}
		s.idOrder = viewOf(s, data[4*n:8*n])
		whole := s.verifyIDs()
		for document := range s.documents {
			id, err := s.id(document)
			if err != nil && (!isFault(err) || whole == nil) {
				t.Errorf("document %d: %v, verifying: %v", document, err, whole)
			}
			found, ok, err := s.lookup(id)
			if err != nil && !isFault(err) {
				t.Error(err)
			}
			if whole == nil && (err != nil || !ok || found < document) {
				t.Errorf("%q of document %d leads to %d, %v, %v", id, document, found, ok, err)
			}
		}
	})
}

func FuzzDeletes(f *testing.F) {
	data, _ := sectionNamed(f, "deletes", "documents")
	f.Add(data)
	f.Add([]byte{1, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := parseDeletes(data)
		if err != nil {
			return
		}
		for segment, deleted := range d {
			var n uint64
			for rest := deleted.Iterator(); rest.HasNext(); n++ {
				if document := rest.Next(); !deleted.Contains(document) {
					t.Fatalf("segment %d: document %d", segment, document)
				}
			}
			if n != deleted.GetCardinality() || n == 0 {
				t.Errorf("segment %d: %d documents, cardinality %d", segment, n, deleted.GetCardinality())
			}
		}
	})
}

// sectionNamed returns a section of the first file of a kind.
func sectionNamed(f *testing.F, kind, name string) ([]byte, *container) {
	f.Helper()
	dir := onDisk(buildEverything(f, 9))
	for file := range readDir(f, dir.dir) {
		if found, _, _ := parseFileName(file); found != kind {
			continue
		}
		c := must[*container](f)(dir.open(file))
		f.Cleanup(func() { check(f, c.close()) })
		for _, section := range c.sections {
			if section.name == name {
				return slices.Clone(must[[]byte](f)(c.checked(name, section.version))), c
			}
		}
	}
	f.Fatalf("no section %s in a file of %s", name, kind)
	return nil, nil
}

// FuzzManifest: what is read is refused or can be opened, and then gives nothing
// but the errors of files that are missing.
func FuzzManifest(f *testing.F) {
	data, _ := sectionNamed(f, "MANIFEST", "index")
	f.Add(data)
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		memory := newMemory()
		dir := folder{memory, "/"}
		memory.root.names[manifestName] = &inode{data: containerOf("index", manifestVersion, data)}
		m, err := readManifest(dir)
		if err != nil && !isFault(err) {
			t.Error(err)
		}
		if err == nil {
			for _, name := range m.files()[1:] {
				if _, _, ok := parseFileName(name); !ok {
					t.Errorf("the file %q is none of ours", name)
				}
			}
		}
		s, err := dir.openSnapshot()
		if err == nil {
			err = s.Close()
		}
		if err != nil && !isFault(err) {
			t.Error(err)
		}
		if err := memory.check(); err != nil {
			t.Error(err)
		}
	})
}

package index

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/querypruner"
	"github.com/pare-search/pare/simd"
)

// buildEverything makes a small index with every kind of file and section:
// an encoder, a pruner, two segments with texts, and deletes in both.
func buildEverything(t testing.TB, seed uint64) string {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 4))
	options := smallOptions(8, codec.Residual2)
	options.Codec.Cells = 3
	options.SegmentBytes = 1 << 10
	options.TrainingVectors = 1
	documents := randomDocuments(rng, 10, 8, true)
	dir := filepath.Join(t.TempDir(), "index")
	w := must[*Writer](t)(Create(dir, options, CreateOptions{
		EncoderKind: "test", EncoderData: fmt.Append(nil, "seed ", seed),
		Pruner: fitPruner(t, "idf:1+voronoi:90%+tokens+directions=3", documents),
	}))
	check(t, w.Add(t.Context(), documents[:5]...))
	// A long id fills the first segment; a short document starts the second.
	check(t, w.Add(t.Context(), Document{ID: strings.Repeat("long", 256)}))
	check(t, w.Add(t.Context(), documents[5:]...))
	check(t, w.Commit(t.Context()))
	if n := must[int](t)(w.Delete(documents[seed%5].ID, documents[5+seed%5].ID, documents[5+(seed+1)%5].ID)); n != 3 {
		t.Fatalf("%d deleted", n)
	}
	check(t, w.Commit(t.Context()))
	check(t, w.Close())
	check(t, Verify(dir))

	kinds := make(map[string]int)
	for name := range readDir(t, dir) {
		kind, _, _ := strings.Cut(name, "-")
		kinds[kind]++
	}
	if !maps.Equal(kinds, map[string]int{"MANIFEST": 1, "codebook": 1, "encoder": 1, "pruner": 1, "segment": 2, "deletes": 1}) {
		t.Fatalf("files: %v", kinds)
	}
	return dir
}

// isFault tells whether an error is of the kinds that bad files may give.
func isFault(err error) bool {
	return errors.Is(err, ErrCorrupt) || errors.Is(err, ErrVersion) || errors.Is(err, ErrNotIndex)
}

// use does all that can be done with an index and returns all errors.
func use(t *testing.T, dir string) error {
	s, err := Open(dir)
	if err != nil {
		return err
	}
	var faults []error
	note := func(err error) { faults = append(faults, err) }
	for document := range uint32(min(s.Documents(), 1000)) {
		s.Live(document)
		_, err := s.Payload(document)
		note(err)
		_, err = s.Text(document)
		note(err)
		id, err := s.ID(document)
		note(err)
		_, _, err = s.Lookup(id)
		note(err)
	}
	for _, err := range s.IDs() {
		note(err)
	}
	_, _, err = s.Encoder()
	note(err)
	_, err = s.Inspect()
	note(err)
	query := simd.PackQuery(simd.Matrix{Rows: 2, Dim: 8, Data: []float32{1, 0, 0, 0, 0, 0, 0, 0, 0, .6, .8, 0, 0, 0, 0, 0}})
	if s.Dim() == 8 {
		selection := querypruner.Selection{Probe: []int{0, 1}}
		for _, plan := range []Plan{Exhaustive, Probe} {
			_, _, err = NewSearcher(s).Search(t.Context(), query, selection, SearchOptions{K: 3, Plan: plan, Neighbors: 100})
			note(err)
		}
		statistics, err := s.Statistics()
		if note(err); err == nil {
			statistics.TokenFrequency(3)
			statistics.CellPopulation(query.Float().Row(0))
		}
	}
	note(s.Close())
	return errors.Join(faults...)
}

// sectionAt names the section that byte i of a file lies in, "" outside.
func sectionAt(file File, i int64) string {
	start := int64(headerSize)
	for _, s := range file.Sections {
		if i >= start && i < start+s.Bytes {
			return s.Name
		}
		start += s.Bytes
	}
	return ""
}

func TestEveryByteMatters(t *testing.T) {
	dir := buildEverything(t, 1)
	info := must[Info](t)(open(t, dir).Inspect())
	for _, file := range info.Files {
		path := filepath.Join(dir, file.Name)
		whole := must[[]byte](t)(os.ReadFile(path))
		f := must[*os.File](t)(os.OpenFile(path, os.O_RDWR, 0))
		for i := range whole {
			section := sectionAt(file, int64(i))
			for _, flip := range []byte{1 << (i % 8), 0xff} {
				must[int](t)(f.WriteAt([]byte{whole[i] ^ flip}, int64(i)))
				err := Verify(dir)
				switch {
				case err == nil || !isFault(err):
					t.Errorf("%s, byte %d (%s): Verify gives %v", file.Name, i, section, err)
				case !strings.Contains(err.Error(), file.Name) || !strings.Contains(err.Error(), section):
					t.Errorf("%s, byte %d (%s): Verify names neither: %v", file.Name, i, section, err)
				}
				if err := use(t, dir); err != nil && !isFault(err) {
					t.Errorf("%s, byte %d (%s): using it gives %v", file.Name, i, section, err)
				}
			}
			must[int](t)(f.WriteAt(whole[i:i+1], int64(i)))
		}
		check(t, f.Close())
	}
	check(t, Verify(dir))
}

// repair makes all checksums of a container right, so that a parser gets to
// see the bytes.
func repair(data []byte) {
	le := binary.LittleEndian
	size := len(data)
	table := int(le.Uint64(data[size-footerSize:]))
	sums := uint64(headerSize)
	for entry := table; entry < size-footerSize; entry += entrySize {
		sums += le.Uint64(data[entry+32:])
	}
	for entry := table; entry < size-footerSize; entry += entrySize {
		offset, length := le.Uint64(data[entry+24:]), le.Uint64(data[entry+32:])
		bytes := data[offset : offset+length]
		if version := le.Uint32(data[4:]); version > 1 && length > 16384 {
			first := sums
			for block := range slices.Chunk(bytes, 16384) {
				le.PutUint32(data[sums:], crc32.Checksum(block, castagnoli))
				sums += 4
			}
			bytes = data[first:sums]
		}
		le.PutUint32(data[entry+20:], crc32.Checksum(bytes, castagnoli))
	}
	checksum := crc32.Checksum(data[:headerSize], castagnoli)
	checksum = crc32.Update(checksum, castagnoli, data[table:size-footerSize+12])
	le.PutUint32(data[size-footerSize+12:], checksum)
}

// TestHostileBytes changes every byte of every section under checksums that
// are right again, even those in the manifest. What is read may then be
// nonsense or an error, but there must be no panic and no hang.
func TestHostileBytes(t *testing.T) {
	dir := buildEverything(t, 2)
	info := must[Info](t)(open(t, dir).Inspect())
	m := must[manifest](t)(readManifest(onDisk(dir)))
	manifestPath := filepath.Join(dir, manifestName)
	manifestFile := must[[]byte](t)(os.ReadFile(manifestPath))
	for _, file := range info.Files {
		path := filepath.Join(dir, file.Name)
		whole := must[[]byte](t)(os.ReadFile(path))
		caught, changed := 0, 0
		for i := range whole {
			if sectionAt(file, int64(i)) == "" || bytes.HasPrefix(whole[i:], []byte("longlong")) {
				continue // the long id's bytes are all alike
			}
			changed++
			data := slices.Clone(whole)
			data[i] ^= []byte{0x01, 0x80, 0xff, 0x10}[i%4]
			repair(data)
			check(t, os.WriteFile(path, data, 0o644))
			if file.Name != manifestName {
				m.Checksums[file.Name] = binary.LittleEndian.Uint32(data[len(data)-footerSize+12:])
				check(t, os.WriteFile(manifestPath, manifestContainer(t, &m), 0o644))
			}
			err := Verify(dir)
			if err != nil && !isFault(err) {
				t.Errorf("%s, byte %d: Verify gives %v", file.Name, i, err)
			}
			if err != nil {
				caught++
			}
			if err := use(t, dir); err != nil && !isFault(err) {
				t.Errorf("%s, byte %d: using it gives %v", file.Name, i, err)
			}
		}
		t.Logf("%s: %d of %d changes are caught by their sense", file.Name, caught, changed)
		check(t, os.WriteFile(path, whole, 0o644))
		m = must[manifest](t)(readManifest(onDisk(writeManifest(t, dir, manifestFile))))
	}
	check(t, Verify(dir))
}

func writeManifest(t *testing.T, dir string, data []byte) string {
	t.Helper()
	check(t, os.WriteFile(filepath.Join(dir, manifestName), data, 0o644))
	return dir
}

// manifestContainer returns the file that commits m, checksums taken as they are.
func manifestContainer(t *testing.T, m *manifest) []byte {
	t.Helper()
	return containerOf("index", manifestVersion, must[[]byte](t)(json.Marshal(m)))
}

// containerOf returns a container with one section, laid out by hand.
func containerOf(name string, version uint32, data []byte) []byte {
	le := binary.LittleEndian
	out := append([]byte("PARE\x01\x00\x00\x00"), data...)
	out = append(out, name...)
	out = append(out, make([]byte, nameSize-len(name))...)
	out = le.AppendUint32(out, version)
	out = le.AppendUint32(out, 0) // repair fills in the checksums
	out = le.AppendUint64(out, 8)
	out = le.AppendUint64(out, uint64(len(data)))
	out = le.AppendUint64(out, uint64(8+len(data)))
	out = le.AppendUint32(out, 1)
	out = le.AppendUint32(out, 0)
	out = append(out, "PARE-END"...)
	repair(out)
	return out
}

// TestCorruptPayload: a search must say whose payload it cannot read, if damage
// lies under checksums that are right.
func TestCorruptPayload(t *testing.T) {
	documents := randomDocuments(rand.New(rand.NewPCG(8, 8)), 3, 8, true)
	for _, damage := range []struct {
		section string
		at      int
		want    error
	}{
		{"payloads", 0, ErrVersion},
		{"payloads", 1, ErrCorrupt}, // kind
		{"cells", 4*len(documents) + 1, ErrCorrupt},
		{"cells", 0, ErrCorrupt}, // where they end
	} {
		dir := build(t, smallOptions(8, codec.Residual2), documents)
		damageUnnoticed(t, dir, damage.section, damage.at)
		query := simd.PackQuery(documents[0].Tokens.Vectors)
		for _, plan := range []Plan{Exhaustive, Interaction} {
			options := DefaultSearchOptions()
			options.Plan, options.K, options.Depth = plan, 1, 1
			_, _, err := NewSearcher(open(t, dir)).Search(t.Context(), query, allRows(query), options)
			if plan == Interaction && damage.at > 0 && err == nil {
				continue // unknown cells count for nothing, and others are scored
			}
			if !errors.Is(err, damage.want) || !strings.Contains(err.Error(), documents[0].ID) && !strings.Contains(err.Error(), damage.section) {
				t.Errorf("byte %d of %s, %v: %v", damage.at, damage.section, plan, err)
			}
		}
	}
}

// damageUnnoticed flips the bits of a byte in a section of an index's only segment,
// and makes all checksums right again.
func damageUnnoticed(t *testing.T, dir, in string, at int) {
	t.Helper()
	m := must[manifest](t)(readManifest(onDisk(dir)))
	name := m.Segments[0].File
	c := must[*container](t)(onDisk(dir).open(name))
	found := slices.IndexFunc(c.sections, func(s section) bool { return s.name == in })
	at += int(c.sections[found].offset)
	check(t, c.close())
	path := filepath.Join(dir, name)
	data := must[[]byte](t)(os.ReadFile(path))
	data[at] ^= 0xff
	repair(data)
	check(t, os.WriteFile(path, data, 0o644))
	m.Checksums[name] = binary.LittleEndian.Uint32(data[len(data)-footerSize+12:])
	writeManifest(t, dir, manifestContainer(t, &m))
}

// TestTextBomb: a block must not unpack to more than a writer packs.
func TestTextBomb(t *testing.T) {
	b := newTextBuilder()
	section := func(size int) []byte {
		blocks := b.encoder.EncodeAll(make([]byte, size), nil)
		return appendUint32s(slices.Clone(blocks), []uint32{0, uint32(len(blocks)), 1})
	}
	for size, want := range map[int]error{1: nil, maxTextBlock: nil, maxTextBlock + 1: ErrCorrupt} {
		s := &segment{file: &container{name: "bomb"}, documents: 1}
		s.text = viewOf(s, section(size))
		if text, err := s.textOf(0); text != "" || !errors.Is(err, want) {
			t.Errorf("a block of %d zeros: %d bytes of text, %v", size, len(text), err)
		}
	}
}

func TestDeletesMustFit(t *testing.T) {
	bitmap := must[[]byte](t)(roaring.BitmapOf(2, 5).ToBytes())
	entry := func(segment uint64, bitmap []byte) []byte {
		data := binary.AppendUvarint(nil, segment)
		return append(binary.AppendUvarint(data, uint64(len(bitmap))), bitmap...)
	}
	data := slices.Concat(entry(3, bitmap), entry(300, bitmap))
	d := must[deletes](t)(parseDeletes(data))
	if len(d) != 2 || d.count() != 4 || !slices.Equal(d[300].ToArray(), []uint32{2, 5}) {
		t.Errorf("read %v", d)
	}
	if d := must[deletes](t)(parseDeletes(nil)); len(d) != 0 {
		t.Errorf("of nothing: %v", d)
	}
	for name, data := range map[string][]byte{
		"a byte more":     append(slices.Clone(data), 0),
		"a byte less":     data[:len(data)-1],
		"not ascending":   slices.Concat(entry(3, bitmap), entry(3, bitmap)),
		"segment 0":       entry(0, bitmap),
		"empty":           entry(1, nil),
		"no documents":    entry(1, must[[]byte](t)(roaring.New().ToBytes())),
		"a longer bitmap": entry(1, append(slices.Clone(bitmap), 0)),
	} {
		if _, err := parseDeletes(data); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	var m manifest
	segment := segmentEntry{File: fileName("segment", 300), Documents: 6, Deleted: 2}
	must[*roaring.Bitmap](t)(m.deletedOf(segment, []deletes{d}))
	for name, change := range map[string]func(*segmentEntry){
		"fewer documents": func(s *segmentEntry) { s.Documents = 5 },
		"more deleted":    func(s *segmentEntry) { s.Deleted = 3 },
		"other segment":   func(s *segmentEntry) { s.File = fileName("segment", 4) },
	} {
		entry := segment
		change(&entry)
		if _, err := m.deletedOf(entry, []deletes{d}); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTruncation(t *testing.T) {
	dir := buildEverything(t, 3)
	for name, whole := range readDir(t, dir) {
		path := filepath.Join(dir, name)
		for n := 0; n < len(whole); n++ {
			if n > 100 && len(whole)-n > 300 {
				n += 6 // in the midst of the sections
			}
			check(t, os.WriteFile(path, whole[:n], 0o644))
			if err := Verify(dir); !isFault(err) || !strings.Contains(err.Error(), name) {
				t.Errorf("%s cut to %d of %d bytes: Verify gives %v", name, n, len(whole), err)
			}
			if err := use(t, dir); !isFault(err) {
				t.Errorf("%s cut to %d of %d bytes: using it gives %v", name, n, len(whole), err)
			}
		}
		check(t, os.WriteFile(path, append(slices.Clone(whole), 0), 0o644))
		if err := Verify(dir); !isFault(err) {
			t.Errorf("%s with a byte too many: Verify gives %v", name, err)
		}
		check(t, os.WriteFile(path, whole, 0o644))
	}
}

func TestMissingAndForeignFiles(t *testing.T) {
	dir, other := buildEverything(t, 4), buildEverything(t, 5)
	foreign := readDir(t, other)
	files := readDir(t, dir)
	wrong := func(what string) {
		t.Helper()
		if err := Verify(dir); !isFault(err) || what != "" && !strings.Contains(err.Error(), what) {
			t.Errorf("%s: Verify gives %v", what, err)
		}
		if s, err := Open(dir); !isFault(err) {
			t.Errorf("%s: Open gives %v, %v", what, s, err)
		}
		if w, err := OpenWriter(dir); !isFault(err) {
			t.Errorf("%s: OpenWriter gives %v, %v", what, w, err)
		}
	}
	for name, whole := range files {
		path := filepath.Join(dir, name)
		check(t, os.Remove(path))
		wrong(name)
		check(t, os.Mkdir(path, 0o755))
		wrong(name)
		check(t, os.Remove(path))
		if bytes.Equal(foreign[name], whole) {
			t.Fatalf("%s is the same in both indexes", name)
		}
		check(t, os.WriteFile(path, foreign[name], 0o644))
		if name == manifestName {
			wrong("") // it is whole, and the other files are not its
		} else {
			wrong(name)
		}
		for sibling, data := range files {
			if sibling != name {
				check(t, os.WriteFile(path, data, 0o644))
				wrong("")
			}
		}
		check(t, os.WriteFile(path, whole, 0o644))
		check(t, Verify(dir))
	}
	if err := Verify(t.TempDir()); !errors.Is(err, ErrNotIndex) {
		t.Errorf("an empty folder: %v", err)
	}
	check(t, os.Remove(filepath.Join(dir, "segment-000004.pare")))
	if _, err := Open(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing segment: %v", err)
	}
}

func TestHostileManifest(t *testing.T) {
	dir := buildEverything(t, 6)
	whole := must[manifest](t)(readManifest(onDisk(dir)))
	outside := filepath.Join(filepath.Dir(dir), "segment-000004.pare")
	check(t, os.WriteFile(outside, readDir(t, dir)["segment-000004.pare"], 0o644))
	for name, change := range map[string]func(m *manifest){
		"outside":           func(m *manifest) { m.Segments[0].File = "../segment-000004.pare" },
		"absolute":          func(m *manifest) { m.Segments[0].File = outside },
		"backslash":         func(m *manifest) { m.Segments[0].File = `..\segment-000004.pare` },
		"dots":              func(m *manifest) { m.Encoder = ".." },
		"zero byte":         func(m *manifest) { m.Codebooks[0].File += "\x00" },
		"lock":              func(m *manifest) { m.Encoder = lockName },
		"manifest":          func(m *manifest) { m.Codebooks[0].File = manifestName },
		"other kind":        func(m *manifest) { m.Codebooks[0].File = m.Segments[0].File },
		"number to come":    func(m *manifest) { m.NextFile = 2 },
		"no codebook":       func(m *manifest) { m.Codebooks = nil },
		"no file":           func(m *manifest) { m.Segments[1].File = "" },
		"no pruner":         func(m *manifest) { m.Pruner = "" },
		"other pruner":      func(m *manifest) { m.Pruner = m.Encoder },
		"same segment":      func(m *manifest) { m.Segments[1] = m.Segments[0] },
		"documents":         func(m *manifest) { m.Segments[0].Documents++ },
		"no documents":      func(m *manifest) { m.Segments[0].Documents = 0 },
		"deleted":           func(m *manifest) { m.Segments[0].Deleted++ },
		"deleted, no file":  func(m *manifest) { m.Deletes = nil },
		"deletes":           func(m *manifest) { m.Deletes[0].Documents++ },
		"same deletes":      func(m *manifest) { m.Deletes = append(m.Deletes, m.Deletes[0]) },
		"other codebook":    func(m *manifest) { m.Segments[0].Codebook = "codebook-000099.pare" },
		"dimensions":        func(m *manifest) { m.Dim = 16 },
		"other dimensions":  func(m *manifest) { m.Dim, m.Options.Dim = 16, 16 },
		"absurd dimensions": func(m *manifest) { m.Dim, m.Options.Dim = math.MaxInt, math.MaxInt },
		"kind":              func(m *manifest) { m.Options.Codec.Kind = codec.Int8 },
		"segment size":      func(m *manifest) { m.Options.SegmentBytes = -1 },
		"checksum":          func(m *manifest) { m.Checksums[m.Codebooks[0].File]++ },
		"no checksum":       func(m *manifest) { delete(m.Checksums, m.Codebooks[0].File) },
	} {
		m := whole
		m.Segments, m.Checksums = slices.Clone(whole.Segments), maps.Clone(whole.Checksums)
		m.Codebooks, m.Deletes = slices.Clone(whole.Codebooks), slices.Clone(whole.Deletes)
		change(&m)
		writeManifest(t, dir, manifestContainer(t, &m))
		if err := Verify(dir); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: Verify gives %v", name, err)
		}
		if err := use(t, dir); err != nil && !isFault(err) {
			t.Errorf("%s: using it gives %v", name, err)
		}
	}
	for name, text := range map[string]string{
		"nothing":       ``,
		"null":          `null`,
		"list":          `[]`,
		"large number":  `{"generation": 1e400}`,
		"fraction":      `{"generation": 1.5}`,
		"negative":      `{"generation": -1}`,
		"unknown field": `{"colour": "red"}`,
		"no options":    `{}`,
		"deep":          strings.Repeat(`[`, 100_000),
		"two values":    string(must[[]byte](t)(json.Marshal(&whole))) + `{}`,
	} {
		writeManifest(t, dir, containerOf("index", manifestVersion, []byte(text)))
		if err := Verify(dir); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), manifestName) {
			t.Errorf("%s: Verify gives %v", name, err)
		}
	}
	writeManifest(t, dir, containerOf("index", manifestVersion+1, []byte(`{}`)))
	if err := Verify(dir); !errors.Is(err, ErrVersion) {
		t.Errorf("a later version: %v", err)
	}
}

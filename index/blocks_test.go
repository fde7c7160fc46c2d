package index

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// writeSections writes a container of sections of random bytes, in pieces of random
// length, and returns its folder, its bytes and theirs.
func writeSections(t testing.TB, lengths ...int) (f folder, whole []byte, sections [][]byte) {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 120))
	f = onDisk(t.TempDir())
	w := must[*containerWriter](t)(f.create("file"))
	for i, length := range lengths {
		data := make([]byte, length)
		for j := range data {
			data[j] = byte(rng.Uint32())
		}
		sections = append(sections, data)
		w.begin(fmt.Sprint("part", i), 1)
		for rest := data; len(rest) > 0; {
			n := min(1+rng.IntN(2*blockSize), len(rest))
			must[int](t)(w.Write(rest[:n]))
			rest = rest[n:]
		}
		w.end()
	}
	check(t, w.finish())
	return f, must[[]byte](t)(os.ReadFile(filepath.Join(f.dir, "file"))), sections
}

// TestBlockChecksums computes the layout that container.go describes by hand.
func TestBlockChecksums(t *testing.T) {
	_, whole, sections := writeSections(t, 0, 1, 16383, 16384, 16385, 3*16384, 50_000)
	crc := func(data []byte) uint32 { return crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)) }
	le := binary.LittleEndian
	want := []byte("PARE\x02\x00\x00\x00")
	var sums, table []byte
	for i, data := range sections {
		checksum := crc(data)
		if len(data) > 16384 {
			var blocks []byte
			for block := range slices.Chunk(data, 16384) {
				blocks = le.AppendUint32(blocks, crc(block))
			}
			checksum = crc(blocks)
			sums = append(sums, blocks...)
		}
		table = append(table, fmt.Sprintf("part%d%s", i, strings.Repeat("\x00", 11))...)
		table = le.AppendUint32(table, 1)
		table = le.AppendUint32(table, checksum)
		table = le.AppendUint64(table, uint64(len(want)))
		table = le.AppendUint64(table, uint64(len(data)))
		want = append(want, data...)
	}
	want = append(want, sums...)
	table = le.AppendUint64(table, uint64(len(want)))
	table = le.AppendUint32(table, uint32(len(sections)))
	checksum := crc(append([]byte("PARE\x02\x00\x00\x00"), table...))
	want = append(le.AppendUint32(append(want, table...), checksum), "PARE-END"...)
	if !slices.Equal(whole, want) {
		t.Error("another layout than the documented one")
	}
}

// TestLazySections changes every byte of a file in turn, or one of many, and reads
// each block of each section: those give an error, which names them, that the byte
// lies in or whose checksum it belongs to, and all others what was written.
func TestLazySections(t *testing.T) {
	f, whole, sections := writeSections(t, 0, 1, 16384, 16385, 50_000)
	var sizes int
	for _, data := range sections {
		sizes += len(data)
	}
	rng := rand.New(rand.NewPCG(2, 120))
	for at := headerSize; at < len(whole); at++ {
		if at < headerSize+sizes-100 && at%16384 > 40 && at%16384 < 16350 {
			at += rng.IntN(500)
		}
		damaged := slices.Clone(whole)
		damaged[at] ^= byte(1 + rng.IntN(255))
		check(t, os.WriteFile(filepath.Join(f.dir, "file"), damaged, 0o644))
		c, err := f.open("file")
		if at >= headerSize+sizes+4*(2+4) { // table and footer
			if !errors.Is(err, ErrCorrupt) {
				t.Errorf("byte %d: %v", at, err)
			}
			continue
		}
		check(t, err)
		if err := c.verify(t.Context()); !errors.Is(err, ErrCorrupt) {
			t.Errorf("byte %d: verify gives %v", at, err)
		}
		sum := at - headerSize - sizes // where in the checksums of blocks
		start := headerSize
		for i, data := range sections {
			name := fmt.Sprint("part", i)
			v := must[view](t)(c.lazy(name, 1))
			sumsDamaged := i == 3 && sum >= 0 && sum < 8 || i == 4 && sum >= 8
			for lo := 0; lo < len(data); lo += 16384 {
				hi := min(lo+16384, len(data))
				bad := sumsDamaged || at >= start+lo && at < start+hi
				for range 2 { // first, and again
					part := v.cut(uint64(lo), uint64(hi))
					got, err := part.all()
					if bad != errors.Is(err, ErrCorrupt) || bad && !strings.Contains(err.Error(), "file, section "+name) {
						t.Errorf("byte %d: bytes %d to %d of %s give %v", at, lo, hi, name, err)
					}
					if !slices.Equal(got, data[lo:hi]) && !bad {
						t.Errorf("byte %d: other bytes %d to %d of %s", at, lo, hi, name)
					}
				}
				if bad && !sumsDamaged && len(data) > 16384 && !strings.Contains(v.check(uint64(lo), uint64(hi)).Error(), fmt.Sprintf("bytes %d to %d", lo, hi-1)) {
					t.Errorf("byte %d: %v", at, v.check(uint64(lo), uint64(hi)))
				}
			}
			start += len(data)
		}
		check(t, c.close())
	}
}

// TestLazyOnce: what was checked is not checked again, and what is not read is not
// checked at all.
func TestLazyOnce(t *testing.T) {
	f, _, _ := writeSections(t, 100_000)
	c := must[*container](t)(f.open("file"))
	defer func() { check(t, c.close()) }()
	c.data = slices.Clone(c.data)
	v := must[view](t)(c.lazy("part0", 1))
	c.data[headerSize+70_000] ^= 1
	check(t, v.check(20_000, 40_000))
	c.data[headerSize+30_000] ^= 1
	check(t, v.check(20_000, 40_000))
	check(t, v.check(70_000, 70_000)) // nothing
	if err := v.check(0, 100_000); !errors.Is(err, ErrCorrupt) {
		t.Error(err)
	}
}

// TestLazyVersion1: a file of container version 1 has no checksums of blocks, so
// that any read checks the section.
func TestLazyVersion1(t *testing.T) {
	data := make([]byte, 100_000)
	c := &container{name: "old", data: containerOf("part", 1, data)}
	check(t, c.parse())
	v := must[view](t)(c.lazy("part", 1))
	check(t, v.check(5, 6))
	c.data[headerSize+70_000] ^= 1
	check(t, v.check(0, 100_000)) // whole before
	v = must[view](t)(c.lazy("part", 1))
	if err := v.check(5, 6); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "section part") {
		t.Error(err)
	}
}

// TestLazyTogether reads the same blocks in many goroutines, for the race detector.
func TestLazyTogether(t *testing.T) {
	f, _, sections := writeSections(t, 40*16384)
	c := must[*container](t)(f.open("file"))
	defer func() { check(t, c.close()) }()
	v := must[view](t)(c.lazy("part0", 1))
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), 121))
			for range 2000 {
				lo := rng.IntN(len(sections[0]))
				hi := lo + rng.IntN(min(30_000, len(sections[0])-lo)+1)
				part := v.cut(uint64(lo), uint64(hi))
				got, err := part.all()
				if err != nil || !slices.Equal(got, sections[0][lo:hi]) {
					t.Errorf("bytes %d to %d: %v", lo, hi, err)
				}
			}
		})
	}
	group.Wait()
}

// TestHostileBlocks: sizes that do not fit are refused.
func TestHostileBlocks(t *testing.T) {
	_, whole, _ := writeSections(t, 3*16384, 40)
	le := binary.LittleEndian
	table := int(le.Uint64(whole[len(whole)-footerSize:]))
	for name, change := range map[string]func(data []byte){
		"longer":       func(data []byte) { le.PutUint64(data[table+32:], 3*16384+40) },
		"longest":      func(data []byte) { le.PutUint64(data[table+32:], 1<<64-1) },
		"shorter":      func(data []byte) { le.PutUint64(data[table+32:], 3*16384-16384) },
		"elsewhere":    func(data []byte) { le.PutUint64(data[table+24:], 1<<63) },
		"block fewer":  func(data []byte) { le.PutUint64(data[table+entrySize+32:], 44) },
		"version 1":    func(data []byte) { data[4] = 1 },
		"no such":      func(data []byte) { data[4] = 0 },
		"to come":      func(data []byte) { data[4] = 3 },
		"sums missing": func(data []byte) { le.PutUint64(data[table+entrySize+32:], 40+12) },
	} {
		data := slices.Clone(whole)
		change(data)
		tail := append(slices.Clone(data[:headerSize]), data[table:len(data)-footerSize+12]...)
		le.PutUint32(data[len(data)-footerSize+12:], crc32.Checksum(tail, castagnoli))
		c := &container{name: "hostile", data: data}
		if err := c.parse(); !isFault(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

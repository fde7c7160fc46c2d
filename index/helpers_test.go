package index

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/simd"
)

// randomTokens returns n unit vectors scattered around one direction per
// token id, so that there are cells to find. Without ids they are the same
// vectors.
func randomTokens(rng *rand.Rand, n, dim int, withIDs bool) encoder.Tokens {
	t := encoder.Tokens{Vectors: simd.NewMatrix(n, dim)}
	if withIDs {
		t.IDs = make([]uint32, n)
	}
	for row := range n {
		id := uint32(30 * rng.Float64() * rng.Float64())
		direction := rand.New(rand.NewPCG(uint64(id), 7))
		for d := range dim {
			t.Vectors.Row(row)[d] = float32(direction.NormFloat64() + 0.7*rng.NormFloat64())
		}
		if withIDs {
			t.IDs[row] = 3 * id
		}
	}
	t.Vectors.Normalize()
	return t
}

// randomDocuments returns documents of 0 to 12 vectors, every seventh without.
func randomDocuments(rng *rand.Rand, n, dim int, withIDs bool) []Document {
	documents := make([]Document, n)
	for i := range documents {
		rows := 1 + rng.IntN(12)
		if i%7 == 3 {
			rows = 0
		}
		documents[i] = Document{
			ID:     fmt.Sprintf("doc-%03d", (i*37)%n), // neither ascending nor descending
			Tokens: randomTokens(rng, rows, dim, withIDs),
			Text:   fmt.Sprintf("text %d of length %d", i, rows),
		}
	}
	return documents
}

// smallOptions returns options with small segments and more cells than the
// rules for real collections would give.
func smallOptions(dim int, kind codec.Kind) Options {
	options := DefaultOptions(dim)
	options.Codec.Kind = kind
	options.Codec.Cells = 24
	options.Codec.MinCellVectors = 4
	options.SegmentBytes = 4 << 10
	options.Merge.Manual = true
	options.StoreText = true
	return options
}

func must[T any](t testing.TB) func(T, error) T {
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// build makes an index of documents in a new folder, deletes some in a second
// commit, and returns the folder.
func build(t testing.TB, options Options, documents []Document, deleted ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "index")
	w := must[*Writer](t)(Create(dir, options, CreateOptions{}))
	check(t, w.Add(t.Context(), documents...))
	check(t, w.Commit(t.Context()))
	if len(deleted) > 0 {
		must[int](t)(w.Delete(deleted...))
		check(t, w.Commit(t.Context()))
	}
	check(t, w.Close())
	return dir
}

func open(t testing.TB, dir string) *Snapshot {
	t.Helper()
	s := must[*Snapshot](t)(Open(dir))
	t.Cleanup(func() { check(t, s.Close()) })
	return s
}

// readDir returns the contents of an index's files but its lock.
func readDir(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	files := make(map[string][]byte)
	for _, entry := range must[[]os.DirEntry](t)(os.ReadDir(dir)) {
		if entry.Name() != lockName {
			files[entry.Name()] = must[[]byte](t)(os.ReadFile(filepath.Join(dir, entry.Name())))
		}
	}
	return files
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// damage changes a byte in the middle of a section of the first file of a kind.
func damage(t testing.TB, dir, kind, section string) {
	t.Helper()
	s := must[*Snapshot](t)(Open(dir))
	files := must[Info](t)(s.Inspect()).Files
	check(t, s.Close())
	for _, file := range files {
		if found, _, ok := parseFileName(file.Name); !ok || found != kind {
			continue
		}
		at := int64(headerSize)
		for _, part := range file.Sections {
			if part.Name == section {
				path := filepath.Join(dir, file.Name)
				data := must[[]byte](t)(os.ReadFile(path))
				data[at+part.Bytes/2] ^= 0x10
				check(t, os.WriteFile(path, data, 0o644))
				return
			}
			at += part.Bytes
		}
	}
	t.Fatalf("no section %s in a file of kind %s", section, kind)
}

package parebleve

import (
	"bytes"
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/blevesearch/bleve/v2"
	"github.com/blevesearch/bleve/v2/index/scorch"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/simd"
)

// randomEncoder makes so many random vectors of length 1 of every text.
func randomEncoder(random *rand.Rand, vectors, dim int) encoder.Func {
	return encoder.Func{Width: dim, Encode: func(context.Context, string, bool) (encoder.Tokens, error) {
		tokens := encoder.Tokens{Vectors: simd.NewMatrix(vectors, dim)}
		for i := range tokens.Vectors.Data {
			tokens.Vectors.Data[i] = float32(random.NormFloat64())
		}
		tokens.Vectors.Normalize()
		return tokens, nil
	}}
}

// openPayloads makes an index of documents with 54 random vectors of 128
// dimensions, as many as a passage of 70 words has, and returns its source.
func openPayloads(t testing.TB, documents int, cache int64) *source {
	t.Helper()
	enc := randomEncoder(rand.New(rand.NewPCG(1, 2)), 54, 128)
	options := DefaultOptions(enc, "body")
	sample, err := enc.EncodeQuery(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	options.CacheBytes = cache
	if options.Codebook, err = codec.Train(t.Context(), sample.Vectors, nil, codec.DefaultOptions(), nil); err != nil {
		t.Fatal(err)
	}
	idx, err := New("", bleve.NewIndexMapping(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { idx.Close() })
	batch := idx.NewBatch()
	for i := range documents {
		if err := batch.Index(fmt.Sprint(i), map[string]any{"body": fmt.Sprintf("%0500d", i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := idx.Batch(batch); err != nil {
		t.Fatal(err)
	}
	advanced, err := idx.Advanced()
	if err != nil {
		t.Fatal(err)
	}
	reader, err := advanced.Reader()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reader.Close() })
	f := idx.fields["body"]
	src, err := newSource(reader.(*scorch.IndexSnapshot), idx.shelf, f.hidden, f.book())
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// TestCells compares what a source makes of posting lists and stored values with
// what documents are coded as, over several segments with deletions.
func TestCells(t *testing.T) {
	enc := encoder.Func{Width: 32, Encode: func(_ context.Context, text string, _ bool) (encoder.Tokens, error) {
		hash := fnv.New64a()
		hash.Write([]byte(text))
		random := rand.New(rand.NewPCG(hash.Sum64(), 1))
		tokens := encoder.Tokens{Vectors: simd.NewMatrix(random.IntN(40), 32)}
		for i := range tokens.Vectors.Data {
			tokens.Vectors.Data[i] = float32(random.NormFloat64())
		}
		tokens.Vectors.Normalize()
		return tokens, nil
	}}
	sample := simd.Matrix{Dim: 32}
	for i := range 100 {
		tokens, err := enc.EncodeQuery(t.Context(), fmt.Sprint(i))
		check(t, err)
		sample, _, _ = appendSample(sample, nil, false, tokens)
	}
	options := DefaultOptions(enc, "body")
	var err error
	options.Codebook, err = codec.Train(t.Context(), sample, nil, codec.DefaultOptions(), nil)
	check(t, err)
	idx, err := New("", bleve.NewIndexMapping(), options)
	check(t, err)
	defer idx.Close()
	const documents = 300
	for at := 0; at < documents; at += 100 {
		batch := idx.NewBatch()
		for i := range 100 {
			check(t, batch.Index(fmt.Sprint(at+i), map[string]any{"body": fmt.Sprint("text ", at+i)}))
		}
		check(t, idx.Batch(batch))
	}
	for i := 0; i < documents; i += 7 {
		check(t, idx.Delete(fmt.Sprint(i)))
	}
	snapshot, err := idx.snapshot()
	check(t, err)
	defer snapshot.Close()
	f := idx.fields["body"]
	src, err := newSource(snapshot, idx.shelf, f.hidden, f.book())
	check(t, err)
	postings := make(map[uint32][]uint32)
	seen, vectors := 0, 0
	for number := range uint32(src.Documents()) {
		if !src.has(number) {
			continue
		}
		seen++
		id, err := snapshot.ExternalID(internalID(nil, number))
		check(t, err)
		tokens, err := enc.EncodeQuery(t.Context(), "text "+id)
		check(t, err)
		want, err := options.Codebook.Encode(tokens.Vectors, nil)
		check(t, err)
		vectors += tokens.Vectors.Rows
		for _, cell := range want.Cells {
			postings[cell] = append(postings[cell], number)
		}
		got, err := src.Payload(number)
		check(t, err)
		cells, err := src.AppendCells(nil, []uint32{number})
		check(t, err)
		if !bytes.Equal(got.Cells, want.Payload.Cells) || !bytes.Equal(cells[0], want.Payload.Cells) || !bytes.Equal(got.Codes, want.Payload.Codes) {
			t.Errorf("document %s has the cells %v and %v, want %v, or other codes", id, got.Cells, cells[0], want.Payload.Cells)
		}
	}
	if live, err := src.liveVectors(); err != nil || seen != documents-43 || live != int64(vectors) {
		t.Errorf("%d documents with %d vectors, want %d with %d, error %v", seen, live, documents-43, vectors, err)
	}
	counts, err := src.PostingCounts()
	check(t, err)
	for cell := range uint32(options.Codebook.Cells()) {
		list, err := src.AppendPostings(nil, cell)
		check(t, err)
		if len(list) != int(counts[cell]) {
			t.Errorf("cell %d has %d documents, %d are counted", cell, len(list), counts[cell])
		}
		list = slices.DeleteFunc(list, func(n uint32) bool { return !src.has(n) })
		if !slices.Equal(list, postings[cell]) {
			t.Errorf("cell %d has the documents %v, want %v", cell, list, postings[cell])
		}
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestPayloadAllocations reads payloads out of bleve's blocks and from memory:
// neither allocates anything that grows with the number of documents, but for
// the memory that payloads are kept in, many at a time.
func TestPayloadAllocations(t *testing.T) {
	pool := sync.Pool{New: func() any { return new([64]byte) }}
	kept := pool.New()
	pool.Put(kept)
	for range 100 {
		if pool.Get() != kept {
			t.Skip("pools forget, as they do under the race detector")
		}
		pool.Put(kept)
	}
	for name, cache := range map[string]int64{"stored": -1, "kept": 1 << 30} {
		src := openPayloads(t, 200, cache)
		document := uint32(0)
		if allocations := testing.AllocsPerRun(1000, func() {
			if _, err := src.Payload(document % 200); err != nil {
				t.Fatal(err)
			}
			document++
		}); allocations != 0 {
			t.Errorf("%s: %v allocations per payload, want none", name, allocations)
		}
	}
}

// TestKeepLimit fills the memory for payloads and frees it again.
func TestKeepLimit(t *testing.T) {
	src := openPayloads(t, 200, 100<<10)
	kept := 0
	for document := range uint32(200) {
		if _, err := src.Payload(document); err != nil {
			t.Fatal(err)
		}
	}
	var bytes int64
	facts := src.parts[0].facts
	for i := range facts.codes {
		if p := facts.codes[i].Load(); p != nil {
			kept++
			bytes += int64(len(*p))
		}
	}
	if kept == 0 || kept == 200 || bytes > 100<<10 || facts.bytes.Load() != bytes || src.shelf.room.Load() != 100<<10-bytes {
		t.Errorf("codes of %d documents, %d bytes, are kept, room for %d is left", kept, bytes, src.shelf.room.Load())
	}
	src.shelf.sweep(nil)
	if src.shelf.room.Load() != 100<<10 {
		t.Errorf("room for %d bytes after the segment is gone, want all", src.shelf.room.Load())
	}
}

// BenchmarkPayload reads the payloads of a passage's vectors, out of bleve's
// blocks and from memory.
func BenchmarkPayload(b *testing.B) {
	for name, cache := range map[string]int64{"stored": -1, "kept": 1 << 30} {
		b.Run(name, func(b *testing.B) {
			src := openPayloads(b, 2000, cache)
			b.ReportAllocs()
			document := uint32(0)
			for b.Loop() {
				payload, err := src.Payload(document * 7 % 2000)
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(int64(payload.Size()))
				document++
			}
		})
	}
}

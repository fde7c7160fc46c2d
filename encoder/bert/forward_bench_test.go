package bert

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pare-search/pare/internal/collections"
	"github.com/pare-search/pare/simd"
)

// benchmarkTexts is how many of Cranfield's documents are encoded; bench/peers.py
// takes the same.
const benchmarkTexts = 200

// cranfield returns the pieces of documents as they are indexed: title and
// text, at most 300 pieces.
func cranfield(b *testing.B) [][]uint32 {
	data := collections.Dir(b)
	t, err := LoadTokenizer(filepath.Join(filepath.Dir(data), "models", "all-MiniLM-L6-v2", "tokenizer.json"))
	if err != nil {
		b.Skip(err)
	}
	file, err := os.Open(filepath.Join(data, "cranfield", "corpus.jsonl"))
	if err != nil {
		b.Skip(err)
	}
	defer file.Close()
	before, after := t.Special()
	var texts [][]uint32
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for len(texts) < benchmarkTexts && lines.Scan() {
		var document struct{ Title, Text string }
		if err := json.Unmarshal(lines.Bytes(), &document); err != nil {
			b.Fatal(err)
		}
		const limit = 300
		ids := t.Tokenize(strings.TrimSpace(document.Title+" "+document.Text), limit-len(before)-len(after)).IDs
		texts = append(texts, slices.Concat(before, ids, after))
	}
	if err := lines.Err(); err != nil {
		b.Fatal(err)
	}
	return texts
}

// BenchmarkForward encodes documents of Cranfield with all-MiniLM-L6-v2 and
// counts pieces a second.
func BenchmarkForward(b *testing.B) {
	texts := cranfield(b)
	pieces := 0
	for _, ids := range texts {
		pieces += len(ids)
	}
	eachModel(b, func(b *testing.B, m *model, workers int) {
		for b.Loop() {
			if err := m.Forward(b.Context(), texts, nil, workers, func(int, simd.Matrix) {}); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(pieces*b.N)/b.Elapsed().Seconds(), "pieces/s")
	})
}

// BenchmarkQuery encodes one query of 12 pieces.
func BenchmarkQuery(b *testing.B) {
	query := [][]uint32{cranfield(b)[0][:12]}
	eachModel(b, func(b *testing.B, m *model, workers int) {
		for b.Loop() {
			if err := m.Forward(b.Context(), query, nil, workers, func(int, simd.Matrix) {}); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(b.Elapsed().Seconds()*1e3/float64(b.N), "ms")
	})
}

// eachModel runs a benchmark with weights of both kinds, on one and two
// workers, at every level but plain Go.
func eachModel(b *testing.B, run func(b *testing.B, m *model, workers int)) {
	for _, kind := range []string{"float", "int8"} {
		m := miniLM(b, ModelOptions{Int8: kind == "int8"})
		for _, level := range simd.Levels()[1:] {
			for workers := 1; workers <= 2; workers++ {
				b.Run(fmt.Sprintf("%s/%s/workers=%d", kind, level, workers), func(b *testing.B) {
					undo, err := simd.SetLevel(level)
					if err != nil {
						b.Fatal(err)
					}
					defer undo()
					run(b, m, workers)
				})
			}
		}
	}
}

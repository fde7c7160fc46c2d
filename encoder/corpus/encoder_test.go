package corpus_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"iter"
	"math"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/encoder/corpus"
	"github.com/pare-search/pare/encoder/table"
	"github.com/pare-search/pare/simd"
)

func each(texts []string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, text := range texts {
			if !yield(text, nil) {
				return
			}
		}
	}
}

// madeUp returns texts of pseudo-random words, frequent and rare ones.
func madeUp(texts int) []string {
	rng := rand.New(rand.NewPCG(7, 8))
	out := make([]string, texts)
	for i := range out {
		var b strings.Builder
		for range rng.IntN(60) {
			fmt.Fprintf(&b, "w%dx ", int(600*math.Pow(rng.Float64(), 3)))
		}
		out[i] = b.String()
	}
	return out
}

func train(t testing.TB, texts []string, change func(*corpus.Options)) *corpus.Encoder {
	t.Helper()
	opts := corpus.DefaultOptions()
	if change != nil {
		change(&opts)
	}
	enc, err := corpus.Train(t.Context(), each(texts), opts, nil)
	if err != nil {
		t.Fatal(err)
	}
	return enc
}

func encodeAll(t testing.TB, enc *corpus.Encoder, texts []string) []encoder.Tokens {
	t.Helper()
	tokens, err := enc.EncodeDocuments(t.Context(), texts)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range texts {
		q, err := enc.EncodeQuery(t.Context(), text)
		if err != nil {
			t.Fatal(err)
		}
		tokens = append(tokens, q)
	}
	return tokens
}

func norm(v []float32) float64 { return math.Sqrt(float64(simd.Dot(v, v))) }

func marshal(t testing.TB, enc *corpus.Encoder) []byte {
	t.Helper()
	data, err := enc.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestInvariants checks what holds for any collection.
func TestInvariants(t *testing.T) {
	collections := map[string][]string{
		"none":       nil,
		"empty":      {"", "", " . "},
		"one":        {"a single short document about a single document"},
		"one word":   {"word"},
		"stop words": {"to be or not to be"},
		"twins":      {"same text here", "same text here", "same text here"},
		"bytes":      {"\xff\xfe\x00", "broken \xc3 text", "broken text"},
		"long word":  {strings.Repeat("abc", 1000), "abc"},
		"made up":    madeUp(300),
	}
	probes := []string{"", "word", "unheard word of things", "The The", "w1x w2x w1x w599x", strings.Repeat("again ", 50), "\xff"}
	changes := map[string]func(*corpus.Options){
		"default":    nil,
		"all words":  func(o *corpus.Options) { o.MinDocumentFrequency = 1 },
		"no context": func(o *corpus.Options) { o.MinDocumentFrequency, o.Window, o.LocalMix, o.GlobalMix = 1, 0, 0, 0 },
		"small":      func(o *corpus.Options) { o.Dim, o.MaxVocabulary, o.MaxTrainingTokens = 8, 20, 500 },
	}
	for name, texts := range collections {
		for change, f := range changes {
			t.Run(name+"/"+change, func(t *testing.T) {
				enc := train(t, texts, f)
				texts := append(slices.Clone(texts), probes...)
				tokens := encodeAll(t, enc, texts)
				for i, tok := range tokens {
					if err := tok.Validate(enc.Dim()); err != nil {
						t.Fatal(err)
					}
					if len(tok.IDs) != tok.Vectors.Rows || len(tok.Spans) != tok.Vectors.Rows {
						t.Fatalf("%d rows, %d ids, %d spans", tok.Vectors.Rows, len(tok.IDs), len(tok.Spans))
					}
					text, query := texts[i%len(texts)], i >= len(texts)
					for row, id := range tok.IDs {
						want := 1.0
						if query {
							want = enc.InverseDocumentFrequency(id)
						}
						if got := norm(tok.Vectors.Row(row)); math.Abs(got-want) > 1e-5*want {
							t.Fatalf("%q, row %d: length %v, want %v", text, row, got, want)
						}
						if _, known := enc.Word(id); known != (id < 1<<31) || known && int(id) >= enc.Vocabulary() {
							t.Fatalf("id %d, vocabulary %d", id, enc.Vocabulary())
						}
						if s := tok.Spans[row]; s.Start < 0 || s.Start >= s.End || s.End > len(text) {
							t.Fatalf("%q: span %v", text, s)
						}
					}
				}

				data := marshal(t, enc)
				loaded, err := corpus.Load(data)
				if err != nil {
					t.Fatal(err)
				}
				if !reflect.DeepEqual(tokens, encodeAll(t, loaded, texts)) {
					t.Error("a loaded encoder gives other tokens")
				}
				if !slices.Equal(data, marshal(t, loaded)) || enc.Fingerprint() != loaded.Fingerprint() || enc.Options() != loaded.Options() {
					t.Error("a loaded encoder differs")
				}
			})
		}
	}
}

func TestDeterministic(t *testing.T) {
	texts := madeUp(400)
	want := train(t, texts, nil)
	tokens := encodeAll(t, want, texts[:50])
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, procs := range []int{1, 3, 8} {
		runtime.GOMAXPROCS(procs)
		got := train(t, texts, nil)
		if got.Fingerprint() != want.Fingerprint() {
			t.Errorf("%d processors: other table", procs)
		}
		if !reflect.DeepEqual(tokens, encodeAll(t, got, texts[:50])) {
			t.Errorf("%d processors: other tokens", procs)
		}
	}
	if other := train(t, texts, func(o *corpus.Options) { o.Seed = 2 }); other.Fingerprint() == want.Fingerprint() {
		t.Error("another seed gives the same table")
	}
}

// TestMixing computes one text's vectors again with the plain formula, from
// the static vectors that an encoder without mixing shows.
func TestMixing(t *testing.T) {
	for _, power := range []int{0, 1, 3} {
		t.Run(fmt.Sprintf("attention %d", power), func(t *testing.T) { testMixing(t, power) })
	}
}

func testMixing(t *testing.T, power int) {
	texts := madeUp(300)
	mixed := train(t, texts, func(o *corpus.Options) { o.Attention = power })
	static := train(t, texts, func(o *corpus.Options) { o.LocalMix, o.GlobalMix = 0, 0 })
	text := "w1x unknown w2x w3x w10x w2x w30x w7x w100x stranger w5x w6x w1x w4x"
	own := encodeAll(t, static, []string{text})[0]
	got := encodeAll(t, mixed, []string{text})

	n, dim := own.Vectors.Rows, own.Vectors.Dim
	unit := func(v []float64) []float64 {
		var sum float64
		for _, x := range v {
			sum += x * x
		}
		out := make([]float64, len(v))
		for d, x := range v {
			out[d] = x / math.Sqrt(sum)
		}
		return out
	}
	idf := func(i int) float64 { return mixed.InverseDocumentFrequency(own.IDs[i]) }
	for i := range n {
		near, all, sum := make([]float64, dim), make([]float64, dim), make([]float64, dim)
		for j := range n {
			for d, x := range own.Vectors.Row(j) {
				all[d] += idf(j) * float64(x)
				if j != i && power == 0 && max(i-j, j-i) <= 5 {
					near[d] += idf(j) * float64(x)
				}
				if j != i && power > 0 {
					cosine := max(0, float64(simd.Dot(own.Vectors.Row(i), own.Vectors.Row(j))))
					near[d] += math.Pow(cosine, float64(power)) * idf(j) * float64(x)
				}
			}
		}
		near, all = unit(near), unit(all)
		for d, x := range own.Vectors.Row(i) {
			sum[d] = 0.4*float64(x) + 0.3*near[d] + 0.3*all[d]
		}
		for d, want := range unit(sum) {
			if math.Abs(float64(got[0].Vectors.Row(i)[d])-want) > 1e-6 {
				t.Fatalf("document row %d, column %d: got %v, want %v", i, d, got[0].Vectors.Row(i)[d], want)
			}
			if math.Abs(float64(got[1].Vectors.Row(i)[d])-want*idf(i)) > 1e-5 {
				t.Fatalf("query row %d, column %d: got %v, want %v", i, d, got[1].Vectors.Row(i)[d], want*idf(i))
			}
		}
	}
}

func TestFrequenciesAndIDs(t *testing.T) {
	enc := train(t, []string{"apple apple pear", "apple plum", "apple pear", "quince"}, func(o *corpus.Options) {
		o.Language = ""
	})
	if enc.Texts() != 4 || enc.Vocabulary() != 2 { // plum and quince are in one text each
		t.Fatalf("%d texts, %d words", enc.Texts(), enc.Vocabulary())
	}
	q, err := enc.EncodeQuery(t.Context(), "Pear, apple; quince!")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]encoder.Span{{Start: 0, End: 4}, {Start: 6, End: 11}, {Start: 13, End: 19}}, q.Spans); diff != "" {
		t.Error(diff)
	}
	if q.IDs[0] != 1 || q.IDs[1] != 0 || q.IDs[2] < 1<<31 {
		t.Errorf("ids %v, want 1, 0 and a hash", q.IDs)
	}
	for i, df := range []float64{2, 3, 1} {
		if got := enc.DocumentFrequency(q.IDs[i]); got != int(df) {
			t.Errorf("word %d is in %d texts, want %v", i, got, df)
		}
		want := math.Log(1 + (4-df+0.5)/(df+0.5))
		if got := enc.InverseDocumentFrequency(q.IDs[i]); math.Abs(got-want) > 1e-12 {
			t.Errorf("idf of word %d is %v, want %v", i, got, want)
		}
	}
	if word, ok := enc.Word(0); word != "apple" || !ok {
		t.Errorf("word 0 is %q", word)
	}
}

func TestTrainErrors(t *testing.T) {
	broken := errors.New("broken disk")
	_, err := corpus.Train(t.Context(), func(yield func(string, error) bool) {
		_ = yield("fine", nil) && yield("", broken)
	}, corpus.DefaultOptions(), nil)
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "text 1") {
		t.Errorf("got %v", err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	texts := madeUp(300)
	_, err = corpus.Train(ctx, each(texts), corpus.DefaultOptions(), func(stage string, done, _ int) {
		if stage == "vectors" && done == 1 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	enc := train(t, texts, nil)
	if _, err := enc.EncodeDocuments(ctx, texts); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := enc.EncodeQuery(ctx, "w1x"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestValidateNamesEveryOption(t *testing.T) {
	if err := corpus.DefaultOptions().Validate(); err != nil {
		t.Fatal(err)
	}
	err := corpus.Options{
		Dim: 100, Language: "klingon", Window: -1, LocalMix: math.NaN(), GlobalMix: -1,
	}.Validate()
	if !errors.Is(err, corpus.ErrOptions) {
		t.Fatalf("got %v", err)
	}
	for _, name := range []string{"Dim", "Language", "Window", "LocalMix", "GlobalMix", "MinDocumentFrequency", "MaxVocabulary", "MaxTrainingTokens"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not in %v", name, err)
		}
	}
}

func TestLoadDamaged(t *testing.T) {
	data := marshal(t, train(t, []string{"red apple", "red pear", "green apple", "green pear"}, func(o *corpus.Options) { o.Dim = 8 }))
	for n := range data {
		if _, err := corpus.Load(data[:n]); !errors.Is(err, corpus.ErrCorrupt) {
			t.Fatalf("%d of %d bytes: %v", n, len(data), err)
		}
	}
	if _, err := corpus.Load(append(slices.Clone(data), 0)); !errors.Is(err, corpus.ErrCorrupt) {
		t.Errorf("a byte more: %v", err)
	}
	for i := range data {
		for bit := range 8 {
			flipped := slices.Clone(data)
			flipped[i] ^= 1 << bit
			if _, err := corpus.Load(flipped); !errors.Is(err, corpus.ErrCorrupt) && !errors.Is(err, corpus.ErrVersion) {
				t.Fatalf("byte %d, bit %d: %v", i, bit, err)
			}
		}
	}
	data[8] = 99
	if _, err := corpus.Load(data); !errors.Is(err, corpus.ErrVersion) || !strings.Contains(err.Error(), "99") {
		t.Errorf("version 99: %v", err)
	}
}

// seal replaces the checksum at the end, so that damage gets behind it.
func seal(data []byte) []byte {
	body := data[:max(len(data)-4, 0)]
	return binary.LittleEndian.AppendUint32(slices.Clone(body), crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)))
}

func FuzzLoad(f *testing.F) {
	data := marshal(f, train(f, []string{"red apple", "red pear", "green apple", "green pear"}, func(o *corpus.Options) { o.Dim = 8 }))
	f.Add(data)
	f.Add(marshal(f, train(f, nil, nil)))
	f.Add([]byte{})
	for i := range data {
		damaged := slices.Clone(data)
		damaged[i] ^= 0x80
		f.Add(damaged)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, data := range [][]byte{data, seal(data)} {
			enc, err := corpus.Load(data)
			if err != nil {
				if !errors.Is(err, corpus.ErrCorrupt) && !errors.Is(err, corpus.ErrVersion) {
					t.Fatalf("unexpected error %v", err)
				}
				continue
			}
			if !slices.Equal(marshal(t, enc), data) {
				t.Fatal("saved again, the bytes differ")
			}
			for _, tokens := range encodeAll(t, enc, []string{"red apple of the unknown", ""}) {
				if err := tokens.Validate(enc.Dim()); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

func BenchmarkEncodeDocuments(b *testing.B) {
	texts := madeUp(2000)
	enc := train(b, texts, nil)
	tokens := 0
	for b.Loop() {
		out, err := enc.EncodeDocuments(b.Context(), texts)
		if err != nil {
			b.Fatal(err)
		}
		for _, t := range out {
			tokens += t.Vectors.Rows
		}
	}
	b.ReportMetric(float64(tokens)/b.Elapsed().Seconds(), "tokens/s")
}

// TestWithWords replaces the vectors of words by a table that keeps them as they
// are, and by a small one, and saves both.
func TestWithWords(t *testing.T) {
	enc := train(t, madeUp(300), func(o *corpus.Options) { o.Dim = 16 })
	words := enc.Words()
	for _, budget := range []int{4*len(words.Data) + 256, 3 * len(words.Data)} {
		small, err := table.Fit(t.Context(), "row-clusters", words, table.Options{Budget: budget})
		if err != nil {
			t.Fatal(err)
		}
		with, err := enc.WithWords(small)
		if err != nil {
			t.Fatal(err)
		}
		data, err := with.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		loaded, err := corpus.Load(data)
		if err != nil {
			t.Fatal(err)
		}
		want := small.Matrix()
		want.Normalize()
		got := loaded.Words()
		for i, v := range want.Data {
			if got.Data[i] != v {
				t.Fatalf("budget %d: value %d is %v, want %v", budget, i, got.Data[i], v)
			}
		}
		if loaded.Fingerprint() == enc.Fingerprint() {
			t.Error("both encoders have one fingerprint")
		}
	}
}

// TestWordFrequencies compares with the ids of encoded documents.
func TestWordFrequencies(t *testing.T) {
	texts := madeUp(200)
	enc := train(t, texts, func(o *corpus.Options) { o.Dim = 16 })
	got, err := enc.WordFrequencies(t.Context(), each(texts))
	if err != nil {
		t.Fatal(err)
	}
	want := make([]int64, enc.Vocabulary())
	documents, err := enc.EncodeDocuments(t.Context(), texts)
	if err != nil {
		t.Fatal(err)
	}
	for _, tokens := range documents {
		for _, id := range tokens.IDs {
			if int(id) < len(want) {
				want[id]++
			}
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

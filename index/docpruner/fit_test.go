package docpruner

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/simd"
)

func TestFitErrors(t *testing.T) {
	good := documents(5, 1)
	failure := errors.New("disk on fire")
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	wide := append(slices.Clone(good), encoder.Tokens{IDs: make([]uint32, 2), Vectors: simd.NewMatrix(2, 24)})
	for name, test := range map[string]struct {
		spec      string
		ctx       context.Context
		documents []encoder.Tokens
		options   FitOptions
		is        error
		says      string
	}{
		"no stop words":   {spec: "stopwords:english", documents: good, is: ErrInvalid, says: "as in stopwords:20%, does without"},
		"no queries":      {spec: "voronoi:50%+queries", documents: good, options: DefaultFitOptions(), is: ErrInvalid, says: "needs vectors of queries"},
		"other queries":   {spec: "voronoi:50%+queries", documents: good, options: FitOptions{Sample: 10, Queries: simd.NewMatrix(3, 8)}, is: ErrInvalid, says: "queries of 8 dimensions, documents of 16"},
		"bad queries":     {spec: "ward:2", options: FitOptions{Queries: simd.Matrix{Rows: 3}}, is: simd.ErrShape},
		"no sample":       {spec: "voronoi:50%", documents: good, is: ErrInvalid, says: "a sample of 0 vectors"},
		"nothing":         {spec: "idf:3", is: ErrNoDocuments, says: "idf:3"},
		"no vectors":      {spec: "voronoi:50%", documents: make([]encoder.Tokens, 3), options: DefaultFitOptions(), is: ErrNoDocuments},
		"other documents": {spec: "idf:3", documents: wide, is: encoder.ErrInvalid, says: "document 5"},
		"cancelled":       {spec: "idf:3", ctx: cancelled, documents: good, is: context.Canceled},
	} {
		p, err := Parse(test.spec)
		if err != nil {
			t.Fatal(err)
		}
		if test.ctx == nil {
			test.ctx = t.Context()
		}
		if _, err := p.Fit(test.ctx, each(test.documents), test.options); !errors.Is(err, test.is) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: error %v, want %v that says %q", name, err, test.is, test.says)
		}
	}
	fails := func(yield func(encoder.Tokens, error) bool) { yield(encoder.Tokens{}, failure) }
	if _, err := (Pruner{Steps: []Step{{Strategy: IDF, Count: 1}}}).Fit(t.Context(), fails, FitOptions{}); !errors.Is(err, failure) {
		t.Errorf("error %v, want that of the documents", err)
	}
	if _, err := (Pruner{Steps: []Step{{Strategy: Ward, Factor: 2}}}).Fit(t.Context(), fails, FitOptions{}); err != nil {
		t.Errorf("a pruner that needs nothing read documents: %v", err)
	}
	if _, err := (Pruner{Steps: []Step{{}}}).Fit(t.Context(), each(good), FitOptions{}); !errors.Is(err, ErrInvalid) {
		t.Errorf("error %v, want ErrInvalid", err)
	}
}

// TestSampleIsEven draws documents of one vector with many seeds.
func TestSampleIsEven(t *testing.T) {
	collection := make([]encoder.Tokens, 40)
	for i := range collection {
		collection[i] = encoder.Tokens{IDs: []uint32{uint32(i)}, Vectors: simd.NewMatrix(1, testDim)}
	}
	counts := make([]int, len(collection))
	for seed := range uint64(1000) {
		p := Pruner{Steps: []Step{{Strategy: Voronoi, Keep: Keep{Share: 0.5}}}, Seed: seed}
		c, err := p.gather(t.Context(), each(collection), FitOptions{Sample: 10})
		if err != nil {
			t.Fatal(err)
		}
		if c.sample.vectors != 10 || len(c.sample.documents) != 10 {
			t.Fatalf("%d vectors of %d documents, want 10", c.sample.vectors, len(c.sample.documents))
		}
		for _, d := range c.sample.documents {
			counts[d.tokens.IDs[0]]++
		}
	}
	// Each is drawn with probability 1/4: four standard deviations of 1000 are 55.
	for i, count := range counts {
		if count < 195 || count > 305 {
			t.Errorf("document %d was drawn %d times of 1000, want 250", i, count)
		}
	}
}

func TestLoadErrors(t *testing.T) {
	collection := documents(20, 2)
	for _, spec := range []string{"ward:2", "idf:3+voronoi:50%+tokens+directions=3"} {
		data, err := fitted(t, spec, collection).MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		for i := range data {
			if _, err := Load(data[:i]); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("%d of %d bytes: error %v, want ErrCorrupt", i, len(data), err)
			}
			bad := slices.Clone(data)
			bad[i] ^= 1
			if _, err := Load(bad); !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrVersion) {
				t.Fatalf("byte %d changed: error %v", i, err)
			}
		}
	}
}

func FuzzLoad(f *testing.F) {
	collection := documents(20, 2)
	for _, spec := range specs {
		data, err := fitted(f, spec, collection).MarshalBinary()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data[:len(data)-checksumBytes])
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		loaded, err := Load(seal(slices.Clone(body)))
		if err != nil {
			return
		}
		// What loads can be used and saved.
		for _, d := range collection[:2] {
			if pruned, err := loaded.Prune(d); err == nil && pruned.Vectors.Rows == 0 {
				t.Error("nothing is left of a document")
			}
		}
		if _, err := loaded.MarshalBinary(); err != nil {
			t.Error(err)
		}
	})
}

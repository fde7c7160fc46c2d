package parebleve

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/blevesearch/bleve/v2"
	"github.com/blevesearch/bleve/v2/document"
	index "github.com/blevesearch/bleve_index_api"

	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/simd"
)

// TestSeal: any changed bit of codes, checksum or cells is noticed.
func TestSeal(t *testing.T) {
	payload := codec.Payload{Cells: []byte{1, 0, 7, 0}, Codes: []byte("codes of a document")}
	value := seal(payload)
	codes, err := unseal(value, payload.Cells)
	if err != nil || !slices.Equal(codes, payload.Codes) || len(value) != len(codes)+4 {
		t.Errorf("%q, %v", codes, err)
	}
	for bit := range 8 * len(value) {
		damaged := slices.Clone(value)
		damaged[bit/8] ^= 1 << (bit % 8)
		if _, err := unseal(damaged, payload.Cells); !errors.Is(err, ErrCorrupt) {
			t.Errorf("bit %d: %v", bit, err)
		}
	}
	for bit := range 8 * len(payload.Cells) {
		damaged := slices.Clone(payload.Cells)
		damaged[bit/8] ^= 1 << (bit % 8)
		if _, err := unseal(value, damaged); !errors.Is(err, ErrCorrupt) {
			t.Errorf("bit %d of the cells: %v", bit, err)
		}
	}
	for n := range value {
		if _, err := unseal(value[:n], payload.Cells); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

// TestDamagedDocument puts documents into an index whose stored value, or one of
// whose cells, is another than was coded. A search that scores them says so.
func TestDamagedDocument(t *testing.T) {
	enc := randomEncoder(rand.New(rand.NewPCG(5, 2)), 8, 32)
	sample := simd.Matrix{Dim: 32}
	for range 50 {
		tokens, err := enc.EncodeQuery(t.Context(), "")
		check(t, err)
		sample, _, _ = appendSample(sample, nil, false, tokens)
	}
	options := DefaultOptions(enc, "body")
	var err error
	options.Codebook, err = codec.Train(t.Context(), sample, nil, codec.DefaultOptions(), nil)
	check(t, err)
	for name, damage := range map[string]func(stored *vectorField){
		"nothing": func(*vectorField) {},
		"codes":   func(stored *vectorField) { stored.codes[len(stored.codes)/2] ^= 8 },
		"no":      func(stored *vectorField) { stored.codes = nil },
		"a cell less": func(stored *vectorField) {
			for term := range stored.terms {
				if term[0] == 'c' {
					delete(stored.terms, term)
					break
				}
			}
		},
		"a cell more": func(stored *vectorField) {
			for cell := range uint32(options.Codebook.Cells()) {
				term := cellTerm(nil, options.Codebook.Checksum(), cell)
				if stored.terms[string(term)] == nil {
					stored.terms[string(term)] = &index.TokenFreq{Term: term}
					break
				}
			}
		},
	} {
		idx, err := New("", bleve.NewIndexMapping(), options)
		check(t, err)
		batch := idx.NewBatch()
		for i := range 5 {
			tokens, err := enc.EncodeQuery(t.Context(), "")
			check(t, err)
			f := idx.fields["body"]
			encoded, err := f.book().Encode(tokens.Vectors, nil)
			check(t, err)
			doc := document.NewDocument(fmt.Sprint(i))
			check(t, addVectors(doc, f.hidden, f.book(), tokens, encoded, false))
			if i == 3 {
				damage(doc.Fields[0].(*vectorField))
			}
			check(t, batch.IndexAdvanced(doc))
		}
		check(t, idx.bleveIndex.Batch(batch))
		result, err := idx.Search(bleve.NewSearchRequest(NewQuery("body", "anything")))
		switch {
		case name == "nothing" && (err != nil || result.Total != 5):
			t.Errorf("%v, %v", result, err)
		case name != "nothing" && (!errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "body")):
			t.Errorf("%s: %v, %v", name, result, err)
		}
		check(t, idx.Close())
	}
}

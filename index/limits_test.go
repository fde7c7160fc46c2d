package index

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/querypruner"
	"github.com/pare-search/pare/simd"
)

// TestLimitsOfDocuments: what lies on a limit is taken, what lies beyond is
// refused, by name, and nothing of the batch is added.
func TestLimitsOfDocuments(t *testing.T) {
	options := smallOptions(8, codec.Residual2)
	options.SegmentBytes = 64 << 20
	dir := filepath.Join(t.TempDir(), "index")
	codebook, err := codec.Train(t.Context(), randomTokens(rand.New(rand.NewPCG(1, 30)), 100, 8, false).Vectors, nil, options.Codec, nil)
	check(t, err)
	w := must[*Writer](t)(Create(dir, options, CreateOptions{Codebook: codebook}))
	unit := func(rows int) encoder.Tokens {
		m := simd.NewMatrix(rows, 8)
		for row := range rows {
			m.Row(row)[row%8] = 1
		}
		return encoder.Tokens{Vectors: m}
	}
	with := func(value float32) encoder.Tokens {
		tokens := unit(3)
		tokens.Vectors.Row(2)[5] = value
		return tokens
	}
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	taken := []Document{
		{ID: "most tokens", Tokens: unit(MaxTokens)},
		{ID: "no tokens"},
		{ID: strings.Repeat("i", MaxIDBytes), Tokens: unit(1)},
		{ID: string(all), Tokens: unit(1)},
		{ID: "\x00", Tokens: unit(1)},
		{ID: "\xff\xfe", Tokens: unit(1)},
		{ID: "../../etc/passwd\n", Tokens: unit(1)},
		{ID: "long text", Tokens: unit(1), Text: strings.Repeat("t", MaxTextBytes)},
		{ID: "zeros", Tokens: encoder.Tokens{Vectors: simd.NewMatrix(3, 8)}},
		{ID: "large", Tokens: with(codec.MaxComponent)},
		{ID: "tiny", Tokens: with(math.SmallestNonzeroFloat32)},
	}
	for _, d := range taken {
		if err := w.Add(t.Context(), d); err != nil {
			t.Errorf("%.20q: %v", d.ID, err)
		}
	}
	refused := map[string]struct {
		document Document
		want     error
	}{
		"one token too many":    {Document{ID: "x", Tokens: unit(MaxTokens + 1)}, ErrInvalid},
		"a million tokens":      {Document{ID: "x", Tokens: unit(1 << 20)}, ErrInvalid},
		"no id":                 {Document{Tokens: unit(1)}, ErrInvalid},
		"a longer id":           {Document{ID: strings.Repeat("i", MaxIDBytes+1)}, ErrInvalid},
		"a longer text":         {Document{ID: "x", Text: strings.Repeat("t", MaxTextBytes+1)}, ErrInvalid},
		"other dimensions":      {Document{ID: "x", Tokens: encoder.Tokens{Vectors: simd.NewMatrix(1, 16)}}, ErrInvalid},
		"fewer ids than tokens": {Document{ID: "x", Tokens: encoder.Tokens{Vectors: simd.NewMatrix(2, 8), IDs: []uint32{1}}}, ErrInvalid},
		"NaN":                   {Document{ID: "x", Tokens: with(float32(math.NaN()))}, ErrInvalid},
		"infinity":              {Document{ID: "x", Tokens: with(float32(math.Inf(1)))}, ErrInvalid},
		"minus infinity":        {Document{ID: "x", Tokens: with(float32(math.Inf(-1)))}, ErrInvalid},
		"too large":             {Document{ID: "x", Tokens: with(-2 * codec.MaxComponent)}, ErrInvalid},
		"taken":                 {Document{ID: "no tokens", Tokens: unit(1)}, ErrDuplicate},
	}
	for name, test := range refused {
		if err := w.Add(t.Context(), Document{ID: "good", Tokens: unit(1)}, test.document); !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	long := Document{ID: "all of Proust", Tokens: unit(1 << 20)}
	if err := w.Add(t.Context(), long); err == nil || !strings.HasSuffix(err.Error(), `"all of Proust" has 1048576 vectors, at most 524288 are allowed`) {
		t.Errorf("a million tokens: %v", err)
	}
	good := Document{ID: "good", Tokens: unit(1)}
	if err := w.Add(t.Context(), good, good); !errors.Is(err, ErrDuplicate) {
		t.Errorf("twice in one batch: %v", err)
	}
	check(t, w.Commit(t.Context()))
	check(t, w.Merge(t.Context()))
	check(t, w.Close())
	check(t, Verify(dir))
	s := open(t, dir)
	if s.LiveDocuments() != len(taken) {
		t.Errorf("%d documents, want %d", s.LiveDocuments(), len(taken))
	}
	for _, d := range taken {
		number, found, err := s.Lookup(d.ID)
		if err != nil || !found {
			t.Fatalf("%.20q is not found: %v", d.ID, err)
		}
		if id := must[string](t)(s.ID(number)); id != d.ID {
			t.Errorf("%.20q has the id %.20q", d.ID, id)
		}
		if text := must[string](t)(s.Text(number)); text != d.Text {
			t.Errorf("%.20q has a text of %d bytes", d.ID, len(text))
		}
		if rows := must[int](t)(s.Codebook().Rows(must[codec.Payload](t)(s.Payload(number)))); rows != d.Tokens.Vectors.Rows {
			t.Errorf("%.20q has %d vectors", d.ID, rows)
		}
	}
	if _, found, err := s.Lookup(""); found || err != nil {
		t.Errorf("the empty id: %v, %v", found, err)
	}
}

// TestLimitsOfDimensions: multiples of 8 up to 1024.
func TestLimitsOfDimensions(t *testing.T) {
	for dim, valid := range map[int]bool{-8: false, 0: false, 4: false, 8: true, 12: false, 128: true, 1024: true, 1032: false, math.MaxInt: false} {
		w, err := Create(filepath.Join(t.TempDir(), "index"), DefaultOptions(dim), CreateOptions{})
		if valid != (err == nil) || err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("%d dimensions: %v", dim, err)
		}
		if err == nil {
			check(t, w.Close())
		}
	}
}

// TestLimitsOfSearches, in indexes without documents, with one codebook, and with
// two: hits are as many as there can be, and no search that makes no sense is
// answered.
func TestLimitsOfSearches(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 30))
	for name, codebooks := range map[string]int{"nothing": 0, "one codebook": 1, "two codebooks": 2} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "index")
			w := must[*Writer](t)(Create(dir, smallOptions(8, codec.Residual2), CreateOptions{}))
			findable := 0
			for i := range codebooks {
				for _, d := range fill(t, w, rng, 8, fmt.Sprint(i), 30) {
					if d.Tokens.Vectors.Rows > 0 {
						findable++
					}
				}
				if i+1 < codebooks {
					retrainNow(t, w)
				}
			}
			check(t, w.Close())
			s := open(t, dir)
			if codebooks == 2 && len(s.mixed) != 2 {
				t.Fatalf("%d codebooks", len(s.mixed))
			}
			query := simd.PackQuery(randomTokens(rng, 3, 8, false).Vectors)
			empty := simd.PackQuery(simd.NewMatrix(0, 8))
			probeAll := func(o SearchOptions) SearchOptions {
				o.Plan, o.Budget, o.Depth = Probe, 1<<20, AllCandidates
				return o
			}
			none := querypruner.Selection{Probe: []int{}, Score: []int{}}
			noProbe := querypruner.Selection{Probe: []int{}}
			everything := SearchOptions{K: math.MaxInt, Plan: Exhaustive}
			for name, test := range map[string]struct {
				query     *simd.Query
				selection querypruner.Selection
				options   SearchOptions
				want      int
			}{
				"more than there are":        {query, querypruner.Selection{}, everything, findable},
				"more, probing":              {query, querypruner.Selection{}, probeAll(everything), findable},
				"refining more":              {query, querypruner.Selection{}, SearchOptions{K: 1000, Plan: Exhaustive, Refine: math.MaxInt}, findable},
				"no hits":                    {query, querypruner.Selection{}, SearchOptions{}, 0},
				"no rows":                    {empty, querypruner.Selection{}, everything, 0},
				"no row looks":               {query, noProbe, probeAll(everything), 0},
				"no row looks, exhaustively": {query, noProbe, everything, findable},
				"no row at all, probing":     {query, none, probeAll(everything), 0},
				"an empty filter":            {query, querypruner.Selection{}, SearchOptions{K: 5, Filter: roaring.New()}, 0},
				"a filter of others":         {query, querypruner.Selection{}, SearchOptions{K: 5, Filter: roaring.BitmapOf(1<<20, math.MaxUint32)}, 0},
			} {
				hits, _, err := NewSearcher(s).Search(t.Context(), test.query, test.selection, test.options)
				if err != nil || len(hits) != test.want {
					t.Errorf("%s: %d hits, want %d, %v", name, len(hits), test.want, err)
				}
			}

			bad := func(value float32) *simd.Query {
				m := simd.NewMatrix(2, 8)
				m.Row(1)[3] = value
				return simd.PackQuery(m)
			}
			one := SearchOptions{K: 1}
			for name, test := range map[string]struct {
				query     *simd.Query
				selection querypruner.Selection
				options   SearchOptions
			}{
				"fewer than no hits":  {query, querypruner.Selection{}, SearchOptions{K: -1}},
				"NaN":                 {bad(float32(math.NaN())), querypruner.Selection{}, one},
				"infinity":            {bad(float32(math.Inf(-1))), querypruner.Selection{}, one},
				"a row there is not":  {query, querypruner.Selection{Probe: []int{3}}, one},
				"a row below 0":       {query, querypruner.Selection{Score: []int{-1}}, one},
				"a margin that is no": {query, querypruner.Selection{}, SearchOptions{K: 1, MarginShare: math.NaN()}},
			} {
				if hits, _, err := NewSearcher(s).Search(t.Context(), test.query, test.selection, test.options); !errors.Is(err, ErrInvalid) {
					t.Errorf("%s: %v, %v", name, hits, err)
				}
			}
			if codebooks > 0 {
				_, _, err := NewSearcher(s).Search(t.Context(), simd.PackQuery(simd.NewMatrix(1, 16)), querypruner.Selection{}, one)
				if !errors.Is(err, ErrInvalid) {
					t.Errorf("other dimensions: %v", err)
				}
			}
		})
	}
}

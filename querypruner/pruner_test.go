package querypruner_test

import (
	"cmp"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/querypruner"
	"github.com/pare-search/pare/simd"
)

// counts is how often something occurs.
type counts struct{ collection, documents int64 }

// collection is a querypruner.Statistics of plain maps. The cell nearest to a
// vector is its first component.
type collection struct {
	size   int64
	tokens map[uint32]counts
	cells  map[float32]int64
}

func (c collection) Documents() int64 { return c.size }

func (c collection) TokenFrequency(id uint32) (collection, documents int64) {
	return c.tokens[id].collection, c.tokens[id].documents
}

func (c collection) Vectors() int64 { return 10 * c.size }

func (c collection) CellPopulation(vector []float32) int64 { return c.cells[vector[0]] }

const (
	cls uint32 = iota + 100
	mask
	the
	rare
	common
	repeated // often, but in few documents
	unknown
)

// hundred has 100 documents. Cells are numbered like the tokens, and their
// populations order them differently.
var hundred = collection{
	size: 100,
	tokens: map[uint32]counts{
		cls:      {100, 100},
		the:      {900, 90},
		rare:     {3, 2},
		common:   {60, 40},
		repeated: {80, 5},
	},
	cells: map[float32]int64{
		float32(cls): 70, float32(the): 1, float32(rare): 90, float32(common): 20, float32(repeated): 30,
	},
}

// query makes a query of the tokens, each with its cell's vector.
func query(ids ...uint32) encoder.Tokens {
	q := encoder.Tokens{IDs: ids, Vectors: simd.NewMatrix(len(ids), 8)}
	for i, id := range ids {
		q.Vectors.Row(i)[0] = float32(id)
	}
	return q
}

// withoutIDs is query for vectors that came without token ids.
func withoutIDs(ids ...uint32) encoder.Tokens {
	q := query(ids...)
	q.IDs = nil
	return q
}

func keep(n int) querypruner.Keep         { return querypruner.Keep{Count: n} }
func share(s float64) querypruner.Keep    { return querypruner.Keep{Share: s} }
func words(rows []querypruner.Row) string { return strings.Join(rowStrings(rows), " | ") }

func special(ids ...uint32) querypruner.Vocabulary { return querypruner.Vocabulary{Special: ids} }

func rowStrings(rows []querypruner.Row) []string {
	out := make([]string, len(rows))
	for i, r := range rows {
		out[i] = "- " + r.String()
		if r.Kept {
			out[i] = "+ " + r.String()
		}
	}
	return out
}

func TestSelect(t *testing.T) {
	sentence := query(cls, the, rare, common, repeated, mask)
	for _, test := range []struct {
		name   string
		pruner querypruner.Pruner
		query  encoder.Tokens
		probe  []int
		rows   string // every row: kept or not, and why
	}{
		{
			name:  "the zero pruner keeps all, special tokens too",
			query: query(cls, rare),
			probe: []int{0, 1},
			rows:  "+ all rows look | + all rows look",
		},
		{
			name:   "all ignores the list of special tokens",
			pruner: querypruner.Pruner{Vocabulary: special(cls)},
			query:  query(cls, rare),
			probe:  []int{0, 1},
			rows:   "+ all rows look | + all rows look",
		},
		{
			name:   "icf counts vectors; unseen tokens are the rarest",
			pruner: querypruner.Pruner{Strategy: querypruner.ICF, Keep: keep(3)},
			query:  sentence,
			probe:  []int{2, 3, 5},
			rows: "- rank 5, frequency 100 | - rank 6, frequency 900 | + rank 2, frequency 3 | " +
				"+ rank 3, frequency 60 | - rank 4, frequency 80 | + rank 1, not in the collection",
		},
		{
			name:   "idf counts documents",
			pruner: querypruner.Pruner{Strategy: querypruner.IDF, Keep: keep(3)},
			query:  sentence,
			probe:  []int{2, 4, 5},
			rows: "- rank 6, frequency 100 | - rank 5, frequency 90 | + rank 2, frequency 2 | " +
				"- rank 4, frequency 40 | + rank 3, frequency 5 | + rank 1, not in the collection",
		},
		{
			name:   "icf drops unseen tokens if told to",
			pruner: querypruner.Pruner{Strategy: querypruner.ICF, Keep: keep(3), Drop: querypruner.Drop{Unseen: true}},
			query:  sentence,
			probe:  []int{2, 3, 4},
			rows: "- rank 4, frequency 100 | - rank 5, frequency 900 | + rank 1, frequency 3 | " +
				"+ rank 2, frequency 60 | + rank 3, frequency 80 | - not in the collection, dropped",
		},
		{
			name:   "unseen tokens do not fill up a small query",
			pruner: querypruner.Pruner{Strategy: querypruner.IDF, Keep: keep(5), Drop: querypruner.Drop{Unseen: true}},
			query:  query(unknown, rare, mask),
			probe:  []int{1},
			rows:   "- not in the collection, dropped | + rank 1, frequency 2 | - not in the collection, dropped",
		},
		{
			name:   "unseen tokens are equally rare",
			pruner: querypruner.Pruner{Strategy: querypruner.ICF, Keep: keep(1)},
			query:  query(unknown, mask),
			probe:  []int{0},
			rows:   "+ rank 1, not in the collection | - rank 2, not in the collection",
		},
		{
			name:   "first keeps the leading rows",
			pruner: querypruner.Pruner{Strategy: querypruner.First, Keep: keep(2)},
			query:  query(the, cls, rare),
			probe:  []int{0, 1},
			rows:   "+ rank 1 | + rank 2 | - rank 3",
		},
		{
			name:   "first passes over special tokens",
			pruner: querypruner.Pruner{Strategy: querypruner.First, Keep: keep(2), Drop: querypruner.Drop{Specials: true}, Vocabulary: special(cls)},
			query:  query(cls, the, rare, common),
			probe:  []int{1, 2},
			rows:   "- special token | + rank 1 | + rank 2 | - rank 3",
		},
		{
			name:   "first drops unseen tokens if told to",
			pruner: querypruner.Pruner{Strategy: querypruner.First, Keep: keep(1), Drop: querypruner.Drop{Unseen: true}},
			query:  query(unknown, rare, the),
			probe:  []int{1},
			rows:   "- not in the collection, dropped | + rank 1, frequency 2 | - rank 2, frequency 90",
		},
		{
			name:   "population looks at cells",
			pruner: querypruner.Pruner{Strategy: querypruner.Population, Keep: keep(2)},
			query:  sentence,
			probe:  []int{1, 5},
			rows: "- rank 5, frequency 70 | + rank 2, frequency 1 | - rank 6, frequency 90 | " +
				"- rank 3, frequency 20 | - rank 4, frequency 30 | + rank 1, not in the collection",
		},
		{
			name:   "icf without ids falls back to cells",
			pruner: querypruner.Pruner{Strategy: querypruner.ICF, Keep: keep(2)},
			query:  withoutIDs(the, rare, common),
			probe:  []int{0, 2},
			rows:   "+ rank 1, frequency 1 | - rank 3, frequency 90 | + rank 2, frequency 20",
		},
		{
			name:   "idf without ids falls back to cells",
			pruner: querypruner.Pruner{Strategy: querypruner.IDF, Keep: keep(1)},
			query:  withoutIDs(rare, common),
			probe:  []int{1},
			rows:   "- rank 2, frequency 90 | + rank 1, frequency 20",
		},
		{
			name:   "special tokens cannot be told without ids",
			pruner: querypruner.Pruner{Drop: querypruner.Drop{Specials: true}, Vocabulary: special(cls)},
			query:  withoutIDs(cls, rare),
			probe:  []int{0, 1},
			rows:   "+ no special token | + no special token",
		},
		{
			name:   "special tokens never look under a ranking strategy",
			pruner: querypruner.Pruner{Strategy: querypruner.ICF, Keep: keep(9), Drop: querypruner.Drop{Specials: true}, Vocabulary: special(cls, mask)},
			query:  sentence,
			probe:  []int{1, 2, 3, 4},
			rows: "- special token | + rank 4, frequency 900 | + rank 1, frequency 3 | " +
				"+ rank 2, frequency 60 | + rank 3, frequency 80 | - special token",
		},
		{
			name:   "nospecials keeps the rest",
			pruner: querypruner.Pruner{Drop: querypruner.Drop{Specials: true}, Vocabulary: special(cls, mask)},
			query:  sentence,
			probe:  []int{1, 2, 3, 4},
			rows: "- special token | + no special token | + no special token | " +
				"+ no special token | + no special token | - special token",
		},
		{
			name:   "nospecials of nothing but special tokens keeps one that occurs",
			pruner: querypruner.Pruner{Drop: querypruner.Drop{Specials: true}, Vocabulary: special(cls, mask)},
			query:  query(mask, cls),
			probe:  []int{1},
			rows:   "- special token | + kept, since a query needs one row",
		},
		{
			name:   "nostopwords counts documents and allows the limit itself",
			pruner: querypruner.Pruner{Drop: querypruner.Drop{Specials: true, StopShare: 0.4}, Vocabulary: special(cls)},
			query:  query(cls, the, common, repeated, unknown),
			probe:  []int{2, 3, 4},
			rows: "- special token | - in 90 documents, too many | + in 40 documents | + in 5 documents | " +
				"+ not in the collection",
		},
		{
			name:   "nostopwords drops unseen tokens if told to",
			pruner: querypruner.Pruner{Drop: querypruner.Drop{Unseen: true, StopShare: 0.4}},
			query:  query(the, unknown, rare),
			probe:  []int{2},
			rows:   "- in 90 documents, too many | - not in the collection, dropped | + in 2 documents",
		},
		{
			name:   "nostopwords without ids counts the documents of cells",
			pruner: querypruner.Pruner{Drop: querypruner.Drop{StopShare: 0.5}},
			query:  withoutIDs(rare, common),
			probe:  []int{1},
			rows:   "- in 90 documents, too many | + in 20 documents",
		},
		{
			name:   "nothing but stop words keeps the rarest",
			pruner: querypruner.Pruner{Drop: querypruner.Drop{StopShare: 0.01}},
			query:  query(the, common, cls),
			probe:  []int{1},
			rows:   "- in 90 documents, too many | + kept, since a query needs one row | - in 100 documents, too many",
		},
		{
			name:   "a stop word serves before a special token and before an unseen word",
			pruner: querypruner.Pruner{Drop: querypruner.Drop{Specials: true, Unseen: true, StopShare: 0.5}, Vocabulary: special(rare)},
			query:  query(unknown, rare, the),
			probe:  []int{2},
			rows:   "- not in the collection, dropped | - special token | + kept, since a query needs one row",
		},
		{
			name:   "an unseen word serves before a special token",
			pruner: querypruner.Pruner{Strategy: querypruner.ICF, Keep: keep(1), Drop: querypruner.Drop{Specials: true, Unseen: true}, Vocabulary: special(cls)},
			query:  query(cls, unknown),
			probe:  []int{1},
			rows:   "- special token | + kept, since a query needs one row",
		},
		{
			name:   "icf breaks ties by position",
			pruner: querypruner.Pruner{Strategy: querypruner.ICF, Keep: keep(3)},
			query:  query(common, rare, common, rare, common),
			probe:  []int{0, 1, 3},
			rows: "+ rank 3, frequency 60 | + rank 1, frequency 3 | - rank 4, frequency 60 | " +
				"+ rank 2, frequency 3 | - rank 5, frequency 60",
		},
		{
			name:   "keeping more rows than there are keeps all",
			pruner: querypruner.Pruner{Strategy: querypruner.ICF, Keep: keep(32)},
			query:  query(the, rare),
			probe:  []int{0, 1},
			rows:   "+ rank 2, frequency 900 | + rank 1, frequency 3",
		},
		{
			name:   "a query without rows",
			pruner: querypruner.Pruner{Strategy: querypruner.ICF, Keep: keep(4), ScoreKept: true},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := encoder.Tokens{IDs: slices.Clone(test.query.IDs), Vectors: test.query.Vectors}
			before.Vectors.Data = slices.Clone(test.query.Vectors.Data)
			selection, err := test.pruner.Select(test.query, hundred)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(selection.Probe, test.probe) {
				t.Errorf("rows %v look, want %v", selection.Probe, test.probe)
			}
			if selection.Score != nil {
				t.Errorf("rows %v score, want nil for all", selection.Score)
			}
			if got := words(selection.Rows); got != test.rows {
				t.Errorf("reasons\n%s\nwant\n%s", got, test.rows)
			}
			if !slices.Equal(test.query.IDs, before.IDs) || !slices.Equal(test.query.Vectors.Data, before.Vectors.Data) {
				t.Error("the query was changed")
			}
		})
	}
}

// angles is a query of unit vectors at these angles, in degrees, of a plane.
func angles(ids []uint32, degrees ...float64) encoder.Tokens {
	q := encoder.Tokens{IDs: ids, Vectors: simd.NewMatrix(len(degrees), 8)}
	for i, a := range degrees {
		sin, cos := math.Sincos(a * math.Pi / 180)
		copy(q.Vectors.Row(i), []float32{float32(cos), float32(sin)})
	}
	return q
}

func TestSelectMerges(t *testing.T) {
	// 40 and 50 degrees lie with 0 in a ball of 60 degrees, 100 and 150 do not;
	// these two lie with each other.
	q := angles([]uint32{the, rare, common, repeated, unknown}, 0, 40, 100, 50, 150)
	p := querypruner.Pruner{Merge: 0.5}
	selection, err := p.Select(q, hundred)
	if err != nil {
		t.Fatal(err)
	}
	want := "+ all rows look, looks for 3 tokens | - looks together with token 1 | + all rows look, looks for 2 tokens | " +
		"- looks together with token 1 | - looks together with token 3"
	if got := words(selection.Rows); got != want {
		t.Errorf("reasons\n%s\nwant\n%s", got, want)
	}
	if !slices.Equal(selection.Probe, []int{5, 6}) || !slices.Equal(selection.Score, []int{0, 1, 2, 3, 4}) {
		t.Errorf("rows %v look, %v score", selection.Probe, selection.Score)
	}
	for at, group := range [][]int{{0, 1, 3}, {2, 4}} {
		checkSum(t, selection.Vectors.Row(5+at), float64(len(group)), q, group...)
		if n := selection.MeanOf(5 + at); n != len(group) || selection.MeanOf(at) != 1 {
			t.Errorf("vector %d is the mean of %d rows, row %d of %d; want %d and 1", 5+at, n, at, selection.MeanOf(at), len(group))
		}
	}
	p.ScoreKept = true
	if selection, err = p.Select(q, hundred); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(selection.Probe, []int{0, 2}) || !slices.Equal(selection.Score, []int{0, 2}) {
		t.Errorf("rows %v look, %v score", selection.Probe, selection.Score)
	}
	checkSum(t, selection.Vectors.Row(0), 1, q, 0, 1, 3)
	checkSum(t, selection.Vectors.Row(2), 1, q, 2, 4)

	// A group is as useful as its rarest token.
	p = querypruner.Pruner{Merge: 0.5, Strategy: querypruner.ICF, Keep: keep(1), Drop: querypruner.Drop{Unseen: true}}
	if selection, err = p.Select(q, hundred); err != nil {
		t.Fatal(err)
	}
	want = "+ rank 1, frequency 3, looks for 3 tokens | - looks together with token 1 | - rank 2, frequency 60 | " +
		"- looks together with token 1 | - not in the collection, dropped"
	if got := words(selection.Rows); got != want {
		t.Errorf("reasons\n%s\nwant\n%s", got, want)
	}
}

// checkSum wants the sum of rows of q, divided by n.
func checkSum(t *testing.T, got []float32, n float64, q encoder.Tokens, rows ...int) {
	t.Helper()
	for d, v := range got {
		var sum float64
		for _, i := range rows {
			sum += float64(q.Vectors.Row(i)[d])
		}
		if math.Abs(float64(v)-sum/n) > 1e-6 {
			t.Fatalf("dimension %d of the sum of rows %v over %v is %v, want %v", d, rows, n, v, sum/n)
		}
	}
}

func TestSelectCountsMasks(t *testing.T) {
	// The masks at 42 and 35 degrees are next to 40, the one at 170 to 100: 180 is
	// no text.
	q := angles([]uint32{cls, rare, common, mask, mask, mask}, 180, 40, 100, 42, 35, 170)
	p := querypruner.Pruner{
		Weights:    querypruner.MaskCounts,
		Vocabulary: querypruner.Vocabulary{Special: []uint32{cls}, Masks: []uint32{mask}},
	}
	selection, err := p.Select(q, hundred)
	if err != nil {
		t.Fatal(err)
	}
	want := "+ all rows look | + all rows look, weight 3.00 | + all rows look, weight 2.00 | " +
		"- mask, counts for token 2 | - mask, counts for token 2 | - mask, counts for token 3"
	if got := words(selection.Rows); got != want {
		t.Errorf("reasons\n%s\nwant\n%s", got, want)
	}
	if text := []int{0, 1, 2}; !slices.Equal(selection.Probe, text) || !slices.Equal(selection.Score, text) {
		t.Errorf("rows %v look and %v score, want %v", selection.Probe, selection.Score, text)
	}
	for i, weight := range []float32{1, 3, 2} {
		for d, v := range selection.Vectors.Row(i) {
			if v != weight*q.Vectors.Row(i)[d] {
				t.Fatalf("row %d is %v, want %v times %v", i, selection.Vectors.Row(i), weight, q.Vectors.Row(i))
			}
		}
	}
	// Without text there is nothing to count for.
	selection, err = p.Select(angles([]uint32{cls, mask}, 0, 1), hundred)
	if err != nil || len(selection.Probe) != 2 || selection.Score != nil {
		t.Errorf("rows %v of a query without text look, %v score (%v)", selection.Probe, selection.Score, err)
	}
}

func TestSelectWeighsByIDF(t *testing.T) {
	q := query(the, rare, unknown)
	selection, err := querypruner.Pruner{Weights: querypruner.IDFWeights, TokenRarity: true}.Select(q, hundred)
	if err != nil {
		t.Fatal(err)
	}
	idf := func(n float64) float64 { return math.Log(1 + (100-n+0.5)/(n+0.5)) }
	mean := (idf(90) + idf(2) + idf(0)) / 3
	for i, n := range []float64{90, 2, 0} {
		want := idf(n) / mean
		if got := float64(selection.Rows[i].Weight); math.Abs(got-want) > 1e-6 {
			t.Errorf("row %d weighs %v, want %v", i, got, want)
		}
		if got := float64(selection.Vectors.Row(i)[0]); math.Abs(got-want*float64(q.IDs[i])) > 1e-4 {
			t.Errorf("row %d begins with %v, want %v", i, got, want*float64(q.IDs[i]))
		}
		if got, want := selection.Rarity[i], math.Log(1001/(n+1)); math.Abs(got-want) > 1e-12 {
			t.Errorf("row %d has the rarity %v, want %v", i, got, want)
		}
	}
}

// TestSelectAdapts compares the adaptive limits with a search among all
// numbers of rows.
func TestSelectAdapts(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	for range 1000 {
		q := randomQuery(random)
		if len(q.IDs) == 0 {
			continue
		}
		mass, cost := 1-random.Float64(), 1+random.IntN(300)
		order := make([]int, len(q.IDs))
		for i := range order {
			order[i] = i
		}
		n := func(i int) float64 { return float64(hundred.tokens[q.IDs[i]].documents) }
		idf := func(i int) float64 { return math.Log(1 + (100-n(i)+0.5)/(n(i)+0.5)) }
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(n(a), n(b)) })
		var all, held, read float64
		for i := range order {
			all += idf(i)
		}
		byMass, byCost := 0, 0
		for held < mass*all-1e-9 && byMass < len(order) {
			held += idf(order[byMass])
			byMass++
		}
		for byCost < len(order) && read+n(order[byCost]) <= float64(cost) {
			read += n(order[byCost])
			byCost++
		}
		for _, test := range []struct {
			keep querypruner.Keep
			want int
		}{
			{querypruner.Keep{Mass: mass}, byMass},
			{querypruner.Keep{Cost: cost}, byCost},
			{querypruner.Keep{Mass: mass, Cost: cost}, min(byMass, byCost)},
			{querypruner.Keep{Mass: mass, Cost: cost, Count: 2}, min(byMass, byCost, 2)},
		} {
			selection, err := querypruner.Pruner{Strategy: querypruner.IDF, Keep: test.keep}.Select(q, hundred)
			if err != nil {
				t.Fatal(err)
			}
			want := slices.Sorted(slices.Values(order[:max(test.want, 1)]))
			if !slices.Equal(selection.Probe, want) {
				t.Fatalf("%+v of %v: rows %v look, want %v", test.keep, q.IDs, selection.Probe, want)
			}
		}
	}
}

func TestSelectStopWords(t *testing.T) {
	p := querypruner.Pruner{Drop: querypruner.Drop{StopWords: "english"}}
	if _, err := p.Select(query(the, rare), hundred); !errors.Is(err, querypruner.ErrInvalid) || !strings.Contains(err.Error(), `"english"`) {
		t.Errorf("without a list: error %v", err)
	}
	p.Vocabulary.Stop = []uint32{the, common}
	selection, err := p.Select(query(the, rare, common), hundred)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := words(selection.Rows), "- stop word | + no stop word | - stop word"; got != want {
		t.Errorf("reasons %s, want %s", got, want)
	}
}

// TestSelectSpans tells special tokens by their empty spans.
func TestSelectSpans(t *testing.T) {
	q := query(cls, rare, mask)
	q.Spans = []encoder.Span{{}, {Start: 0, End: 4}, {}}
	selection, err := querypruner.Pruner{Drop: querypruner.Drop{Specials: true}}.Select(q, hundred)
	if err != nil || !slices.Equal(selection.Probe, []int{1}) {
		t.Errorf("rows %v look (%v), want row 1", selection.Probe, err)
	}
}

func TestSelectShare(t *testing.T) {
	for _, test := range []struct {
		share      float64
		rows, want int
	}{
		{0.5, 4, 2},
		{0.5, 5, 3}, // rounded up
		{0.01, 5, 1},
		{1e-12, 5, 1},
		{0.07, 100, 7}, // although 0.07 * 100 > 7 in floating point
		{0.071, 100, 8},
		{1. / 3, 3, 1},
		{1, 5, 5},
	} {
		ids := make([]uint32, test.rows)
		for i := range ids {
			ids[i] = uint32(i)
		}
		p := querypruner.Pruner{Strategy: querypruner.ICF, Keep: share(test.share)}
		selection, err := p.Select(query(ids...), hundred)
		if err != nil {
			t.Fatal(err)
		}
		if len(selection.Probe) != test.want {
			t.Errorf("share %v of %d rows keeps %d, want %d", test.share, test.rows, len(selection.Probe), test.want)
		}
	}
}

func TestSelectScoreKept(t *testing.T) {
	p := querypruner.Pruner{Strategy: querypruner.ICF, Keep: keep(2), ScoreKept: true}
	selection, err := p.Select(query(the, rare, common), hundred)
	if err != nil {
		t.Fatal(err)
	}
	if want := []int{1, 2}; !slices.Equal(selection.Score, want) || !slices.Equal(selection.Probe, want) {
		t.Errorf("rows %v look and %v score, want %v for both", selection.Probe, selection.Score, want)
	}
	selection.Score[0] = 7
	if selection.Probe[0] == 7 {
		t.Error("the two lists share their memory")
	}
}

func TestSelectRandom(t *testing.T) {
	const rows, trials = 10, 2000
	ids := make([]uint32, rows)
	for i := range ids {
		ids[i] = uint32(i)
	}
	q := query(ids...)
	times := make([]int, rows)
	for seed := range uint64(trials) {
		p := querypruner.Pruner{Strategy: querypruner.Random, Keep: keep(3), Seed: seed}
		selection, err := p.Select(q, hundred)
		if err != nil {
			t.Fatal(err)
		}
		if len(selection.Probe) != 3 {
			t.Fatalf("%d rows look, want 3", len(selection.Probe))
		}
		for _, row := range selection.Probe {
			times[row]++
		}
		again, err := p.Select(q, hundred)
		if err != nil || !reflect.DeepEqual(selection, again) {
			t.Fatalf("seed %d: the same query was pruned in two ways (%v)", seed, err)
		}
	}
	// Every row is kept 600 times on average; five standard deviations
	// of a binomial are 102.
	for row, n := range times {
		if n < 498 || n > 702 {
			t.Errorf("row %d was kept %d times of %d, want about 600", row, n, trials)
		}
	}
	differ := 0
	for i := range uint32(50) {
		p := querypruner.Pruner{Strategy: querypruner.Random, Keep: keep(3)}
		first, err := p.Select(query(i, 1, 2, 3, 4, 5, 6, 7), hundred)
		second, err2 := p.Select(query(i+1, 1, 2, 3, 4, 5, 6, 7), hundred)
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(first.Probe, second.Probe) {
			differ++
		}
	}
	if differ < 40 {
		t.Errorf("only %d of 50 pairs of queries got different rows", differ)
	}
}

func TestSelectRefuses(t *testing.T) {
	short := query(rare, common)
	short.IDs = short.IDs[:1]
	cut := query(rare, common)
	cut.Vectors.Data = cut.Vectors.Data[:9]
	infinite := query(rare)
	infinite.Vectors.Data[3] = float32(math.Inf(1))
	for name, q := range map[string]encoder.Tokens{"ids": short, "data": cut, "infinite": infinite} {
		for _, p := range valid {
			if _, err := p.Select(q, hundred); !errors.Is(err, encoder.ErrInvalid) {
				t.Errorf("%s, %v: error %v, want encoder.ErrInvalid", name, p, err)
			}
		}
	}
	if _, err := (querypruner.Pruner{Strategy: querypruner.ICF}).Select(query(rare), hundred); !errors.Is(err, querypruner.ErrInvalid) {
		t.Errorf("a pruner without a number: error %v, want ErrInvalid", err)
	}
}

// valid has a pruner of each strategy.
var valid = []querypruner.Pruner{
	{},
	{Strategy: querypruner.ICF, Keep: keep(2)},
	{Strategy: querypruner.IDF, Keep: share(0.5), Drop: querypruner.Drop{Unseen: true}},
	{Strategy: querypruner.First, Keep: keep(2)},
	{Strategy: querypruner.Random, Keep: keep(2), Seed: 7},
	{Strategy: querypruner.Population, Keep: keep(2), ScoreKept: true},
	{Drop: querypruner.Drop{Specials: true}, Vocabulary: special(cls)},
	{Drop: querypruner.Drop{StopShare: 0.2}},
	{Strategy: querypruner.ICF, Keep: querypruner.Keep{Count: 9, Mass: 0.8, Cost: 5000}, Merge: 0.7},
	{Weights: querypruner.IDFWeights, TokenRarity: true},
	{Weights: querypruner.MaskCounts, Vocabulary: querypruner.Vocabulary{Special: []uint32{cls}, Masks: []uint32{mask}}},
}

// published is the selection of Tonellotto and Macdonald (CIKM 2021) as their
// code makes it: every position has the score -frequency, or minus infinity if
// the token never occurs, and the p positions with the highest scores are
// kept. Equal scores go by position here, where theirs go in any order.
func published(frequencies []int64, p int) []int {
	scores := make([]float64, len(frequencies))
	for i, f := range frequencies {
		scores[i] = -float64(f)
		if f == 0 {
			scores[i] = math.Inf(-1)
		}
	}
	var kept []int
	for range min(p, len(scores)) {
		best := -1
		for i, s := range scores {
			if !slices.Contains(kept, i) && (best < 0 || s > scores[best]) {
				best = i
			}
		}
		kept = append(kept, best)
	}
	slices.Sort(kept)
	return kept
}

// TestSelectPublished compares ICF and IDF with the published algorithm. It
// fills up with tokens that never occur; DropUnseen leaves them out.
func TestSelectPublished(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		stats := collection{size: 1000, tokens: map[uint32]counts{}}
		for id := range uint32(20) {
			if random.IntN(4) > 0 {
				n := random.Int64N(8) // small, for ties
				stats.tokens[id] = counts{n * 3, n}
			}
		}
		ids := make([]uint32, 1+random.IntN(32))
		vectors, documents := make([]int64, len(ids)), make([]int64, len(ids))
		for i := range ids {
			ids[i] = random.Uint32N(20)
			vectors[i], documents[i] = stats.tokens[ids[i]].collection, stats.tokens[ids[i]].documents
		}
		p := 1 + random.IntN(35)
		for strategy, frequencies := range map[querypruner.Strategy][]int64{querypruner.ICF: vectors, querypruner.IDF: documents} {
			want := published(frequencies, p)
			occurring := slices.DeleteFunc(slices.Clone(want), func(i int) bool { return frequencies[i] == 0 })
			if len(occurring) == 0 {
				occurring = []int{0}
			}
			selection, err := querypruner.Pruner{Strategy: strategy, Keep: keep(p), Drop: querypruner.Drop{Unseen: true}}.Select(query(ids...), stats)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(selection.Probe, occurring) {
				t.Fatalf("%v:%d of frequencies %v: rows %v, the paper's are %v", strategy, p, frequencies, selection.Probe, occurring)
			}
		}
	}
}

// TestSelectProperties checks what holds for every pruner and query.
func TestSelectProperties(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		p := randomPruner(random)
		q := randomQuery(random)
		selection, err := p.Select(q, hundred)
		if err != nil {
			t.Fatal(err)
		}
		rows := q.Vectors.Rows
		if len(selection.Rows) != rows {
			t.Fatalf("%v: %d reasons for %d rows", p, len(selection.Rows), rows)
		}
		if rows > 0 && len(selection.Probe) == 0 {
			t.Fatalf("%v: no row looks", p)
		}
		checkSelection(t, p, q, selection)
		if p.Keep.Count == 0 || p.Merge > 0 {
			continue
		}
		// One row more keeps what one row less kept.
		more := p
		more.Keep.Count++
		larger, err := more.Select(q, hundred)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range selection.Probe {
			if !slices.Contains(larger.Probe, row) {
				t.Fatalf("%v keeps row %d, %v does not", p, row, more)
			}
		}
	}
}

// checkSelection checks that the parts of a selection agree with each other.
func checkSelection(t *testing.T, p querypruner.Pruner, q encoder.Tokens, s querypruner.Selection) {
	t.Helper()
	rows := q.Vectors.Rows
	var kept, means int
	for i, r := range s.Rows {
		if r.Kept {
			kept++
			if r.Members > 1 && !p.ScoreKept {
				means++
			} else if !slices.Contains(s.Probe, i) {
				t.Fatalf("%v: row %d is marked, but only %v look", p, i, s.Probe)
			}
		}
	}
	if kept != len(s.Probe) {
		t.Fatalf("%v: rows %v look, but %d are marked", p, s.Probe, kept)
	}
	if s.Vectors.Rows != rows+means || s.Vectors.Validate() != nil {
		t.Fatalf("%v: %d vectors for %d rows and %d means", p, s.Vectors.Rows, rows, means)
	}
	for _, list := range [][]int{s.Probe, s.Score} {
		if !slices.IsSorted(list) || len(slices.Compact(slices.Clone(list))) != len(list) {
			t.Fatalf("%v: rows %v are not ascending", p, list)
		}
	}
	if p.ScoreKept && rows > 0 && !slices.Equal(s.Score, s.Probe) {
		t.Fatalf("%v: rows %v score, but %v look", p, s.Score, s.Probe)
	}
	if s.Score == nil && means > 0 {
		t.Fatalf("%v: means score beside their parts", p)
	}
	if p.TokenRarity && len(s.Rarity) != s.Vectors.Rows {
		t.Fatalf("%v: rarities %v of %d vectors", p, s.Rarity, s.Vectors.Rows)
	}
}

func randomQuery(random *rand.Rand) encoder.Tokens {
	ids := make([]uint32, random.IntN(12))
	for i := range ids {
		ids[i] = cls + random.Uint32N(7)
	}
	if random.IntN(3) == 0 {
		return withoutIDs(ids...)
	}
	return query(ids...)
}

// randomPruner returns a valid pruner.
func randomPruner(random *rand.Rand) querypruner.Pruner {
	often := func() bool { return random.IntN(2) == 0 }
	seldom := func() bool { return random.IntN(4) == 0 }
	p := querypruner.Pruner{
		Strategy:    querypruner.Strategy(random.IntN(int(querypruner.Population) + 1)),
		Drop:        querypruner.Drop{Specials: seldom(), Unseen: seldom()},
		Weights:     querypruner.Weights(random.IntN(int(querypruner.MaskCounts) + 1)),
		ScoreKept:   often(),
		TokenRarity: seldom(),
	}
	if often() {
		p.Seed = random.Uint64()
	}
	if p.Strategy != querypruner.KeepAll {
		switch random.IntN(4) {
		case 0:
			p.Keep.Share = cmp.Or(float64(random.IntN(101))/100, 1)
		case 1:
			p.Keep.Share = 1 - random.Float64()
		case 2:
			p.Keep.Mass = 1 - random.Float64()
		}
		if p.Keep == (querypruner.Keep{}) {
			p.Keep.Count = 1 + random.IntN(12)
		}
		if seldom() {
			p.Keep.Cost = 1 + random.IntN(500)
		}
	}
	if seldom() {
		p.Drop.StopShare = 1 - random.Float64()
	}
	if seldom() {
		p.Merge = 1 - random.Float64()
	}
	if seldom() {
		p.Vocabulary = querypruner.Vocabulary{Special: []uint32{cls}, Masks: []uint32{mask}}
	}
	return p
}

func TestValidate(t *testing.T) {
	for _, test := range []struct {
		pruner querypruner.Pruner
		faults []string
	}{
		{querypruner.Pruner{Strategy: 200}, []string{"unknown strategy 200"}},
		{querypruner.Pruner{Strategy: querypruner.ICF}, []string{"icf needs a number, share, mass or cost"}},
		{querypruner.Pruner{Keep: keep(3)}, []string{"all keeps all rows"}},
		{querypruner.Pruner{Weights: 9, Merge: 2}, []string{"unknown weights 9", "a cosine of 2"}},
		{querypruner.Pruner{Drop: querypruner.Drop{StopShare: 0.2, StopWords: "english"}}, []string{"both by a list and by their share"}},
		{querypruner.Pruner{Drop: querypruner.Drop{StopShare: math.NaN()}}, []string{"a share of NaN"}},
		{querypruner.Pruner{Strategy: querypruner.ICF, Keep: querypruner.Keep{Mass: -1, Cost: -1}}, []string{"mass -1 is not", "cost -1"}},
		{querypruner.Pruner{Strategy: querypruner.First, Keep: querypruner.Keep{Count: -1, Share: 1.5}}, []string{"cannot keep -1 rows", "share 1.5 is not"}},
		{querypruner.Pruner{Strategy: querypruner.First, Keep: share(math.NaN())}, []string{"share NaN is not"}},
	} {
		err := test.pruner.Validate()
		if !errors.Is(err, querypruner.ErrInvalid) {
			t.Errorf("%+v: error %v, want ErrInvalid", test.pruner, err)
			continue
		}
		for _, fault := range test.faults {
			if !strings.Contains(err.Error(), fault) {
				t.Errorf("%+v: error %q does not say %q", test.pruner, err, fault)
			}
		}
	}
	for _, p := range valid {
		if err := p.Validate(); err != nil {
			t.Errorf("%+v: %v", p, err)
		}
	}
}

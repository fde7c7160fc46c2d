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
			pruner: querypruner.Pruner{Special: []uint32{cls}},
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
			pruner: querypruner.Pruner{Strategy: querypruner.ICF, Keep: keep(3), DropUnseen: true},
			query:  sentence,
			probe:  []int{2, 3, 4},
			rows: "- rank 4, frequency 100 | - rank 5, frequency 900 | + rank 1, frequency 3 | " +
				"+ rank 2, frequency 60 | + rank 3, frequency 80 | - not in the collection, dropped",
		},
		{
			name:   "unseen tokens do not fill up a small query",
			pruner: querypruner.Pruner{Strategy: querypruner.IDF, Keep: keep(5), DropUnseen: true},
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
			pruner: querypruner.Pruner{Strategy: querypruner.First, Keep: keep(2), Special: []uint32{cls}},
			query:  query(cls, the, rare, common),
			probe:  []int{1, 2},
			rows:   "- special token | + rank 1 | + rank 2 | - rank 3",
		},
		{
			name:   "first does not look at frequencies",
			pruner: querypruner.Pruner{Strategy: querypruner.First, Keep: keep(1), DropUnseen: true},
			query:  query(unknown, rare),
			probe:  []int{0},
			rows:   "+ rank 1 | - rank 2",
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
			pruner: querypruner.Pruner{Strategy: querypruner.DropSpecials, Special: []uint32{cls}},
			query:  withoutIDs(cls, rare),
			probe:  []int{0, 1},
			rows:   "+ no special token | + no special token",
		},
		{
			name:   "special tokens never look under a ranking strategy",
			pruner: querypruner.Pruner{Strategy: querypruner.ICF, Keep: keep(9), Special: []uint32{cls, mask}},
			query:  sentence,
			probe:  []int{1, 2, 3, 4},
			rows: "- special token | + rank 4, frequency 900 | + rank 1, frequency 3 | " +
				"+ rank 2, frequency 60 | + rank 3, frequency 80 | - special token",
		},
		{
			name:   "nospecials keeps the rest",
			pruner: querypruner.Pruner{Strategy: querypruner.DropSpecials, Special: []uint32{cls, mask}},
			query:  sentence,
			probe:  []int{1, 2, 3, 4},
			rows: "- special token | + no special token | + no special token | " +
				"+ no special token | + no special token | - special token",
		},
		{
			name:   "nospecials of nothing but special tokens keeps the first",
			pruner: querypruner.Pruner{Strategy: querypruner.DropSpecials, Special: []uint32{cls, mask}},
			query:  query(mask, cls),
			probe:  []int{0},
			rows:   "+ kept, since a query needs one row | - special token",
		},
		{
			name:   "nostopwords counts documents and allows the limit itself",
			pruner: querypruner.Pruner{Strategy: querypruner.DropStopWords, Keep: share(0.4), Special: []uint32{cls}},
			query:  query(cls, the, common, repeated, unknown),
			probe:  []int{2, 3, 4},
			rows: "- special token | - in 90 documents, too many | + in 40 documents | + in 5 documents | " +
				"+ not in the collection",
		},
		{
			name:   "nostopwords drops unseen tokens if told to",
			pruner: querypruner.Pruner{Strategy: querypruner.DropStopWords, Keep: share(0.4), DropUnseen: true},
			query:  query(the, unknown, rare),
			probe:  []int{2},
			rows:   "- in 90 documents, too many | - not in the collection, dropped | + in 2 documents",
		},
		{
			name:   "nostopwords without ids counts the documents of cells",
			pruner: querypruner.Pruner{Strategy: querypruner.DropStopWords, Keep: share(0.5)},
			query:  withoutIDs(rare, common),
			probe:  []int{1},
			rows:   "- in 90 documents, too many | + in 20 documents",
		},
		{
			name:   "nothing but stop words keeps the rarest",
			pruner: querypruner.Pruner{Strategy: querypruner.DropStopWords, Keep: share(0.01)},
			query:  query(the, common, cls),
			probe:  []int{1},
			rows:   "- in 90 documents, too many | + kept, since a query needs one row | - in 100 documents, too many",
		},
		{
			name:   "a stop word serves before a special token and before an unseen word",
			pruner: querypruner.Pruner{Strategy: querypruner.DropStopWords, Keep: share(0.5), DropUnseen: true, Special: []uint32{rare}},
			query:  query(unknown, rare, the),
			probe:  []int{2},
			rows:   "- not in the collection, dropped | - special token | + kept, since a query needs one row",
		},
		{
			name:   "an unseen word serves before a special token",
			pruner: querypruner.Pruner{Strategy: querypruner.ICF, Keep: keep(1), DropUnseen: true, Special: []uint32{cls}},
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
	{Strategy: querypruner.IDF, Keep: share(0.5), DropUnseen: true},
	{Strategy: querypruner.First, Keep: keep(2)},
	{Strategy: querypruner.Random, Keep: keep(2), Seed: 7},
	{Strategy: querypruner.Population, Keep: keep(2), ScoreKept: true},
	{Strategy: querypruner.DropSpecials, Special: []uint32{cls}},
	{Strategy: querypruner.DropStopWords, Keep: share(0.2)},
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
			selection, err := querypruner.Pruner{Strategy: strategy, Keep: keep(p), DropUnseen: true}.Select(query(ids...), stats)
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
		var kept []int
		for i, r := range selection.Rows {
			if r.Kept {
				kept = append(kept, i)
			}
		}
		if !slices.Equal(kept, selection.Probe) {
			t.Fatalf("%v: rows %v look, but %v are marked", p, selection.Probe, kept)
		}
		if p.ScoreKept != (selection.Score != nil) && rows > 0 {
			t.Fatalf("%v: rows %v score", p, selection.Score)
		}
		if p.Keep.Count == 0 {
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
	p := querypruner.Pruner{
		Strategy:   querypruner.Strategy(random.IntN(int(querypruner.DropStopWords) + 1)),
		DropUnseen: random.IntN(2) == 0,
		ScoreKept:  random.IntN(2) == 0,
	}
	if random.IntN(2) == 0 {
		p.Seed = random.Uint64()
	}
	switch {
	case p.Strategy == querypruner.DropStopWords || p.Strategy >= querypruner.ICF && p.Strategy <= querypruner.Population && random.IntN(2) == 0:
		p.Keep.Share = 1 - random.Float64()
		if random.IntN(4) == 0 {
			p.Keep.Share = cmp.Or(float64(random.IntN(101))/100, 1)
		}
	case p.Strategy >= querypruner.ICF && p.Strategy <= querypruner.Population:
		p.Keep.Count = 1 + random.IntN(12)
	}
	if random.IntN(3) == 0 {
		p.Special = []uint32{cls, mask}
	}
	return p
}

func TestValidate(t *testing.T) {
	for _, test := range []struct {
		pruner querypruner.Pruner
		faults []string
	}{
		{querypruner.Pruner{Strategy: 200}, []string{"unknown strategy 200"}},
		{querypruner.Pruner{Strategy: querypruner.ICF}, []string{"icf needs a number or share of rows"}},
		{querypruner.Pruner{Strategy: querypruner.DropStopWords, Keep: keep(3)}, []string{"nostopwords needs a share of the documents"}},
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

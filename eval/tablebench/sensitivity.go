package tablebench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"gonum.org/v1/gonum/stat"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/encoder/table"
	"github.com/pare-search/pare/eval"
	"github.com/pare-search/pare/eval/searchbench"
	"github.com/pare-search/pare/internal/reservoir"
	"github.com/pare-search/pare/simd"
)

// Sensitivity is how much searches suffer from errors in the rows of words.
type Sensitivity struct {
	// Bands are of words that occur, the most frequent first.
	Bands []Band `json:"bands"`
	// Rows are the sensitivities of all rows: of words that do not occur, that of the
	// rarest band.
	Rows []float64 `json:"-"`
}

// Band are words of about the same frequency.
type Band struct {
	Words   int   `json:"words"`
	Lookups int64 `json:"lookups"`
	// Loss is 1 less the correlation of scores before and after an error of a tenth of
	// the squares of these words' rows, mean over queries.
	Loss float64 `json:"loss"`
	// Sensitivity is the loss over the squared error in look-ups, relative to that of all
	// bands: 1 is what frequency alone would say.
	Sensitivity float64 `json:"sensitivity"`
}

const (
	sensitivityBands = 7
	sensitivityTexts = 512
	noiseSquares     = 0.1 // of a row's: about what two bits per value leave
	queryWords       = 8
)

// MeasureSensitivity adds noise to the rows of one band of words after another, encodes a
// sample of texts anew, and compares the scores that passages cut from the middle of
// texts then give to all texts. It uses no queries or judgments of anybody: what it
// says can be used on collections that have both. The same seed gives the same result.
func MeasureSensitivity(ctx context.Context, s Subject, texts iter.Seq2[string, error], seed uint64) (*Sensitivity, error) {
	if len(s.Frequencies) != s.Words.Rows {
		return nil, fmt.Errorf("%w: %d frequencies for %d words", ErrInvalid, len(s.Frequencies), s.Words.Rows)
	}
	some, err := sample(ctx, texts, sensitivityTexts, seed)
	if err != nil {
		return nil, err
	}
	m := &probe{}
	for i, text := range some {
		m.documents = append(m.documents, Document{strconv.Itoa(i), text})
	}
	m.queries = keywords(some)
	before, err := m.scores(ctx, s.Encoder)
	if err != nil {
		return nil, err
	}
	out := &Sensitivity{Rows: make([]float64, s.Words.Rows)}
	bands := bandsOf(s.Frequencies)
	lost, errorSum := 0.0, 0.0
	squares := make([]float64, len(bands))
	for i, band := range bands {
		noisy := simd.Matrix{Rows: s.Words.Rows, Dim: s.Words.Dim, Data: slices.Clone(s.Words.Data)}
		squares[i] = addNoise(noisy, band, s.Frequencies, rand.New(rand.NewPCG(seed, uint64(i))))
		plain, err := table.Plain(noisy)
		if err != nil {
			return nil, err
		}
		enc, err := s.With(plain)
		if err != nil {
			return nil, err
		}
		after, err := m.scores(ctx, enc)
		if err != nil {
			return nil, err
		}
		b := Band{Words: len(band), Loss: meanLoss(before, after)}
		for _, row := range band {
			b.Lookups += s.Frequencies[row]
		}
		out.Bands = append(out.Bands, b)
		lost, errorSum = lost+b.Loss, errorSum+squares[i]
	}
	rarest := 1.0
	for i, band := range bands {
		b := &out.Bands[i]
		if rarest = b.Loss / squares[i] * errorSum / lost; !(rarest >= 0 && rarest <= math.MaxFloat32) {
			rarest = 1 // nothing to lose, or no error
		}
		b.Sensitivity = rarest
		for _, row := range band {
			out.Rows[row] = rarest
		}
	}
	for row, f := range s.Frequencies {
		if f == 0 {
			out.Rows[row] = rarest
		}
	}
	return out, nil
}

// keywords returns a query for each text: the words of it that fewest texts have, but
// not it alone, in their order.
func keywords(texts []string) []string {
	lists := make([][]string, len(texts))
	count := make(map[string]int) // texts that have a word
	for i, text := range texts {
		for _, word := range strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
			if !slices.Contains(lists[i], word) {
				lists[i] = append(lists[i], word)
				count[word]++
			}
		}
	}
	queries := make([]string, len(texts))
	for i, list := range lists {
		shared := slices.DeleteFunc(slices.Clone(list), func(w string) bool { return count[w] < 2 })
		slices.SortStableFunc(shared, func(a, b string) int { return cmp.Compare(count[a], count[b]) })
		shared = shared[:min(len(shared), queryWords)]
		queries[i] = strings.Join(slices.DeleteFunc(list, func(w string) bool { return !slices.Contains(shared, w) }), " ")
	}
	return queries
}

// probe are texts and what is searched in them.
type probe struct {
	documents []Document
	queries   []string
}

// scores returns the score of every text for every query.
func (p *probe) scores(ctx context.Context, enc encoder.Encoder) ([][]float64, error) {
	queries := make([]searchbench.Query, len(p.queries))
	for i, text := range p.queries {
		tokens, err := enc.EncodeQuery(ctx, text)
		if err != nil {
			return nil, err
		}
		queries[i] = searchbench.Query{ID: strconv.Itoa(i), Tokens: tokens}
	}
	var vectors []simd.Matrix
	run, err := searchbench.RankAll(ctx, encoded(ctx, enc, p.documents, &vectors), queries, max(1, len(p.documents)), nil)
	if err != nil {
		return nil, err
	}
	all := make([][]float64, len(queries))
	for i, q := range queries {
		all[i] = scoresByNumber(run.Results[q.ID], len(p.documents))
	}
	return all, nil
}

// scoresByNumber returns the scores of documents whose ids are their numbers, 0 where
// a document has no vectors.
func scoresByNumber(results []eval.Result, documents int) []float64 {
	scores := make([]float64, documents)
	for _, r := range results {
		if i, err := strconv.Atoi(r.ID); err == nil {
			scores[i] = r.Score
		}
	}
	return scores
}

// meanLoss is 1 less the mean of Pearson's correlation, over queries whose scores differ.
func meanLoss(before, after [][]float64) float64 {
	sum, n := 0.0, 0
	for i := range before {
		if r := stat.Correlation(before[i], after[i], nil); !math.IsNaN(r) {
			sum += 1 - r
			n++
		}
	}
	return sum / float64(max(n, 1))
}

// bandsOf cuts the words that occur, most frequent first, into bands each of which has
// twice as many words as the one before.
func bandsOf(frequencies []int64) [][]int {
	var order []int
	for row, f := range frequencies {
		if f > 0 {
			order = append(order, row)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(frequencies[b], frequencies[a]) })
	var bands [][]int
	begin := 0
	for i := range sensitivityBands {
		end := len(order) * (2<<i - 1) / (1<<sensitivityBands - 1)
		if end > begin {
			bands = append(bands, order[begin:end])
			begin = end
		}
	}
	return bands
}

// addNoise adds normal noise of noiseSquares times a row's squares to some rows, and
// returns the sum of its squares over all look-ups.
func addNoise(m simd.Matrix, rows []int, frequencies []int64, rng *rand.Rand) float64 {
	sum := 0.0
	for _, id := range rows {
		row := m.Row(id)
		scale := math.Sqrt(noiseSquares * float64(simd.Dot(row, row)) / float64(len(row)))
		for d := range row {
			e := scale * rng.NormFloat64()
			row[d] += float32(e)
			sum += float64(frequencies[id]) * e * e
		}
	}
	return sum
}

// sample draws so many texts that have words in them, all if there are no more.
func sample(ctx context.Context, texts iter.Seq2[string, error], n int, seed uint64) ([]string, error) {
	some := reservoir.New[string](n, rand.New(rand.NewPCG(seed, 0x7465787473)))
	for text, err := range texts {
		if err := cmp.Or(err, ctx.Err()); err != nil {
			return nil, err
		}
		if strings.TrimSpace(text) != "" {
			some.Add(text)
		}
	}
	if len(some.Items) < 2 {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, errTexts)
	}
	return some.Items, nil
}

var errTexts = errors.New("fewer than two texts to search")

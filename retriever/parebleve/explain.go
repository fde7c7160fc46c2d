package parebleve

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/blevesearch/bleve/v2/index/scorch"
	"github.com/blevesearch/bleve/v2/search"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/index/docpruner"
	"github.com/pare-search/pare/querypruner"
	"github.com/pare-search/pare/simd"
)

// storedValue is one value of a text field, as it is stored.
type storedValue struct {
	text      string
	positions []uint64
}

// storedTexts returns the stored values of a document's text field, those of
// nested documents after their parent's, as textsOf does.
func storedTexts(snapshot *scorch.IndexSnapshot, field string, document uint32) ([]storedValue, error) {
	base := uint64(0)
	for _, seg := range snapshot.Segments() {
		size := uint64(seg.FullSize())
		if uint64(document) >= base+size {
			base += size
			continue
		}
		var values []storedValue
		root := uint64(document) - base
		// Nested documents follow the one that they are part of.
		for number := root; number < size && rootOf(seg, number) == root; number++ {
			if err := seg.VisitDocument(number, func(name string, kind byte, value []byte, positions []uint64) bool {
				if name == field && kind == 't' {
					values = append(values, storedValue{string(value), slices.Clone(positions)})
				}
				return true
			}); err != nil {
				return nil, err
			}
		}
		return values, nil
	}
	return nil, nil
}

// rootOf returns the number of the document that a document of a segment is
// nested in, or its own.
func rootOf(seg *scorch.SegmentSnapshot, number uint64) uint64 {
	ancestors := seg.Ancestors(number, nil)
	if len(ancestors) == 0 {
		return number
	}
	return uint64(ancestors[len(ancestors)-1])
}

// rowMatch says which of the document's vectors matched a query row best.
type rowMatch struct {
	similarity float32
	vector     int // -1 if the document has no vectors
}

// maxima returns the best match of each query row.
func (r *run) maxima(h *hit) ([]rowMatch, error) {
	rows := r.packed.Rows
	matches := make([]rowMatch, rows)
	if h.group == nil {
		vectors := h.vectors()
		for i := range matches {
			matches[i].vector = -1
			for j := range vectors.Rows {
				if s := simd.Dot(r.tokens.Vectors.Row(i), vectors.Row(j)); matches[i].vector < 0 || s > matches[i].similarity {
					matches[i] = rowMatch{s, j}
				}
			}
		}
		return matches, nil
	}
	src := h.group.source
	payload, err := src.Payload(h.document)
	if err != nil {
		return nil, err
	}
	if h.group.scorer == nil {
		h.group.scorer = src.book.NewScorer()
		if err := h.group.scorer.Reset(h.group.packed, nil, nil); err != nil {
			return nil, err
		}
	}
	all := h.group.packed.Rows // means of merged rows come last
	best, arg := make([]float32, all), make([]int32, all)
	if err := h.group.scorer.Maxima(payload, best, arg); err != nil {
		return nil, fmt.Errorf("%w: document number %d: %w", ErrCorrupt, h.document, err)
	}
	for i := range matches {
		matches[i] = rowMatch{best[i], int(arg[i])}
	}
	return matches, nil
}

// vectors are those that were made on the spot.
func (h *hit) vectors() simd.Matrix {
	if h.fresh == nil {
		return simd.Matrix{}
	}
	return h.fresh.Vectors
}

// place is where a token of the document stands.
type place struct {
	text string
	search.Location
	length float64 // of its vector
}

// places are where the stored vectors of a document come from.
type places struct {
	tokens []place          // of all tokens
	whole  simd.Matrix      // their vectors
	pruned docpruner.Pruned // what is stored of them
}

// findPlaces encodes the stored values of the hits on the page again, all
// together, and notes where each of their vectors comes from, as far as the
// encoder says: places are not stored, since only explanations need them.
func (r *run) findPlaces(ctx context.Context) error {
	if r.places != nil {
		return nil
	}
	var shown []*hit
	var values []storedValue
	var first []int // values of shown[i] are values[first[i]:first[i+1]]
	for i := range r.hits {
		h := &r.hits[i]
		ok, err := r.onPage(h)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		stored, err := storedTexts(r.snapshot, r.field.name, h.document)
		if err != nil {
			return err
		}
		shown, first, values = append(shown, h), append(first, len(values)), append(values, stored...)
	}
	first = append(first, len(values))
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = v.text
	}
	tokens, err := r.index.encodeDocuments(ctx, texts)
	if err != nil {
		return err
	}
	r.places = make(map[uint32]places)
	for i, h := range shown {
		lo, hi := first[i], first[i+1]
		var all []place
		for j, t := range tokens[lo:hi] {
			all = append(all, placesOf(t, values[lo+j])...)
		}
		if r.places[h.document], err = r.storedPlaces(h, joinTokens(tokens[lo:hi]), all); err != nil {
			return err
		}
	}
	return nil
}

// placesOf returns where the tokens of a stored value stand.
func placesOf(t encoder.Tokens, value storedValue) []place {
	places := make([]place, t.Vectors.Rows)
	for i := range places {
		p := &places[i]
		p.Location = search.Location{Pos: uint64(i + 1), ArrayPositions: value.positions}
		p.length = length(t.Vectors.Row(i))
		if t.Spans != nil {
			p.text = t.Spans[i].In(value.text)
			p.Start, p.End = uint64(t.Spans[i].Start), uint64(t.Spans[i].End)
		}
	}
	return places
}

// storedPlaces says which of the tokens of a hit, at the given places, its stored
// vectors are.
func (r *run) storedPlaces(h *hit, tokens encoder.Tokens, all []place) (places, error) {
	p := places{tokens: all, whole: tokens.Vectors, pruned: docpruner.Pruned{Tokens: tokens}}
	pruner := r.index.options.DocumentPruner
	if pruner == nil {
		return p, nil
	}
	rows := h.vectors().Rows
	if h.group != nil {
		payload, err := h.group.source.Payload(h.document)
		if err != nil {
			return places{}, err
		}
		if rows, err = h.group.source.book.Rows(payload); err != nil {
			return places{}, err
		}
	}
	if rows == len(all) { // it was stored as a whole
		return p, nil
	}
	var err error
	if p.pruned, err = pruner.Prune(tokens); err != nil || p.pruned.Vectors.Rows != rows { // it was stored otherwise
		return places{}, err
	}
	return p, nil
}

// of returns where the stored vector comes from that matches a row of the query
// best: of those that were merged into it the one most similar to the row. Its
// text is empty if that is not known.
func (p places) of(vector int, row []float32) place {
	if vector < 0 || vector >= p.pruned.Vectors.Rows {
		return place{}
	}
	if token := p.pruned.Match(vector, row, p.whole); token >= 0 && token < len(p.tokens) {
		return p.tokens[token]
	}
	return place{}
}

// length is the Euclidean norm of a vector.
func length(v []float32) float64 { return math.Sqrt(float64(simd.Dot(v, v))) }

// onPage tells whether a hit is among those that are explained.
func (r *run) onPage(h *hit) (bool, error) {
	if h.id == "" {
		var err error
		if h.id, err = r.snapshot.ExternalID(internalID(nil, h.document)); err != nil {
			return false, err
		}
	}
	return r.pass.page[h.id], nil
}

// minCosine is how similar a token must be to a query token to be marked: in a
// document about something else, too, every query token has some token that
// matches best.
const minCosine = 0.5

// explain says in match how the hit came to its score, and where the tokens
// are that matched the query's best, as far as the request asks for it. As long
// as it is not known which hits are returned, it says only what costs nothing.
func (r *run) explain(ctx context.Context, h *hit, match *search.DocumentMatch) error {
	if h.child != nil && r.options.IncludeTermVectors {
		match.FieldTermLocations = append(match.FieldTermLocations, flatten(h.child.Locations)...)
	}
	sum := &search.Explanation{Value: float64(h.score + h.lowered), Message: fmt.Sprintf("MaxSim of %q in field %s, sum of:", r.query.text, r.field.name)}
	switch {
	case r.packed.Rows == 0:
		sum.Value, sum.Message = h.child.Score, fmt.Sprintf("%q has no tokens", r.query.text)
	case h.group == nil && h.fresh == nil:
		sum.Message = "no vectors and no stored text"
	case r.pass.page != nil:
		shown, err := r.onPage(h)
		if err != nil {
			return err
		}
		if !shown {
			break
		}
		if err := r.explainRows(ctx, h, match, sum); err != nil {
			return err
		}
	}
	if !r.options.Explain {
		return nil
	}
	if h.child != nil {
		first := &search.Explanation{Value: h.child.Score, Message: "score of the child query, not part of the sum", PartialMatch: true}
		if r.packed.Rows == 0 {
			first.Message, first.PartialMatch = "score of the child query", false
		}
		if h.child.Expl != nil {
			first.Children = []*search.Explanation{h.child.Expl}
		}
		sum.Children = append(sum.Children, first)
	}
	if h.lowered > 0 {
		sum = &search.Explanation{Value: float64(h.score), Message: "sum of:", Children: []*search.Explanation{
			sum, {Value: float64(h.score) - sum.Value, Message: "lowered below the hits of earlier pages, for which fewer candidates were scored"},
		}}
	}
	match.Expl = sum
	if b := r.query.boost; b != 1 {
		match.Expl = &search.Explanation{Value: match.Score, Message: "product of:", Children: []*search.Explanation{
			{Value: b, Message: "boost"}, sum,
		}}
	}
	return nil
}

// explainRows adds what each row of the query matched to match and to sum.
func (r *run) explainRows(ctx context.Context, h *hit, match *search.DocumentMatch, sum *search.Explanation) error {
	matches, err := r.maxima(h)
	if err != nil {
		return err
	}
	if err := r.findPlaces(ctx); err != nil {
		return err
	}
	places := r.places[h.document]
	selection := r.selection(h)
	for row, m := range matches {
		scores := selection.Score == nil || slices.Contains(selection.Score, row)
		p := places.of(m.vector, r.tokens.Vectors.Row(row))
		sum.Children = append(sum.Children, explainRow(r.rowName(row), selection, row, m, p.text, scores))
		if !r.options.IncludeTermVectors || !scores || p.text == "" {
			continue
		}
		if float64(m.similarity) >= minCosine*length(r.tokens.Vectors.Row(row))*p.length {
			match.FieldTermLocations = append(match.FieldTermLocations, search.FieldTermLocation{
				Field: r.field.name, Term: p.text, Location: p.Location,
			})
		}
	}
	return nil
}

// rowName is the text of a query row.
func (r *run) rowName(row int) string {
	if r.tokens.Spans == nil {
		return fmt.Sprintf("row %d", row)
	}
	return fmt.Sprintf("%q", r.tokens.Spans[row].In(r.query.text))
}

// selection is what was selected of the query for a hit's group; of texts that
// were encoded on the spot all rows count.
func (r *run) selection(h *hit) querypruner.Selection {
	if h.group != nil {
		return h.group.selection
	}
	return querypruner.Selection{}
}

// explainRow puts in words what a query row was used for and what it matched.
func explainRow(name string, selection querypruner.Selection, row int, m rowMatch, text string, scored bool) *search.Explanation {
	e := &search.Explanation{Message: name}
	if row < len(selection.Rows) {
		why := selection.Rows[row]
		use := "dropped from the search for candidates"
		if why.Kept {
			use = "looked for candidates"
		}
		e.Message += fmt.Sprintf(" %s (%v)", use, why)
	}
	switch {
	case m.vector < 0:
		e.Message += ", matches nothing"
		return e
	case text != "":
		e.Message += fmt.Sprintf(", best match %q", text)
	default:
		e.Message += fmt.Sprintf(", best match vector %d", m.vector)
	}
	if e.Value = float64(m.similarity); !scored {
		e.Message += fmt.Sprintf(" with similarity %.4f, does not count", m.similarity)
		e.Value = 0
	}
	return e
}

// Token is a token of a query and what it is used for.
type Token struct {
	// Text is the part of the query's text that the token stands for, "" if the
	// encoder does not say.
	Text string
	Span encoder.Span
	// Kept tells whether the token looks for candidates, Why says why.
	Kept bool
	Why  string
}

// Tokens returns the tokens of a query as they are used in the index now.
func (x *Index) Tokens(ctx context.Context, q *Query) (_ []Token, err error) {
	snapshot, err := x.snapshot()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, snapshot.Close()) }()
	encoded, err := x.encodeQuery(ctx, q)
	if err != nil {
		return nil, err
	}
	r, err := x.newRun(q, encoded, snapshot)
	if err != nil {
		return nil, err
	}
	if err := r.openGroups(); err != nil {
		return nil, err
	}
	tokens := make([]Token, r.tokens.Vectors.Rows)
	for i := range tokens {
		tokens[i].Kept = true
		if r.tokens.Spans != nil {
			tokens[i].Span = r.tokens.Spans[i]
			tokens[i].Text = tokens[i].Span.In(q.text)
		}
		if len(r.groups) > 0 {
			row := r.groups[0].selection.Rows[i]
			tokens[i].Kept, tokens[i].Why = row.Kept, row.String()
		}
	}
	return tokens, nil
}

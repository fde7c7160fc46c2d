package retriever

import (
	"context"
	"fmt"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/index"
	"github.com/pare-search/pare/index/docpruner"
	"github.com/pare-search/pare/querypruner"
	"github.com/pare-search/pare/simd"
)

// Explanation says how a document came to its score.
type Explanation struct {
	ID    string
	Score float32
	// Rows explains each query row in order.
	Rows []RowExplanation
	// Text is the document's stored text, "" when texts are not stored.
	Text string
}

// RowExplanation says what one query row was used for and which vector of the
// document matched it best.
type RowExplanation struct {
	// Token is the part of the query that the row stands for, "" when the
	// encoder gives no spans.
	Token string
	// Row says whether the row looked for candidates, and why.
	querypruner.Row
	// Scored tells whether the row counts in the score.
	Scored bool
	// Match is the document's stored vector that is most similar to the row,
	// Similarity their dot product, weight included. Match is -1 for a
	// document without vectors.
	Match      int
	Similarity float32
	// MatchToken is the part of the document's text that Match stands for and
	// MatchSpan its place there; empty when the text is not stored.
	MatchToken string
	MatchSpan  encoder.Span
}

// Explain explains the score of a document for a query. The score is the one
// that Search gives the document, whether or not the kept rows find it, and with
// options.Search.Refine by the document's refinement if it has one.
func (r *Retriever) Explain(ctx context.Context, query, id string, options Options) (Explanation, error) {
	tokens, err := r.encode(ctx, query)
	if err != nil {
		return Explanation{}, err
	}
	r.use.RLock()
	defer r.use.RUnlock()
	if r.closed {
		return Explanation{}, ErrClosed
	}
	document, err := r.lookup(id)
	if err != nil {
		return Explanation{}, err
	}
	statistics, err := r.snapshot.Statistics()
	if err != nil {
		return Explanation{}, err
	}
	selection, err := Informed(options.Pruner, r.encoder).Select(tokens, statistics)
	if err != nil {
		return Explanation{}, err
	}
	e := Explanation{ID: id, Rows: make([]RowExplanation, tokens.Vectors.Rows)}
	for i := range e.Rows {
		row := RowExplanation{Row: selection.Rows[i], Scored: selection.Score == nil, Match: -1}
		if tokens.Spans != nil {
			row.Token = tokens.Spans[i].In(query)
		}
		e.Rows[i] = row
	}
	for _, i := range selection.Score {
		e.Rows[i].Scored = true
	}
	if err := r.match(&e, document, selection.Vectors, options.Search.Refine > 0); err != nil {
		return Explanation{}, err
	}
	if e.Text, err = r.snapshot.Text(document); err != nil {
		return Explanation{}, err
	}
	if err := r.place(ctx, &e, tokens.Vectors); err != nil {
		return Explanation{}, err
	}
	return e, nil
}

// match finds each row's best vector and sums the score: by the document's
// refinement, where there is one and a search would use it.
func (r *Retriever) match(e *Explanation, document uint32, vectors simd.Matrix, refine bool) error {
	if vectors.Rows == 0 {
		return nil
	}
	payload, err := r.snapshot.Payload(document)
	if err != nil {
		return err
	}
	codebook, err := r.snapshot.CodebookOf(document)
	if err != nil {
		return err
	}
	scorer := codebook.NewScorer()
	if err := scorer.Reset(simd.PackQuery(vectors), nil, nil); err != nil {
		return err
	}
	// The means of merged rows are compared too, as in a search, though they do
	// not score.
	best, match := make([]float32, vectors.Rows), make([]int32, vectors.Rows)
	var refinement []byte
	if refine {
		if refinement, err = r.snapshot.Refinement(document); err != nil {
			return err
		}
	}
	if refinement != nil {
		err = scorer.RefineMaxima(refinement, best, match)
	} else {
		err = scorer.Maxima(payload, best, match)
	}
	if err != nil {
		return fmt.Errorf("%w: payload of document %q: %w", index.ErrCorrupt, e.ID, err)
	}
	for i := range e.Rows {
		row := &e.Rows[i]
		if row.Match = int(match[i]); row.Match < 0 {
			continue
		}
		row.Similarity = best[i]
		if row.Scored {
			e.Score += best[i]
		}
	}
	return nil
}

// place finds the matched tokens in the stored text by encoding it again:
// places are not stored, since only explanations need them. A vector that
// several were merged into stands for the one most similar to the row.
func (r *Retriever) place(ctx context.Context, e *Explanation, query simd.Matrix) error {
	if e.Text == "" || len(e.Rows) == 0 {
		return nil
	}
	documents, err := encodeTexts(ctx, r.encoder, []string{e.Text})
	if err != nil {
		return fmt.Errorf("document %q: %w", e.ID, err)
	}
	whole := documents[0]
	pruned := docpruner.Pruned{Tokens: whole}
	if pruner := r.snapshot.Pruner(); pruner != nil {
		if pruned, err = pruner.Prune(whole); err != nil {
			return fmt.Errorf("document %q: %w", e.ID, err)
		}
	}
	for i := range e.Rows {
		row := &e.Rows[i]
		if row.Match < 0 {
			continue
		}
		token := pruned.Match(row.Match, query.Row(i), whole.Vectors)
		if token < 0 || token >= len(whole.Spans) {
			continue
		}
		if row.MatchToken = whole.Spans[token].In(e.Text); row.MatchToken != "" {
			row.MatchSpan = whole.Spans[token]
		}
	}
	return nil
}

// Marks returns the places in the text that match the query rows best,
// ascending and without repeats, for highlighting.
func (e Explanation) Marks() []encoder.Span {
	marks := make([]encoder.Span, 0, len(e.Rows))
	for _, row := range e.Rows {
		if row.Scored && row.MatchSpan.End > row.MatchSpan.Start {
			marks = append(marks, row.MatchSpan)
		}
	}
	return mergeSpans(marks)
}

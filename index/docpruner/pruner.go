package docpruner

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Errors that callers test for.
var (
	// ErrInvalid: a pruner whose settings make no sense, or documents that do
	// not fit it.
	ErrInvalid = errors.New("docpruner: invalid")
	// ErrNoIDs: a step looks at token ids, and the documents have none.
	ErrNoIDs = errors.New("docpruner: no token ids")
	// ErrNoDocuments: a step has to know the collection, and it is empty.
	ErrNoDocuments = errors.New("docpruner: no documents to learn from")
)

// Strategy is a way to choose the vectors of a document that are stored.
type Strategy uint8

const (
	// StopWords drops the vectors of stop words: those of Step.Language, which
	// FitOptions.StopWords lists, or else the token ids in more than
	// Step.Keep.Share of the documents. It needs token ids, as IDF and DocumentIDF
	// do.
	StopWords Strategy = iota + 1
	// IDF drops the vectors of the Step.Count token ids that are in the most
	// documents (uniform IDF pruning; Acquavia, Macdonald and Tonellotto, DocEng
	// 2023). Special tokens are skipped.
	IDF
	// DocumentIDF drops from each document the Step.Count vectors whose token
	// ids are in the most documents (document-centric pruning, ibid.). Special
	// tokens are skipped.
	DocumentIDF
	// First keeps the leading vectors of each document (Lassance et al., SIGIR
	// 2022).
	First
	// Random keeps vectors drawn by Pruner.Seed and the document itself: the
	// control that any strategy has to beat.
	Random
	// Norm drops vectors shorter than Step.Length. It is for encoders that
	// learnt to say by the length what matters (Zong and Piwowarski, SIGIR
	// 2025); vectors of length 1 all stay.
	Norm
	// Ward merges vectors that are close to each other, so that one in
	// Step.Factor is left (token pooling; Clavié, Chaffin and Adams, arXiv
	// 2409.14683). See Step.Rows for the two readings of that.
	Ward
	// Voronoi drops the vectors whose loss lowers the best match of a random
	// query vector least, over all documents together: those with much to say keep
	// more (Voronoi pruning; Kankanampati et al., SIGIR 2026). Step.Each turns that
	// off, which short documents need.
	Voronoi
)

// Keep is how many vectors survive: Count of each document, or Share of them
// rounded up when Count is zero.
type Keep struct {
	Count int
	Share float64
}

// Step is one way of pruning with its settings. Each strategy uses some of
// them; the others are zero.
type Step struct {
	Strategy Strategy
	// Keep is what First and Random keep of each document. Of Voronoi it is the
	// share of all vectors that stays, or less where many vectors are the best match of
	// none of the directions: these go all. Of StopWords it is the share of the documents
	// that a token id may be in.
	Keep Keep
	// Language is that of the stop words.
	Language string
	// Count is the number of token ids that IDF drops, or of vectors that
	// DocumentIDF drops from each document.
	Count int
	// Length is that of the shortest vector that Norm keeps.
	Length float64
	// Factor is how many vectors Ward makes one of on average, at least 1: a
	// document of n is left with n/Factor, rounded down, but at least 1.
	Factor float64
	// Protect is the number of leading vectors that Ward leaves alone. They
	// count among those that are left, as in the reference implementation.
	Protect int
	// Rows makes Ward compare vectors by their rows of the matrix of cosine
	// distances, so by what they are similar to. The reference implementation
	// does so, since it hands that square matrix to a routine which takes its rows
	// for observations. By default the vectors themselves are compared.
	Rows bool
	// Raw makes Ward store means as they are, which are the shorter the more
	// their vectors differ. By default they get the mean length of their vectors.
	Raw bool
	// Each makes Voronoi keep the share of every document, instead of as many
	// vectors of a document as their errors among those of all documents say.
	Each bool
	// Directions is the number of query vectors that Voronoi looks at, 0 for
	// DefaultDirections.
	Directions int
	// Source is where those come from.
	Source Source
}

// DefaultDirections is the number of directions unless a step sets it.
const DefaultDirections = 2048

// Source is where Voronoi takes its directions from, those in which queries
// may point.
type Source uint8

const (
	// Uniform draws directions evenly from all, as published.
	Uniform Source = iota
	// DocumentVectors draws vectors of documents: where those lie there are
	// queries too.
	DocumentVectors
	// QueryVectors draws from FitOptions.Queries, vectors of real queries.
	QueryVectors
)

// Pruner is what is done to documents before they are stored: steps, one after
// the other, each with what the one before left. The zero value keeps
// everything.
type Pruner struct {
	Steps []Step
	// Seed drives what is drawn: vectors by Random, directions by Voronoi and
	// the documents that Fit learns from.
	Seed uint64
}

// Validate reports all settings that make no sense.
func (p Pruner) Validate() error {
	var faults []error
	directions := 0
	for _, s := range p.Steps {
		faults = append(faults, s.validate()...)
		if s.Strategy == Voronoi {
			directions = min(directions+s.directions(), math.MaxInt32)
		}
	}
	if directions > maxDirections && len(faults) == 0 {
		faults = append(faults, fmt.Errorf("%w: %s: %d directions in all steps, want at most %d", ErrInvalid, Voronoi, directions, maxDirections))
	}
	return errors.Join(faults...)
}

func (s Step) validate() []error {
	if s.Strategy < StopWords || s.Strategy > Voronoi {
		return []error{fmt.Errorf("%w: unknown strategy %d", ErrInvalid, s.Strategy)}
	}
	var faults []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Errorf("%w: %s: %s", ErrInvalid, s.Strategy, fmt.Sprintf(format, args...)))
		}
	}
	fault(s.Keep.Count < 0, "cannot keep %d vectors", s.Keep.Count)
	fault(!(s.Keep.Share >= 0 && s.Keep.Share <= 1), "share %v is not between 0 and 1", s.Keep.Share)
	switch s.Strategy {
	case StopWords:
		fault(s.Language == "" && s.Keep.Share == 0, "needs a language, or a share of the documents")
		fault(strings.ContainsAny(s.Language, "+%:"), "language %q", s.Language)
	case IDF, DocumentIDF:
		fault(s.Count < 1, "needs a number to drop, not %d", s.Count)
	case First, Random:
		fault(s.Keep == Keep{}, "needs a number or share of vectors to keep")
	case Norm:
		fault(!(s.Length > 0 && s.Length <= math.MaxFloat32), "length %v is not above 0", s.Length)
	case Ward:
		fault(!(s.Factor >= 1 && s.Factor <= math.MaxInt32), "factor %v is not at least 1", s.Factor)
		fault(s.Protect < 0, "cannot protect %d vectors", s.Protect)
	case Voronoi:
		fault(s.Keep.Share == 0, "needs a share of the vectors to keep")
		fault(s.Directions < 0 || s.Directions > maxDirections, "%d directions, want at most %d", s.Directions, maxDirections)
		fault(s.Source > QueryVectors, "unknown source of directions %d", s.Source)
	}
	return faults
}

// maxDirections bounds what a Fitted holds and what pruning a document needs.
const maxDirections = 1 << 16

// NeedsIDs tells whether a step looks at token ids. Fit and Prune then refuse
// documents without.
func (p Pruner) NeedsIDs() bool { return slices.ContainsFunc(p.Steps, Step.needsIDs) }

// NeedsCollection tells whether a step has to know the collection; otherwise
// Fit looks at no document.
func (p Pruner) NeedsCollection() bool {
	return slices.ContainsFunc(p.Steps, func(s Step) bool { return s.needsCounts() || s.Strategy == Voronoi })
}

// NeedsQueries tells whether Fit needs vectors of queries.
func (p Pruner) NeedsQueries() bool {
	return slices.ContainsFunc(p.Steps, func(s Step) bool { return s.Source == QueryVectors })
}

func (s Step) needsIDs() bool {
	return s.Strategy == StopWords || s.Strategy == IDF || s.Strategy == DocumentIDF
}

// needsCounts tells whether the step has to know how frequent token ids are.
func (s Step) needsCounts() bool { return s.needsIDs() }

// directions is the number of directions of a Voronoi step.
func (s Step) directions() int {
	if s.Directions == 0 {
		return DefaultDirections
	}
	return s.Directions
}

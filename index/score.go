package index

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/pare-search/pare/index/codec"
)

const (
	// checkEvery is how many documents go by between two looks at the context:
	// a millisecond's work. Of long ones it is as many as have checkBytes.
	checkEvery = 256
	checkBytes = 1 << 18
	// shortestRun is how many documents are worth a worker of their own.
	shortestRun = 32
)

// worker ranks and scores some of the documents of a search.
type worker struct {
	scorer       *codec.Scorer
	first        *codec.Scorer // of the first rows; nil until somebody needs it
	cells        [][]byte
	payloads     []codec.Payload
	scored       int   // documents
	pairs, bytes int64 // scored
	unwatched    int   // bytes since the last look at the context
	err          error
}

// look looks at the context if much was read since the last look.
func (w *worker) look(ctx context.Context, bytes int) error {
	if w.unwatched += bytes; w.unwatched < checkBytes {
		return nil
	}
	w.unwatched = 0
	return ctx.Err()
}

// stage is what a worker does with a run of the candidates. Method expressions
// take up no memory, as closures would.
type stage func(s *Searcher, ctx context.Context, w *worker, lo, hi int) error

// share cuts the candidates into a run for each worker and waits for all.
func (s *Searcher) share(ctx context.Context, workers int, do stage) error {
	workers = min(workers, len(s.documents)/shortestRun)
	s.makeWorkers(workers)
	if workers <= 1 {
		return do(s, ctx, &s.workers[0], 0, len(s.documents))
	}
	return s.runTogether(ctx, s.workers[:workers], do)
}

// makeWorkers makes as many workers as there are not yet, at least one.
func (s *Searcher) makeWorkers(workers int) {
	if len(s.workers) == 0 {
		s.workers = append(s.workers, worker{scorer: s.scorer})
	}
	for len(s.workers) < workers {
		s.workers = append(s.workers, worker{scorer: s.codebook.NewScorer()})
	}
}

func (s *Searcher) runTogether(ctx context.Context, workers []worker, do stage) error {
	n := len(s.documents)
	for i := range workers[1:] {
		if err := workers[i+1].scorer.ResetAs(s.scorer); err != nil {
			return err
		}
	}
	var group sync.WaitGroup
	for i := range workers {
		w := &workers[i]
		group.Go(func() { w.err = do(s, ctx, w, i*n/len(workers), (i+1)*n/len(workers)) })
	}
	group.Wait()
	for _, w := range workers {
		if w.err != nil {
			return w.err
		}
	}
	return nil
}

// checked calls do with one run of some documents after the other, and looks at
// the context between them.
func checked(ctx context.Context, documents int, do func(lo, hi int) error) error {
	for lo := 0; lo < documents; lo += checkEvery {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := do(lo, min(lo+checkEvery, documents)); err != nil {
			return err
		}
	}
	return nil
}

// score scores the candidates: keys then holds those with vectors.
func (s *Searcher) score(ctx context.Context, workers int) error {
	s.keys = slices.Grow(s.keys[:0], len(s.documents))[:len(s.documents)]
	s.startScoring()
	if err := s.share(ctx, workers, (*Searcher).scoreRun); err != nil {
		return err
	}
	s.endScoring()
	return nil
}

func (s *Searcher) startScoring() {
	for i := range s.workers {
		w := &s.workers[i]
		w.scored, w.pairs, w.bytes = 0, 0, 0
	}
}

// endScoring adds up what the workers did and leaves the keys of documents that
// have a score.
func (s *Searcher) endScoring() {
	s.keys = slices.DeleteFunc(s.keys, func(key uint64) bool { return key == 0 })
	for _, w := range s.workers {
		s.stats.DocumentsScored += w.scored
		s.stats.TokenPairs += w.pairs
		s.stats.Bytes += w.bytes
	}
}

func (s *Searcher) scoreRun(ctx context.Context, w *worker, first, end int) error {
	return checked(ctx, end-first, func(lo, hi int) (err error) {
		lo, hi = first+lo, first+hi
		// One more than is scored, to be fetched meanwhile.
		w.payloads, err = s.source.AppendPayloads(w.payloads[:0], s.documents[lo:min(hi+1, end)])
		if err != nil {
			return err
		}
		for i, document := range s.documents[lo:hi] {
			var next codec.Payload
			if i+1 < len(w.payloads) {
				next = w.payloads[i+1]
			}
			w.bytes += int64(w.payloads[i].Size())
			if err := w.look(ctx, w.payloads[i].Size()); err != nil {
				return err
			}
			if err := s.scoreOne(w, lo+i, w.payloads[i], next); err != nil {
				return s.fault("payload", document, err)
			}
		}
		return nil
	})
}

// scoreOne sets the key of a candidate by its payload: 0 for one without
// vectors.
func (s *Searcher) scoreOne(w *worker, i int, payload, next codec.Payload) error {
	score, vectors, err := w.scorer.Score(payload, next)
	if s.keys[i] = 0; vectors > 0 {
		s.keys[i] = key(score, s.documents[i])
	}
	w.scored++
	w.pairs += int64(vectors * s.scoring)
	return err
}

// refine scores the n best again, and lowers the scores of the others below
// theirs.
func (s *Searcher) refine(ctx context.Context, n int) error {
	best, err := s.refinements(n)
	if err != nil || len(best) == 0 {
		return err
	}
	n = len(best)
	for i, refinement := range best {
		if i%checkEvery == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		var next []byte
		if i+1 < n {
			next = best[i+1]
		}
		document := documentOf(s.keys[i])
		score, err := s.scorerOf(document).Refine(refinement, next)
		if err != nil {
			return s.fault("refinement", document, err)
		}
		s.keys[i] = key(score, document)
		s.stats.DocumentsRefined++
	}
	lowerBelow(s.keys[n:], slices.Min(s.keys[:n]))
	return nil
}

// scorerOf returns the scorer of a document's codebook.
func (s *Searcher) scorerOf(document uint32) *codec.Scorer {
	for _, part := range slices.Backward(s.mixed) {
		if document >= part.base {
			return part.scorer
		}
	}
	return s.scorer
}

// lowerBelow subtracts the same from the scores of all keys, if need be, so that
// they are below that of worst.
func lowerBelow(keys []uint64, worst uint64) {
	if len(keys) == 0 {
		return
	}
	excess := scoreOf(slices.Max(keys)) - scoreOf(worst)
	if excess < 0 {
		return
	}
	for i, k := range keys {
		lower := math.Nextafter32(scoreOf(k)-excess, -math.MaxFloat32)
		keys[i] = key(lower, documentOf(k))
	}
}

// refinements brings the n best, and those that score like the last of them, to
// the front of keys and returns their refinements, nil if one has none: scores of
// two kinds do not compare.
func (s *Searcher) refinements(n int) ([][]byte, error) {
	n = s.best(n)
	s.views = s.views[:0]
	for _, key := range s.keys[:n] {
		refinement, err := s.source.Refinement(documentOf(key))
		if err != nil || refinement == nil {
			return nil, err
		}
		s.views = append(s.views, refinement)
	}
	return s.views, nil
}

// hits returns the k best documents, best first, equal scores by descending
// id.
func (s *Searcher) hits(k int) ([]Hit, error) {
	n := s.best(k)
	if n == 0 {
		return nil, nil
	}
	hits := make([]Hit, n)
	for i, key := range s.keys[:n] {
		document := documentOf(key)
		id, err := s.source.ID(document)
		if err != nil {
			return nil, err
		}
		hits[i] = Hit{document, id, scoreOf(key)}
	}
	slices.SortFunc(hits, compareHits)
	n = min(k, n)
	return hits[:n:n], nil
}

// best brings the n largest keys to the front, and those of documents that score
// like the last of these, and returns how many they are: only ids, which come
// later, can order them.
func (s *Searcher) best(n int) int {
	if n = min(n, len(s.keys)); n == 0 {
		return 0
	}
	selectLargest(s.keys, n)
	worst := slices.Min(s.keys[:n])
	for i := n; i < len(s.keys); i++ {
		if s.keys[i]>>32 == worst>>32 {
			s.keys[n], s.keys[i] = s.keys[i], s.keys[n]
			n++
		}
	}
	return n
}

// fault says which document an error of package codec is about.
func (s *Searcher) fault(what string, document uint32, err error) error {
	id, idErr := s.source.ID(document)
	if idErr != nil {
		return errors.Join(fmt.Errorf("%w: %s of document number %d: %w", faultKind(err), what, document, err), idErr)
	}
	return fmt.Errorf("%w: %s of document %q: %w", faultKind(err), what, id, err)
}

// compareHits orders hits best first: by score, equal scores by descending
// id, as trec_eval does.
func compareHits(a, b Hit) int {
	return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(b.ID, a.ID))
}

// key is larger the better a document is: by score, equal scores by ascending
// number. No two documents have the same, and none has 0.
func key(score float32, document uint32) uint64 {
	// The bits of floats are ordered like integers once negative ones are
	// turned round. Adding zero makes -0 and 0 the same.
	bits := math.Float32bits(score + 0)
	if bits>>31 == 1 {
		bits = ^bits
	} else {
		bits |= 1 << 31
	}
	return uint64(bits)<<32 | uint64(^document)
}

func documentOf(key uint64) uint32 { return ^uint32(key) }

func scoreOf(key uint64) float32 {
	bits := uint32(key >> 32)
	if bits>>31 == 1 {
		return math.Float32frombits(bits &^ (1 << 31))
	}
	return math.Float32frombits(^bits)
}

// selectLargest moves the n largest keys, which must all differ, to the front,
// in no order (Hoare's quickselect, the median of three as pivot).
func selectLargest(keys []uint64, n int) {
	lo, hi := 0, len(keys)
	for n > lo && n < hi {
		a, b, c := keys[lo], keys[lo+(hi-lo)/2], keys[hi-1]
		pivot := max(min(a, b), min(max(a, b), c))
		larger := lo
		for i := lo; i < hi; i++ {
			// Without a branch, which nobody could foretell.
			k, isLarger := keys[i], 0
			keys[i], keys[larger] = keys[larger], k
			if k > pivot {
				isLarger = 1
			}
			larger += isLarger
		}
		switch {
		case larger > n:
			hi = larger
		case larger == n:
			return
		default:
			// Of the rest the pivot is the largest.
			at := larger + slices.Index(keys[larger:hi], pivot)
			keys[at], keys[larger] = keys[larger], keys[at]
			lo = larger + 1
		}
	}
}

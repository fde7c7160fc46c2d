package searchbench

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/pare-search/pare/eval"
	"github.com/pare-search/pare/eval/dataset"
	"github.com/pare-search/pare/eval/precomputed"
	"github.com/pare-search/pare/index"
	"github.com/pare-search/pare/simd"
)

// Exact ranks all documents of a folder of embeddings for every query by
// MaxSim over the float32 vectors, and returns the best k of each. It reads the
// vectors once and uses all processors. progress, if not nil, is told how many
// documents are done.
func Exact(ctx context.Context, e *dataset.Embeddings, queries []Query, k int, progress func(done, total int)) (eval.Run, error) {
	return RankAll(ctx, precomputed.Documents(e, nil).All, queries, k, func(done int) {
		if progress != nil {
			progress(done, len(e.Documents.IDs))
		}
	})
}

// RankAll ranks documents for every query by MaxSim over the float32 vectors, and
// returns the best k of each. It goes through the documents once and uses all
// processors. progress, if not nil, is told how many documents are done.
func RankAll(ctx context.Context, documents iter.Seq2[index.Document, error], queries []Query, k int, progress func(done int)) (eval.Run, error) {
	if k < 1 {
		return eval.Run{}, fmt.Errorf("%w: the best %d documents", ErrInvalid, k)
	}
	best := make([]top, len(queries))
	packed := make([]*simd.Query, len(queries))
	for i, q := range queries {
		best[i].k = k
		packed[i] = simd.PackQuery(q.Tokens.Vectors)
	}
	var batch []index.Document
	done := 0
	flush := func() error {
		scores, err := scoreAll(ctx, packed, batch)
		if err != nil {
			return err
		}
		for i := range queries {
			for j, document := range batch {
				// A document without tokens matches nothing.
				if document.Tokens.Vectors.Rows > 0 {
					best[i].add(eval.Result{ID: document.ID, Score: float64(scores[i][j])})
				}
			}
		}
		if done += len(batch); progress != nil {
			progress(done)
		}
		batch = batch[:0]
		return nil
	}
	for document, err := range documents {
		if err != nil {
			return eval.Run{}, err
		}
		if batch = append(batch, document); len(batch) == batchDocuments {
			if err := flush(); err != nil {
				return eval.Run{}, err
			}
		}
	}
	if err := flush(); err != nil {
		return eval.Run{}, err
	}
	run := eval.Run{Tag: "exact", Results: make(map[string][]eval.Result, len(queries))}
	for i, q := range queries {
		run.Results[q.ID] = best[i].results()
	}
	return run, nil
}

// batchDocuments is how many documents are read or made at a time.
const batchDocuments = 256

// scoreAll returns the MaxSim of each query with each document:
// scores[query][document].
func scoreAll(ctx context.Context, queries []*simd.Query, documents []index.Document) ([][]float32, error) {
	scores := make([][]float32, len(queries))
	for i := range scores {
		scores[i] = make([]float32, len(documents))
	}
	group, ctx := errgroup.WithContext(ctx)
	workers := runtime.GOMAXPROCS(0)
	for worker := range workers {
		group.Go(func() error {
			var best []float32
			// A document stays in the cache while all queries look at it.
			for j := worker; j < len(documents); j += workers {
				if err := ctx.Err(); err != nil {
					return err
				}
				for i, query := range queries {
					best = slices.Grow(best[:0], query.Rows)[:query.Rows]
					simd.Reset(best)
					query.MaxSim(documents[j].Tokens.Vectors, best)
					scores[i][j] = simd.Sum(best)
				}
			}
			return nil
		})
	}
	return scores, group.Wait()
}

// top gathers results and keeps the best k of them, as eval.Rank orders them.
type top struct {
	k    int
	kept []eval.Result
	// least is the lowest score among the best k when they were last cut.
	least float64
	full  bool
}

func (t *top) add(res eval.Result) {
	if t.full && res.Score < t.least {
		return
	}
	if t.kept = append(t.kept, res); len(t.kept) >= 2*t.k+64 {
		t.cut()
	}
}

func (t *top) cut() {
	t.kept = eval.Rank(t.kept, eval.TiesDescending)
	if len(t.kept) >= t.k {
		t.kept = t.kept[:t.k]
		t.least, t.full = t.kept[t.k-1].Score, true
	}
}

func (t *top) results() []eval.Result {
	t.cut()
	return t.kept
}

// CachedExact is Exact with a memory: a run file in TREC format at path, whose
// tag says which vectors and which k it is of. A file of others is replaced.
// The folder of the embeddings is the usual place, as ExactPath names it.
func CachedExact(ctx context.Context, path string, e *dataset.Embeddings, queries []Query, k int, progress func(done, total int)) (eval.Run, error) {
	tag, err := fingerprint(e, queries, k)
	if err != nil {
		return eval.Run{}, err
	}
	switch run, err := dataset.ReadRunFile(path); {
	case err == nil && run.Tag == tag:
		return run, nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return eval.Run{}, err
	}
	run, err := Exact(ctx, e, queries, k, progress)
	if err != nil {
		return eval.Run{}, err
	}
	run.Tag = tag
	return run, dataset.WriteRunFile(path, run)
}

// ExactPath is where CachedExact keeps the best k in a folder of embeddings.
func ExactPath(e *dataset.Embeddings, k int) string {
	return filepath.Join(e.Path, fmt.Sprintf("exact_top%d.run", k))
}

// fingerprint tells folders of embeddings apart by the sizes and times of their
// files of vectors, which takes no reading of them.
func fingerprint(e *dataset.Embeddings, queries []Query, k int) (string, error) {
	sum := crc32.NewIEEE()
	fmt.Fprintln(sum, k, len(queries), e.Dim)
	for _, name := range []string{"docs.npy", "docs_lens.npy", "queries.npy", "queries_lens.npy"} {
		info, err := os.Stat(filepath.Join(e.Path, name))
		if err != nil {
			return "", err
		}
		fmt.Fprintln(sum, name, info.Size(), info.ModTime().UnixNano())
	}
	return fmt.Sprintf("exact-maxsim-%08x", sum.Sum32()), nil
}

package index

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/internal/durable"
	"github.com/pare-search/pare/querypruner"
	"github.com/pare-search/pare/simd"
)

var soak = flag.Duration("soak", time.Second, "how long TestSoak runs")

// soaker is an index on which all at once work, and what every commit holds.
type soaker struct {
	folder folder
	mu     sync.Mutex
	// states are what was committed, newest last: a snapshot that is opened between
	// two looks at them is one of those in between.
	states []model
	first  int // number of states[0]

	operations, searches, mismatches atomic.Int64
}

// since returns how many commits there were, and those since a number, which must
// not be long ago.
func (s *soaker) since(number int) (models []model, now int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.states[max(0, number-s.first):]), s.first + len(s.states)
}

// note notes what is about to be committed.
func (s *soaker) note(m model) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.states = append(s.states, maps.Clone(m))
	if extra := len(s.states) - 200; extra > 0 {
		s.states, s.first = slices.Delete(s.states, 0, extra), s.first+extra
	}
}

// TestSoak lets a writer, forced merges and merges in the background, backups and
// readers work on one index, and compares every answer with what the snapshot
// should hold.
func TestSoak(t *testing.T) {
	checkGoroutines(t)
	ctx, stop := context.WithTimeout(t.Context(), *soak)
	defer stop()
	s := &soaker{folder: folder{hasty{durable.OS}, filepath.Join(t.TempDir(), "index")}}
	options := smallOptions(machineDim, codec.Float32)
	options.Codec.Cells = 6
	options.SegmentBytes, options.TrainingVectors = 4<<10, 1
	options.Merge = DefaultMergeOptions()
	options.Merge.Factor = 3
	w := must[*Writer](t)(s.folder.createIndex(options, CreateOptions{}))
	s.note(model{})

	var working sync.WaitGroup
	work := func(seed uint64, do func(context.Context, *rand.Rand) error) {
		working.Go(func() {
			rng := rand.New(rand.NewPCG(seed, 80))
			for ctx.Err() == nil {
				// What has begun may end.
				if err := do(context.WithoutCancel(ctx), rng); err != nil {
					s.mismatches.Add(1)
					t.Error(err)
					stop()
				}
				s.operations.Add(1)
			}
		})
	}
	now := model{}
	work(1, func(ctx context.Context, rng *rand.Rand) error { return s.write(ctx, rng, w, now) })
	work(2, func(ctx context.Context, rng *rand.Rand) error {
		time.Sleep(time.Duration(rng.IntN(100)) * time.Millisecond)
		return w.Merge(ctx)
	})
	work(3, s.backup)
	for reader := range uint64(3) {
		work(10+reader, s.read)
	}
	working.Wait()
	check(t, w.Wait(t.Context()))
	check(t, w.Close())
	check(t, s.folder.verify(t.Context()))
	t.Logf("%d operations, %d searches among them, %d mismatches", s.operations.Load(), s.searches.Load(), s.mismatches.Load())
}

// write makes one commit.
func (s *soaker) write(ctx context.Context, rng *rand.Rand, w *Writer, now model) error {
	for range 1 + rng.IntN(6) {
		id := fmt.Sprint(rng.IntN(80))
		if rng.IntN(3) == 0 {
			delete(now, id)
			if _, err := w.Delete(id); err != nil {
				return err
			}
			continue
		}
		d := Document{ID: id, Tokens: randomTokens(rng, rng.IntN(5), machineDim, true), Text: fmt.Sprint("text ", rng.Uint64())}
		now[id] = d
		if err := w.Update(ctx, d); err != nil {
			return err
		}
	}
	s.note(now)
	return w.Commit(ctx)
}

// read opens a snapshot, finds out which commit it is, and searches it.
func (s *soaker) read(ctx context.Context, rng *rand.Rand) error {
	_, before := s.since(0)
	snapshot, err := s.folder.openSnapshot()
	if err != nil {
		return err
	}
	candidates, _ := s.since(before - 2) // a commit may be noted and not yet made
	i := slices.IndexFunc(candidates, func(m model) bool { return differs(snapshot, m) == nil })
	if i < 0 {
		return errors.Join(fmt.Errorf("the snapshot of generation %d is none of %d commits", snapshot.manifest.Generation, len(candidates)), snapshot.Close())
	}
	for range 20 {
		s.searches.Add(1)
		s.operations.Add(1)
		query := randomTokens(rng, 1+rng.IntN(4), machineDim, false).Vectors
		options := SearchOptions{K: rng.IntN(8), Plan: Plan(rng.IntN(int(Probe) + 1)), Budget: 1 << 20, Depth: AllCandidates}
		if err := compareHitsWith(ctx, snapshot, query, options, candidates[i]); err != nil {
			return errors.Join(err, snapshot.Close())
		}
	}
	return snapshot.Close()
}

// compareHitsWith searches and compares the hits with all scores of a model.
func compareHitsWith(ctx context.Context, s *Snapshot, query simd.Matrix, options SearchOptions, want model) error {
	hits, _, err := NewSearcher(s).Search(ctx, simd.PackQuery(query), querypruner.Selection{}, options)
	if err != nil {
		return err
	}
	scores := make(map[string]float64)
	var ordered []float64
	for id, d := range want {
		if d.Tokens.Vectors.Rows > 0 {
			scores[id] = plainMaxSim(query, d.Tokens)
			ordered = append(ordered, scores[id])
		}
	}
	slices.Sort(ordered)
	slices.Reverse(ordered)
	if len(hits) != min(options.K, len(ordered)) {
		return fmt.Errorf("%d hits of %d for k = %d", len(hits), len(ordered), options.K)
	}
	const tolerance = 1e-4
	for i, hit := range hits {
		want, ok := scores[hit.ID]
		if got := float64(hit.Score); !ok || got < want-tolerance || got > want+tolerance || got < ordered[i]-tolerance {
			return fmt.Errorf("hit %d is %q with %v, want %v; the best are %v", i, hit.ID, hit.Score, want, ordered[:len(hits)])
		}
		delete(scores, hit.ID)
	}
	return nil
}

// backup makes a backup and removes it.
func (s *soaker) backup(ctx context.Context, rng *rand.Rand) error {
	time.Sleep(time.Duration(rng.IntN(100)) * time.Millisecond)
	to := folder{s.folder.fs, s.folder.dir + "-backup"}
	if _, err := s.folder.backup(ctx, to, BackupOptions{Copy: rng.IntN(2) == 0}); err != nil {
		return err
	}
	return errors.Join(to.verify(ctx), durable.RemoveAll(to.fs, to.dir))
}

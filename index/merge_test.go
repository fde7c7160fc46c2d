package index

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/internal/durable"
	"github.com/pare-search/pare/querypruner"
	"github.com/pare-search/pare/simd"
)

// hooked is a file system that tells of files before they are created.
type hooked struct {
	durable.FS
	create func(name string)
}

func (h hooked) Create(path string) (durable.File, error) {
	h.create(filepath.Base(path))
	return h.FS.Create(path)
}

// fill adds n documents, whose ids begin with prefix, and commits them.
func fill(t testing.TB, w *Writer, rng *rand.Rand, dim int, prefix string, n int) []Document {
	t.Helper()
	documents := randomDocuments(rng, n, dim, true)
	for i := range documents {
		documents[i].ID = prefix + documents[i].ID
	}
	check(t, w.Add(t.Context(), documents...))
	check(t, w.Commit(t.Context()))
	return documents
}

// TestLateDeletes: what is deleted and updated while segments are merged, in a
// commit or not yet in one, is deleted in the merged one.
func TestLateDeletes(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 20))
	options := smallOptions(8, codec.Float32)
	options.TrainingVectors = 1
	created, goOn := make(chan string), make(chan bool)
	gate := false
	f := folder{hooked{durable.OS, func(name string) {
		if gate {
			created <- name
			<-goOn
		}
	}}, filepath.Join(t.TempDir(), "index")}
	w := must[*Writer](t)(f.createIndex(options, CreateOptions{}))
	want := model{}
	for i := range 3 {
		for _, d := range fill(t, w, rng, 8, fmt.Sprint(i, "-"), 20) {
			want[d.ID] = d
		}
	}
	deleted := must[int](t)(w.Delete("0-doc-001", "1-doc-001", "2-doc-001"))
	check(t, w.Commit(t.Context()))
	for i := range deleted {
		delete(want, fmt.Sprint(i, "-doc-001"))
	}

	gate = true
	merged := make(chan error)
	go func() { merged <- w.Merge(t.Context()) }()
	if name := <-created; !strings.HasPrefix(name, "segment-") {
		t.Fatalf("merging creates %s", name)
	}
	gate = false
	// A commit goes through while the merge stands still.
	must[int](t)(w.Delete("0-doc-002", "2-doc-019"))
	check(t, w.Commit(t.Context()))
	delete(want, "0-doc-002")
	delete(want, "2-doc-019")
	before := open(t, f.dir)
	checkModel(t, before, want, false)
	old := maps.Clone(want)
	updated := Document{ID: "1-doc-004", Tokens: randomTokens(rng, 3, 8, true), Text: "new"}
	check(t, w.Update(t.Context(), updated))
	must[int](t)(w.Delete("1-doc-005"))
	goOn <- true
	check(t, <-merged)

	after := open(t, f.dir)
	checkModel(t, after, want, false) // what is not committed is not there
	if len(after.parts) != 1 || after.Documents()-after.LiveDocuments() != 2 {
		t.Errorf("%d segments, %d documents deleted, want the two deleted late", len(after.parts), after.Documents()-after.LiveDocuments())
	}
	check(t, w.Commit(t.Context()))
	want[updated.ID] = updated
	delete(want, "1-doc-005")
	checkModel(t, open(t, f.dir), want, false)
	check(t, w.Close())
	check(t, Verify(f.dir))
	checkModel(t, before, old, false) // as it was
}

// retrainNow makes a writer train another codebook, and code nothing anew.
func retrainNow(t testing.TB, w *Writer) {
	t.Helper()
	check(t, retrain(t, w))
}

// TestMixedCodebooks searches documents of three codebooks, and compares with a
// plain loop over all documents, each scored with its own.
func TestMixedCodebooks(t *testing.T) {
	for _, kind := range []codec.Kind{codec.Residual2, codec.Int8, codec.Float32} {
		for _, refine := range []bool{false, true} {
			t.Run(fmt.Sprint(kind, refine), func(t *testing.T) { testMixed(t, kind, refine) })
		}
	}
}

func testMixed(t *testing.T, kind codec.Kind, refine bool) {
	rng := rand.New(rand.NewPCG(2, 20))
	options := smallOptions(16, kind)
	options.Refine = refine
	dir := filepath.Join(t.TempDir(), "index")
	w := must[*Writer](t)(Create(dir, options, CreateOptions{}))
	var documents []Document
	for i := range 3 {
		documents = append(documents, fill(t, w, rng, 16, fmt.Sprint(i, "-"), 60)...)
		retrainNow(t, w)
	}
	must[int](t)(w.Delete("0-doc-003", "1-doc-004", "2-doc-005"))
	check(t, w.Commit(t.Context()))
	check(t, w.Close())
	check(t, Verify(dir))
	s := open(t, dir)
	if len(s.mixed) != 3 || s.Documents() != len(documents) || s.LiveDocuments() != len(documents)-3 {
		t.Fatalf("%d codebooks, %d documents, %d live", len(s.mixed), s.Documents(), s.LiveDocuments())
	}

	for range 5 {
		query := simd.PackQuery(randomTokens(rng, 4, 16, false).Vectors)
		filter := roaring.New()
		for document := range uint32(s.Documents()) {
			if rng.IntN(2) == 0 {
				filter.Add(document)
			}
		}
		for _, filter := range []*roaring.Bitmap{nil, filter} {
			search := SearchOptions{K: 20, Plan: Exhaustive, Filter: filter}
			if refine {
				search.Refine = AllCandidates
			}
			want := bruteForce(t, s, query, search)
			for _, plan := range []Plan{Exhaustive, Interaction, Probe} {
				search.Plan, search.Depth, search.Budget = plan, AllCandidates, 1<<20
				hits, stats, err := NewSearcher(s).Search(t.Context(), query, querypruner.Selection{}, search)
				check(t, err)
				if !slices.Equal(hits, want) {
					t.Fatalf("%v, filter %v:\n%v, want\n%v", plan, filter != nil, hits, want)
				}
				if stats.Plan != plan || stats.Rows != 4 || stats.RowsKept != 4 {
					t.Errorf("%+v", stats)
				}
			}
		}
	}

	// Merging codes all of it with one codebook.
	w = must[*Writer](t)(OpenWriter(dir))
	check(t, w.Merge(t.Context()))
	check(t, w.Close())
	check(t, Verify(dir))
	merged := open(t, dir)
	if len(merged.mixed) > 0 || len(merged.parts) != 1 || merged.Documents() != s.LiveDocuments() || len(merged.manifest.Codebooks) != 1 {
		t.Fatalf("after merging %d codebooks, %d segments, %d documents", len(merged.manifest.Codebooks), len(merged.parts), merged.Documents())
	}
	for document := range uint32(s.Documents()) {
		if !s.Live(document) {
			continue
		}
		number, found, err := merged.Lookup(must[string](t)(s.ID(document)))
		if err != nil || !found {
			t.Fatalf("document %d is lost: %v", document, err)
		}
		if got, want := must[string](t)(merged.Text(number)), must[string](t)(s.Text(document)); got != want {
			t.Errorf("text %q, want %q", got, want)
		}
		was := must[[]byte](t)(s.Refinement(document))
		is := must[[]byte](t)(merged.Refinement(number))
		if refine && (!slices.Equal(was[4:], is[4:]) || len(was) < 4) || !refine && is != nil {
			t.Errorf("document %d has another refinement", document)
		}
		if kind == codec.Float32 {
			a := must[simd.Matrix](t)(decoded(s, document))
			b := must[simd.Matrix](t)(decoded(merged, number))
			if !refine && !slices.Equal(a.Data, b.Data) {
				t.Errorf("document %d has other vectors", document)
			}
		}
	}
}

func decoded(s *Snapshot, document uint32) (simd.Matrix, error) {
	codebook, err := s.CodebookOf(document)
	if err != nil {
		return simd.Matrix{}, err
	}
	payload, err := s.Payload(document)
	if err != nil {
		return simd.Matrix{}, err
	}
	return codebook.Decode(payload)
}

// bruteForce scores every document with its own codebook.
func bruteForce(t *testing.T, s *Snapshot, query *simd.Query, options SearchOptions) []Hit {
	t.Helper()
	var hits []Hit
	for document := range uint32(s.Documents()) {
		if !s.Live(document) || options.Filter != nil && !options.Filter.Contains(document) {
			continue
		}
		scorer := must[*codec.Codebook](t)(s.CodebookOf(document)).NewScorer()
		check(t, scorer.Reset(query, nil, nil))
		score, vectors, err := scorer.Score(must[codec.Payload](t)(s.Payload(document)), codec.Payload{})
		check(t, err)
		if vectors == 0 {
			continue
		}
		if options.Refine > 0 {
			score, err = scorer.Refine(must[[]byte](t)(s.Refinement(document)), nil)
			check(t, err)
		}
		hits = append(hits, Hit{document, must[string](t)(s.ID(document)), score})
	}
	slices.SortFunc(hits, compareHits)
	return hits[:min(len(hits), options.K)]
}

// retrain makes a step that trains another codebook, as retrainNow does.
func retrain(t testing.TB, w *Writer) error {
	t.Helper()
	done := false
	return w.mergeAll(t.Context(), func() *job {
		if done {
			return nil
		}
		done = true
		return w.trainingJob(w.committedParts())
	}, func() {})
}

// TestRetrainingRefusesDamage: nothing is learnt from vectors that are damaged.
func TestRetrainingRefusesDamage(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 21))
	for _, refine := range []bool{false, true} {
		for _, section := range []string{"cells", "offsets", "payloads", "refined"} {
			if section == "refined" && !refine {
				continue
			}
			options := smallOptions(8, codec.Residual2)
			options.Refine, options.TrainingVectors = refine, 1<<20
			dir := filepath.Join(t.TempDir(), "index")
			w := must[*Writer](t)(Create(dir, options, CreateOptions{}))
			fill(t, w, rng, 8, "a", 20)
			check(t, w.Close())
			damage(t, dir, "segment", section)
			w = must[*Writer](t)(OpenWriter(dir))
			if err := retrain(t, w); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "section "+section) {
				t.Errorf("refine %v, %s: %v", refine, section, err)
			}
			check(t, w.Close())
		}
	}
}

// TestMergeRefusesDamage: a segment that is damaged is not copied, which would
// give it checksums that are right.
func TestMergeRefusesDamage(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 20))
	options := smallOptions(8, codec.Residual2)
	dir := filepath.Join(t.TempDir(), "index")
	w := must[*Writer](t)(Create(dir, options, CreateOptions{}))
	fill(t, w, rng, 8, "a", 20)
	fill(t, w, rng, 8, "b", 20)
	check(t, w.Close())
	damage(t, dir, "segment", "payloads")
	w = must[*Writer](t)(OpenWriter(dir))
	if err := w.Merge(t.Context()); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "payloads") {
		t.Errorf("merging: %v", err)
	}
	// All else goes on.
	fill(t, w, rng, 8, "c", 5)
	check(t, w.Close())
	if s := open(t, dir); s.LiveDocuments() != 45 {
		t.Errorf("%d documents", s.LiveDocuments())
	}
	names := readDir(t, dir)
	s := open(t, dir)
	for name := range names {
		if !slices.Contains(s.manifest.files(), name) {
			t.Errorf("%s was left behind", name)
		}
	}
}

// TestBackground: a writer keeps the number of segments and of deleted documents
// small by itself.
func TestBackground(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 20))
	options := smallOptions(8, codec.Residual2)
	options.Merge = DefaultMergeOptions()
	options.TrainingVectors = 1
	dir := filepath.Join(t.TempDir(), "index")
	w := must[*Writer](t)(Create(dir, options, CreateOptions{}))
	want := make(map[string]bool)
	for i := range 40 {
		for _, d := range fill(t, w, rng, 8, fmt.Sprint(i%10, "-", i/10, "-"), 7) {
			want[d.ID] = true
		}
		if i >= 10 { // what was added ten rounds before
			var ids []string
			for j := range 7 {
				ids = append(ids, fmt.Sprint(i%10, "-", i/10-1, fmt.Sprintf("-doc-%03d", j)))
				delete(want, ids[j])
			}
			must[int](t)(w.Delete(ids...))
			check(t, w.Commit(t.Context()))
		}
	}
	check(t, w.Wait(t.Context()))
	s := open(t, dir)
	if len(s.parts) > 4 || float64(s.Documents()-s.LiveDocuments()) > 0.15*float64(s.Documents()) {
		t.Errorf("%d segments, %d of %d documents deleted", len(s.parts), s.Documents()-s.LiveDocuments(), s.Documents())
	}
	for id, err := range s.IDs() {
		check(t, err)
		if !want[id] {
			t.Errorf("%q is there", id)
		}
		delete(want, id)
	}
	if len(want) > 0 {
		t.Errorf("lost: %v", want)
	}
	check(t, w.Close())
	check(t, Verify(dir))
}

// TestOutgrown: another codebook is trained when the vectors have doubled, and
// when they have drifted, and not otherwise.
func TestOutgrown(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 20))
	options := smallOptions(8, codec.Residual2)
	options.Codec.Cells = 0
	options.Merge = DefaultMergeOptions()
	batch := func(n int, drift float32) []Document {
		documents := make([]Document, n)
		for i := range documents {
			documents[i] = Document{ID: fmt.Sprint(rng.Uint64()), Tokens: randomTokens(rng, 10, 8, true)}
			for row := range documents[i].Tokens.Vectors.Rows {
				documents[i].Tokens.Vectors.Row(row)[7] += drift
			}
		}
		return documents
	}
	dir := filepath.Join(t.TempDir(), "index")
	w := must[*Writer](t)(Create(dir, options, CreateOptions{}))
	add := func(documents []Document) {
		check(t, w.Add(t.Context(), documents...))
		check(t, w.Commit(t.Context()))
		check(t, w.Wait(t.Context()))
	}
	trained := func() (int64, uint64) {
		s := open(t, dir)
		if len(s.manifest.Codebooks) != 1 || len(s.mixed) > 0 {
			t.Fatalf("%d codebooks", len(s.manifest.Codebooks))
		}
		return s.manifest.Codebooks[0].Trained.Vectors, s.Codebook().Checksum()
	}
	add(batch(1000, 0))
	vectors, first := trained()
	if vectors != 10_000 {
		t.Errorf("trained for %d vectors", vectors)
	}
	add(batch(900, 0))
	if _, now := trained(); now != first {
		t.Error("another codebook for less than twice the vectors")
	}
	add(batch(150, 0))
	vectors, second := trained()
	if second == first || vectors != 20_500 {
		t.Errorf("the same codebook for twice the vectors, trained for %d", vectors)
	}
	add(batch(600, 0))
	if _, now := trained(); now != second {
		t.Error("another codebook though nothing has changed")
	}
	add(batch(600, 2))
	if _, now := trained(); now == second {
		t.Error("the same codebook for vectors far from its cells")
	}
	check(t, w.Close())
	check(t, Verify(dir))
}

// TestCloseWhileMerging ends a merge that is under way, and leaves no file of it.
func TestCloseWhileMerging(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 20))
	options := smallOptions(8, codec.Residual2)
	options.TrainingVectors = 1
	created, goOn := make(chan string, 1), make(chan bool)
	gate := false
	f := folder{hooked{durable.OS, func(name string) {
		if gate {
			created <- name
			<-goOn
		}
	}}, filepath.Join(t.TempDir(), "index")}
	w := must[*Writer](t)(f.createIndex(options, CreateOptions{}))
	for i := range 3 {
		fill(t, w, rng, 8, fmt.Sprint(i), 20)
	}
	gate = true
	merged := make(chan error)
	go func() { merged <- w.Merge(context.Background()) }()
	<-created
	closed := make(chan error)
	go func() { closed <- w.Close() }()
	<-w.merging.ctx.Done()
	gate = false
	goOn <- true
	if err := <-merged; !errors.Is(err, ErrClosed) {
		t.Errorf("merging: %v", err)
	}
	check(t, <-closed)
	s := open(t, f.dir)
	for name := range readDir(t, f.dir) {
		if !slices.Contains(s.manifest.files(), name) {
			t.Errorf("%s was left behind", name)
		}
	}
	if s.LiveDocuments() != 60 || len(s.parts) < 3 {
		t.Errorf("%d documents in %d segments", s.LiveDocuments(), len(s.parts))
	}
	if err := w.Merge(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("merging what is closed: %v", err)
	}
}

// TestChoose: the policy, on sizes alone.
func TestChoose(t *testing.T) {
	const mb = 1 << 20
	o := DefaultMergeOptions()
	state := func(bytes int64, documents, live uint64) segmentState {
		return segmentState{bytes, documents, live, "a"}
	}
	for name, test := range map[string]struct {
		segments []segmentState
		want     []int
	}{
		"nothing": {nil, nil},
		"one":     {[]segmentState{state(mb, 100, 100)}, nil},
		"a full tier": {
			[]segmentState{state(64*mb, 100, 100), state(1000, 1, 1), state(100, 1, 1), state(1000, 1, 1), state(5*mb, 1, 1), state(9, 1, 1)},
			[]int{1, 2, 3, 5},
		},
		"two codebooks": {
			[]segmentState{state(100, 1, 1), state(100, 1, 1), state(100, 1, 1), {100, 1, 1, "b"}},
			nil,
		},
		"deleted":          {[]segmentState{state(mb, 100, 86), state(64*mb, 100, 84), state(2*mb, 100, 83)}, []int{2}},
		"large, deleted":   {[]segmentState{state(2048*mb, 100, 50)}, []int{0}},
		"four large":       {slices.Repeat([]segmentState{state(2048*mb, 1, 1)}, 4), nil},
		"the smaller tier": {append(slices.Repeat([]segmentState{state(3*mb, 1, 1)}, 4), slices.Repeat([]segmentState{state(mb, 1, 1)}, 4)...), []int{4, 5, 6, 7}},
	} {
		if got := o.choose(test.segments); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

// TestMergeOptions: all that is wrong is said at once.
func TestMergeOptions(t *testing.T) {
	check(t, DefaultMergeOptions().Validate())
	check(t, MergeOptions{Factor: 2, MaxDeleted: 1}.Validate())
	err := MergeOptions{Factor: 1, MaxBytes: -1, Growth: 1, Drift: 0.5}.Validate()
	if !errors.Is(err, ErrInvalid) || strings.Count(err.Error(), "\n") != 4 {
		t.Errorf("%v", err)
	}
	if cmp.Or(DefaultOptions(8).Merge.Manual, false) {
		t.Error("merging is off by default")
	}
}

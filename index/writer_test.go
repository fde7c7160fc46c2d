package index

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/querypruner"
	"github.com/pare-search/pare/simd"
)

// model is what an index should hold: documents by id.
type model map[string]Document

// checkModel compares an opened index with the model, and, when nothing was
// ever deleted, the token frequencies.
func checkModel(t *testing.T, s *Snapshot, want model, frequencies bool) {
	t.Helper()
	if s.LiveDocuments() != len(want) {
		t.Fatalf("%d documents, want %d", s.LiveDocuments(), len(want))
	}
	ids := make(map[string]bool)
	for id, err := range s.IDs() {
		check(t, err)
		if _, ok := want[id]; !ok || ids[id] {
			t.Fatalf("%q should not be there, or not twice", id)
		}
		ids[id] = true
	}
	vectors, documents := make(map[uint32]int64), make(map[uint32]int64)
	for id, d := range want {
		number, found, err := s.Lookup(id)
		if err != nil || !found || !s.Live(number) {
			t.Fatalf("%q is not found: %v", id, err)
		}
		if got := must[string](t)(s.ID(number)); got != id {
			t.Fatalf("%q leads to %q", id, got)
		}
		if got := must[string](t)(s.Text(number)); got != d.Text {
			t.Fatalf("%q has the text %q, want %q", id, got, d.Text)
		}
		payload := must[codec.Payload](t)(s.Payload(number))
		book := must[*codec.Codebook](t)(s.CodebookOf(number))
		if got := must[simd.Matrix](t)(book.Decode(payload)); !slices.Equal(got.Data, d.Tokens.Vectors.Data) {
			t.Fatalf("%q has other vectors", id)
		}
		seen := make(map[uint32]bool)
		for _, token := range d.Tokens.IDs {
			vectors[token]++
			if !seen[token] {
				documents[token]++
			}
			seen[token] = true
		}
	}
	statistics := must[Statistics](t)(s.Statistics())
	for token := range uint32(120) {
		v, d := statistics.TokenFrequency(token)
		if frequencies && (v != vectors[token] || d != documents[token]) {
			t.Fatalf("token %d: %d vectors in %d documents, want %d in %d", token, v, d, vectors[token], documents[token])
		}
	}
	if n := statistics.Documents(); n != int64(s.Documents()) {
		t.Fatalf("statistics of %d documents, want %d", n, s.Documents())
	}
	if _, found, err := s.Lookup("never added"); found || err != nil {
		t.Fatalf("an unknown id: %v, %v", found, err)
	}
}

// TestWriterAgainstModel does random things to an index and to a map.
func TestWriterAgainstModel(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { testModel(t, seed) })
	}
}

func testModel(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 5))
	options := smallOptions(8, codec.Float32)
	options.SegmentBytes = 1 << 10
	options.TrainingVectors = 1 + rng.IntN(100)
	withIDs := seed%3 > 0
	dir := filepath.Join(t.TempDir(), "index")
	w := must[*Writer](t)(Create(dir, options, CreateOptions{}))
	defer func() { check(t, w.Close()) }()

	now, committed := model{}, model{}
	type view struct {
		s    *Snapshot
		want model
	}
	var views []view
	deletions := false // since the index was created
	texts := 0
	fresh := func(id string) Document {
		texts++
		return Document{ID: id, Tokens: randomTokens(rng, 1+rng.IntN(5), 8, withIDs), Text: fmt.Sprint("text ", texts)}
	}
	// The writer gets copies, which are overwritten after each call.
	give := func(call func(context.Context, ...Document) error, batch []Document) error {
		given := slices.Clone(batch)
		for i := range given {
			given[i].Tokens.Vectors.Data = slices.Clone(given[i].Tokens.Vectors.Data)
			given[i].Tokens.IDs = slices.Clone(given[i].Tokens.IDs)
		}
		err := call(t.Context(), given...)
		for _, d := range given {
			for i := range d.Tokens.Vectors.Data {
				d.Tokens.Vectors.Data[i] = 99
			}
			for i := range d.Tokens.IDs {
				d.Tokens.IDs[i] = 99
			}
		}
		return err
	}
	anyID := func() string { return fmt.Sprint("id-", rng.IntN(60)) }

	for range 150 {
		switch step := rng.IntN(20); {
		case step < 7:
			var batch []Document
			taken := false
			for range 1 + rng.IntN(4) {
				id := anyID()
				if slices.ContainsFunc(batch, func(d Document) bool { return d.ID == id }) {
					continue
				}
				batch = append(batch, fresh(id))
				_, ok := now[id]
				taken = taken || ok
			}
			err := give(w.Add, batch)
			if taken != errors.Is(err, ErrDuplicate) || !taken && err != nil {
				t.Fatalf("adding gives %v, taken: %v", err, taken)
			}
			if !taken {
				for _, d := range batch {
					now[d.ID] = d
				}
			}
		case step < 10:
			batch := []Document{fresh("id-" + fmt.Sprint(rng.IntN(30))), fresh("id-" + fmt.Sprint(30+rng.IntN(30)))}
			check(t, give(w.Update, batch))
			for _, d := range batch {
				_, ok := now[d.ID]
				deletions = deletions || ok
				now[d.ID] = d
			}
		case step < 13:
			ids := []string{anyID(), anyID(), "never added"}
			want := 0
			for _, id := range ids {
				if _, ok := now[id]; ok {
					want++
					deletions = true
					delete(now, id)
				}
			}
			if n := must[int](t)(w.Delete(ids...)); n != want {
				t.Fatalf("%d deleted, want %d", n, want)
			}
		case step < 14:
			// Merges what is committed, whatever is not.
			check(t, w.Merge(t.Context()))
			check(t, Verify(dir))
			s := open(t, dir)
			views = append(views, view{s, committed})
			checkModel(t, s, committed, false)
			if s.Documents() != s.LiveDocuments() || len(s.parts) > 1 {
				t.Fatalf("after merging %d documents are deleted, and there are %d segments", s.Documents()-s.LiveDocuments(), len(s.parts))
			}
			deletions = true // as to frequencies
		case step < 17:
			check(t, w.Commit(t.Context()))
			committed = maps.Clone(now)
			check(t, Verify(dir))
			s := open(t, dir)
			views = append(views, view{s, committed})
			checkModel(t, s, committed, !deletions)
		default:
			check(t, w.Close())
			if w.Close() != nil {
				t.Fatal("closing twice is an error")
			}
			s := open(t, dir)
			checkModel(t, s, committed, false)
			var names []string
			for _, file := range must[Info](t)(s.Inspect()).Files {
				names = append(names, file.Name)
			}
			if onDisk := slices.Collect(maps.Keys(readDir(t, dir))); len(onDisk) != len(names) {
				t.Fatalf("after Close there are %v, want %v", onDisk, names)
			}
			now = maps.Clone(committed)
			w = must[*Writer](t)(OpenWriter(dir))
		}
	}
	for _, v := range views {
		checkModel(t, v.s, v.want, false)
		must[Info](t)(v.s.Inspect())
	}
}

func TestWriterLock(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "index")
	w := must[*Writer](t)(Create(dir, smallOptions(8, codec.Int8), CreateOptions{}))
	if _, err := OpenWriter(dir); !errors.Is(err, ErrLocked) {
		t.Errorf("a second writer: %v", err)
	}
	if _, err := Create(dir, smallOptions(8, codec.Int8), CreateOptions{}); !errors.Is(err, ErrExists) {
		t.Errorf("creating over an index: %v", err)
	}
	open(t, dir) // readers need no lock
	check(t, w.Close())
	w = must[*Writer](t)(OpenWriter(dir))
	check(t, w.Close())

	if err := w.Add(t.Context(), Document{ID: "a"}); !errors.Is(err, ErrClosed) {
		t.Errorf("adding after Close: %v", err)
	}
	if err := w.Commit(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("committing after Close: %v", err)
	}
	if _, err := OpenWriter(t.TempDir()); !errors.Is(err, ErrNotIndex) {
		t.Errorf("opening an empty folder: %v", err)
	}
	foreign := t.TempDir()
	check(t, os.WriteFile(filepath.Join(foreign, "letter.txt"), nil, 0o644))
	if _, err := Create(foreign, smallOptions(8, codec.Int8), CreateOptions{}); !errors.Is(err, ErrExists) {
		t.Errorf("creating among other files: %v", err)
	}
	if exists(filepath.Join(foreign, lockName)) {
		t.Error("Create left a lock in a folder that is not its own")
	}
}

func TestInterruptedCommit(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 6))
	documents := randomDocuments(rng, 20, 8, true)
	dir := build(t, smallOptions(8, codec.Float32), documents, documents[0].ID)
	want := readDir(t, dir)
	write := func(name string, data []byte) {
		t.Helper()
		check(t, os.WriteFile(filepath.Join(dir, name), data, 0o644))
	}
	write("segment-000099.pare", want["segment-000002.pare"])
	write("deletes-000100.pare", []byte("cut sh"))
	write(manifestName+".new", want[manifestName][:40])
	for _, name := range []string{"notes.txt", "segment-old.pare", "backup-000001.pare", "segment-7.pare"} {
		write(name, []byte("not ours"))
		want[name] = []byte("not ours")
	}

	check(t, Verify(dir))
	if s := open(t, dir); s.LiveDocuments() != len(documents)-1 {
		t.Errorf("%d documents", s.LiveDocuments())
	}
	w := must[*Writer](t)(OpenWriter(dir))
	if got := readDir(t, dir); !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("after OpenWriter there are %v", slices.Sorted(maps.Keys(got)))
	}
	check(t, w.Close())
}

// TestStatisticsOfUpdates: no token is in more than all documents, however
// often they were updated, so a limit of all documents drops none.
func TestStatisticsOfUpdates(t *testing.T) {
	documents := randomDocuments(rand.New(rand.NewPCG(3, 3)), 20, 8, true)
	dir := build(t, smallOptions(8, codec.Residual2), documents)
	w := must[*Writer](t)(OpenWriter(dir))
	for range 3 {
		check(t, w.Update(t.Context(), documents...))
		check(t, w.Commit(t.Context()))
	}
	check(t, w.Close())
	pruner := querypruner.Pruner{Drop: querypruner.Drop{StopShare: 1}}
	query := randomTokens(rand.New(rand.NewPCG(4, 4)), 50, 8, true)
	for _, ids := range [][]uint32{query.IDs, nil} {
		query.IDs = ids
		selection := must[querypruner.Selection](t)(pruner.Select(query, must[Statistics](t)(open(t, dir).Statistics())))
		if len(selection.Probe) != query.Vectors.Rows {
			t.Errorf("%d of %d rows kept: %v", len(selection.Probe), query.Vectors.Rows, selection.Rows)
		}
	}
}

func TestBadDocuments(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 7))
	tokens := func(change func(*encoder.Tokens)) encoder.Tokens {
		tokens := randomTokens(rng, 3, 8, true)
		if change != nil {
			change(&tokens)
		}
		return tokens
	}
	value := func(x float64) encoder.Tokens {
		return tokens(func(t *encoder.Tokens) { t.Vectors.Row(1)[5] = float32(x) })
	}
	bad := map[string]struct {
		document Document
		sentinel error
		says     string
	}{
		"nan":       {Document{ID: "nan", Tokens: value(math.NaN())}, simd.ErrNotFinite, "row 1, column 5"},
		"inf":       {Document{ID: "inf", Tokens: value(math.Inf(-1))}, simd.ErrNotFinite, "row 1, column 5"},
		"too large": {Document{ID: "large", Tokens: value(1e16)}, ErrInvalid, "row 1, column 5"},
		"width":     {Document{ID: "wide", Tokens: randomTokens(rng, 3, 16, true)}, encoder.ErrInvalid, "16 dimensions, want 8"},
		"cut": {Document{ID: "cut", Tokens: tokens(func(t *encoder.Tokens) {
			t.Vectors.Data = t.Vectors.Data[:23]
		})}, simd.ErrShape, "need 24 values, have 23"},
		"negative rows": {Document{ID: "negative", Tokens: encoder.Tokens{Vectors: simd.Matrix{Rows: -1, Dim: 8}}}, simd.ErrShape, "-1 rows"},
		"ids":           {Document{ID: "ids", Tokens: tokens(func(t *encoder.Tokens) { t.IDs = t.IDs[:2] })}, encoder.ErrInvalid, "2 ids for 3 vectors"},
		"empty id":      {Document{Tokens: tokens(nil)}, ErrInvalid, "document 2 of the batch: the id is empty"},
		"long id":       {Document{ID: strings.Repeat("x", MaxIDBytes+1)}, ErrInvalid, "at most 65536"},
		"long text":     {Document{ID: "text", Text: strings.Repeat("x", MaxTextBytes+1)}, ErrInvalid, "of text"},
		"many vectors":  {Document{ID: "many", Tokens: encoder.Tokens{Vectors: simd.Matrix{Rows: MaxTokens + 1, Dim: 8}}}, ErrInvalid, "524289 vectors"},
		"twice":         {Document{ID: "good-1"}, ErrDuplicate, `"good-1"`},
		"taken":         {Document{ID: "taken"}, ErrDuplicate, `"taken"`},
	}
	for _, training := range []int{1, 1 << 20} { // coded at once, and waiting
		for name, test := range bad {
			t.Run(fmt.Sprint(name, training), func(t *testing.T) {
				options := smallOptions(8, codec.Float32)
				options.TrainingVectors = training
				dir := filepath.Join(t.TempDir(), "index")
				w := must[*Writer](t)(Create(dir, options, CreateOptions{}))
				want := model{"taken": {ID: "taken", Tokens: tokens(nil)}}
				check(t, w.Add(t.Context(), want["taken"]))
				batch := []Document{{ID: "good-1", Tokens: tokens(nil)}, {ID: "good-2", Tokens: tokens(nil)}, test.document}
				calls := []func(context.Context, ...Document) error{w.Add, w.Update}
				if name == "taken" {
					calls = calls[:1]
				}
				for _, call := range calls {
					err := call(t.Context(), batch...)
					if !errors.Is(err, test.sentinel) || !errors.Is(err, ErrInvalid) && !errors.Is(err, ErrDuplicate) {
						t.Errorf("it is taken with %v", err)
					} else if !strings.Contains(err.Error(), test.says) || len(test.document.ID) < 40 && !strings.Contains(err.Error(), test.document.ID) {
						t.Errorf("it does not say %q: %v", test.says, err)
					}
				}
				want["after"] = Document{ID: "after", Tokens: tokens(nil)}
				check(t, w.Add(t.Context(), want["after"]))
				check(t, w.Commit(t.Context()))
				check(t, w.Close())
				checkModel(t, open(t, dir), want, true)
			})
		}
	}
}

func TestCancelledWriter(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 8))
	documents := randomDocuments(rng, 20, 8, true)
	dir := filepath.Join(t.TempDir(), "index")
	w := must[*Writer](t)(Create(dir, smallOptions(8, codec.Float32), CreateOptions{}))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Add(ctx, documents...); !errors.Is(err, context.Canceled) {
		t.Errorf("adding: %v", err)
	}
	check(t, w.Add(t.Context(), documents...))
	if err := w.Commit(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("committing: %v", err)
	}
	checkModel(t, open(t, dir), model{}, true)
	if err := w.Update(ctx, documents[0]); !errors.Is(err, context.Canceled) {
		t.Errorf("updating: %v", err)
	}
	// Nothing of what was cancelled has happened, and all the rest.
	check(t, w.Commit(t.Context()))
	check(t, w.Close())
	want := model{}
	for _, d := range documents {
		want[d.ID] = d
	}
	checkModel(t, open(t, dir), want, true)
}

// TestNothingToTrainOn commits when there are no vectors yet.
func TestNothingToTrainOn(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 9))
	for _, kind := range codec.Kinds {
		dir := filepath.Join(t.TempDir(), "index")
		w := must[*Writer](t)(Create(dir, smallOptions(8, kind), CreateOptions{}))
		check(t, w.Add(t.Context(), Document{ID: "gone", Tokens: randomTokens(rng, 3, 8, true)}))
		must[int](t)(w.Delete("gone"))
		check(t, w.Commit(t.Context()))
		if w.Codebook() != nil {
			t.Errorf("%v: a codebook was trained on deleted documents", kind)
		}
		check(t, w.Add(t.Context(), Document{ID: "here", Tokens: randomTokens(rng, 3, 8, true)}))
		check(t, w.Commit(t.Context()))
		check(t, w.Close())
		check(t, Verify(dir))
		if s := open(t, dir); s.LiveDocuments() != 1 || s.Vectors() != 3 {
			t.Errorf("%v: %d documents with %d vectors", kind, s.LiveDocuments(), s.Vectors())
		}
	}
}

func TestCreateRefuses(t *testing.T) {
	bad := Options{Dim: 12, SegmentBytes: 1}
	bad.Codec = codec.DefaultOptions()
	bad.Codec.Iterations = 0
	err := bad.Validate()
	if !errors.Is(err, ErrInvalid) {
		t.Errorf("Validate gives %v", err)
	}
	for _, fault := range []string{"dimensions 12", "iterations 0", "segment size 1", "0 training vectors"} {
		if !strings.Contains(fmt.Sprint(err), fault) {
			t.Errorf("Validate does not say %q: %v", fault, err)
		}
	}
	dir := filepath.Join(t.TempDir(), "index")
	if _, err := Create(dir, bad, CreateOptions{}); !errors.Is(err, ErrInvalid) || exists(dir) {
		t.Errorf("Create gives %v", err)
	}
	rng := rand.New(rand.NewPCG(1, 10))
	tokens := randomTokens(rng, 50, 8, true)
	codebook := must[*codec.Codebook](t)(codec.Train(t.Context(), tokens.Vectors, tokens.IDs, codec.DefaultOptions(), nil))
	for _, options := range []Options{DefaultOptions(16), smallOptions(8, codec.Int8)} {
		if _, err := Create(dir, options, CreateOptions{Codebook: codebook}); !errors.Is(err, ErrInvalid) || exists(dir) {
			t.Errorf("a codebook that does not fit: %v", err)
		}
	}
	w := must[*Writer](t)(Create(dir, DefaultOptions(8), CreateOptions{Codebook: codebook}))
	check(t, w.Add(t.Context(), Document{ID: "a", Tokens: tokens}))
	check(t, w.Commit(t.Context()))
	check(t, w.Close())
	if s := open(t, dir); s.Codebook().Checksum() != codebook.Checksum() || s.Options() != DefaultOptions(8) {
		t.Error("the index has another codebook or other options than it was given")
	}
}

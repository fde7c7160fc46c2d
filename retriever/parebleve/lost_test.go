package parebleve_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/blevesearch/bleve/v2"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/retriever/parebleve"
)

// library lists the files of an index's codebooks.
func library(t testing.TB, path string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(path, "pare", "*"))
	check(t, err)
	return files
}

// soon fails the test if something takes long.
func soon(t testing.TB, what string, do func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatalf("%s does not return", what)
	}
}

// TestUpdates changes the documents of an index over and over: it does not
// grow, so that its codebook stays. Codebooks that were replaced are gone.
func TestUpdates(t *testing.T) {
	path := filepath.Join(t.TempDir(), "updates.bleve")
	options := toyOptions()
	options.TrainingVectors = 1000
	idx, err := parebleve.New(path, pageMapping(), options)
	check(t, err)
	defer idx.Close()
	add(t, idx, babble(80, 30))
	idx.Wait()
	first := status(t, idx)
	if first.Cells == 1 || first.Outdated != 0 {
		t.Fatalf("%+v, want a trained codebook", first)
	}
	for round := range 5 {
		add(t, idx, babble(80, 31+round))
		idx.Wait()
		if s := status(t, idx); s.Codebook != first.Codebook || s.WithVectors != 80 {
			t.Fatalf("after %d updates: %+v, want the codebook %x", 80*(round+1), s, first.Codebook)
		}
	}
	if files := library(t, path); len(files) != 1 || filepath.Base(files[0]) != fmt.Sprintf("codebook-%016x.pare", first.Codebook) {
		t.Errorf("the codebooks %v are kept, want that of now", files)
	}
	check(t, idx.Train(t.Context(), nil))
	if s := status(t, idx); s.Codebook == first.Codebook || s.Outdated != 0 {
		t.Errorf("%+v, want another codebook", s)
	}
	if files := library(t, path); len(files) != 1 {
		t.Errorf("the codebooks %v are kept, want one", files)
	}
}

// TestReadOnly opens indexes for reading only: they are searched as they are.
func TestReadOnly(t *testing.T) {
	pages := babble(80, 30)
	options := toyOptions()
	options.TrainingVectors = 1 // due all the time
	open := func(path string) *parebleve.Index {
		var idx *parebleve.Index
		soon(t, "opening", func() {
			plain, err := bleve.OpenUsing(path, map[string]any{"read_only": true})
			check(t, err)
			idx, err = parebleve.Wrap(plain, options)
			check(t, err)
		})
		return idx
	}
	path := filepath.Join(t.TempDir(), "vectors.bleve")
	idx, err := parebleve.New(path, pageMapping(), toyOptions())
	check(t, err)
	add(t, idx, pages)
	q := parebleve.NewQuery("body", composeText)
	want := ids(find(t, idx, bleve.NewSearchRequest(q)))
	check(t, idx.Close())
	leftover := filepath.Join(path, "pare", "codebook-00.pare.new-1")
	check(t, os.WriteFile(leftover, nil, 0o644))
	files := library(t, path)

	idx = open(path)
	if got := ids(find(t, idx, bleve.NewSearchRequest(q))); !slices.Equal(got, want) {
		t.Errorf("hits %v, want %v", got, want)
	}
	soon(t, "writing", func() {
		for what, err := range map[string]error{
			"Index":          idx.Index("a", pages["d0001"]),
			"Batch":          idx.Batch(idx.NewBatch()),
			"Delete":         idx.Delete("d0001"),
			"SetInternal":    idx.SetInternal([]byte("a"), nil),
			"DeleteInternal": idx.DeleteInternal([]byte("a")),
			"Reindex":        idx.Reindex(t.Context(), nil),
			"Train":          idx.Train(t.Context(), nil),
		} {
			if !errors.Is(err, parebleve.ErrReadOnly) {
				t.Errorf("%s: error %v, want ErrReadOnly", what, err)
			}
		}
	})
	soon(t, "closing", func() { check(t, idx.Close()) })
	if now := library(t, path); !slices.Equal(now, files) {
		t.Errorf("the codebooks are %v, they were %v", now, files)
	}

	// One that has no vectors, and no state.
	path = filepath.Join(t.TempDir(), "plain.bleve")
	check(t, plainIndex(t, path, pages).Close())
	idx = open(path)
	words := bleve.NewMatchQuery("w3")
	words.SetField("body")
	if len(find(t, idx, bleve.NewSearchRequest(parebleve.Rescore(words, "body", composeText, 20))).Hits) == 0 {
		t.Error("no hits")
	}
	soon(t, "closing", func() { check(t, idx.Close()) })
	if files := library(t, path); files != nil {
		t.Errorf("there are codebooks now: %v", files)
	}
}

// TestLostCodebook removes a codebook that documents are coded with.
func TestLostCodebook(t *testing.T) {
	pages := babble(100, 32)
	old, fresh := make(map[string]page), make(map[string]page)
	for id, p := range pages {
		if int(p.Year)%4 == 0 {
			old[id] = p
		} else {
			fresh[id] = p
		}
	}
	trained := toyOptions()
	trained.Codebook = trainToy(t, pages, codec.Residual4)
	first := toyOptions()
	first.Codebook = trainToy(t, pages, codec.Residual2)
	path := filepath.Join(t.TempDir(), "lost.bleve")
	idx, err := parebleve.New(path, pageMapping(), first)
	check(t, err)
	add(t, idx, old)
	check(t, idx.Close())
	idx, err = parebleve.Open(path, nil, trained)
	check(t, err)
	add(t, idx, fresh)
	check(t, idx.Close())
	check(t, os.WriteFile(filepath.Join(path, "pare", "codebook-0123456789abcdef.pare"), []byte("nonsense"), 0o644)) // nobody needs it
	leftover := filepath.Join(path, "pare", "codebook-00.pare.new-1")
	check(t, os.WriteFile(leftover, nil, 0o644))

	lost := filepath.Join(path, "pare", fmt.Sprintf("codebook-%016x.pare", first.Codebook.Checksum()))
	for name, damage := range map[string]func() error{
		"cut":  func() error { return os.Truncate(lost, 100) },
		"gone": func() error { return os.Remove(lost) },
	} {
		data, err := os.ReadFile(lost)
		check(t, err)
		check(t, damage())
		if _, err = parebleve.Open(path, nil, toyOptions()); !errors.Is(err, parebleve.ErrCodebook) {
			t.Errorf("%s: error %v, want ErrCodebook", name, err)
		}
		check(t, os.WriteFile(lost, data, 0o644))
	}
	if _, err := os.Stat(leftover); err == nil {
		t.Error("the leftover of a crash is still there")
	}

	check(t, os.Remove(lost))
	idx, err = parebleve.Open(path, nil, trained)
	check(t, err)
	defer idx.Close()
	if s := status(t, idx); s.Lost != 25 || s.WithVectors != 75 {
		t.Errorf("%+v, want 25 documents lost", s)
	}
	check(t, idx.Reindex(t.Context(), nil))
	if s := status(t, idx); s.Lost != 0 || s.WithVectors != 100 {
		t.Errorf("%+v, want none lost", s)
	}
}

// TestLostFirstCodebook removes the codebook of documents that were added
// before there was a trained one: it can be made again.
func TestLostFirstCodebook(t *testing.T) {
	pages := babble(60, 33)
	path := filepath.Join(t.TempDir(), "first.bleve")
	options := toyOptions()
	idx, err := parebleve.New(path, pageMapping(), options)
	check(t, err)
	add(t, idx, pages)
	check(t, idx.Close())
	for _, file := range library(t, path) {
		check(t, os.Remove(file))
	}
	idx, err = parebleve.Open(path, nil, options)
	check(t, err)
	defer idx.Close()
	if s := status(t, idx); s.Lost != 0 || s.WithVectors != 60 {
		t.Errorf("%+v, want all documents with vectors", s)
	}
}

// TestReindexUnreadable has documents without stored text, some of them coded
// with a codebook that is lost: the others are coded anew.
func TestReindexUnreadable(t *testing.T) {
	text := bleve.NewTextFieldMapping()
	text.Store = false
	m := bleve.NewIndexMapping()
	m.DefaultMapping.AddFieldMappingsAt("body", text)
	m.StoreDynamic = false
	pages := babble(60, 34)
	path := filepath.Join(t.TempDir(), "unreadable.bleve")
	ordered := slices.Sorted(maps.Keys(pages))
	var lost uint64
	for i, kind := range []codec.Kind{codec.Residual2, codec.Int8, codec.Residual4} {
		options := toyOptions()
		options.Codebook = trainToy(t, pages, kind)
		var idx *parebleve.Index
		var err error
		if i == 0 {
			lost = options.Codebook.Checksum()
			idx, err = parebleve.New(path, m, options)
		} else {
			idx, err = parebleve.Open(path, nil, options)
		}
		check(t, err)
		batch := idx.NewBatch()
		for _, id := range ordered[20*i : 20*i+20] {
			check(t, batch.Index(id, map[string]any{"body": pages[id].Body}))
		}
		check(t, idx.Batch(batch))
		check(t, idx.Close())
	}
	check(t, os.Remove(filepath.Join(path, "pare", fmt.Sprintf("codebook-%016x.pare", lost))))
	options := toyOptions()
	options.Codebook = trainToy(t, pages, codec.Residual4)
	idx, err := parebleve.Open(path, nil, options)
	check(t, err)
	defer idx.Close()
	var last parebleve.Progress
	check(t, idx.Reindex(t.Context(), func(p parebleve.Progress) { last = p }))
	if last.Done != 40 || last.Skipped != 20 {
		t.Errorf("%+v, want 20 of 40 documents skipped", last)
	}
	if s := status(t, idx); s.Lost != 20 || s.WithVectors != 40 || s.Outdated != 0 {
		t.Errorf("%+v, want 40 documents with vectors and 20 lost", s)
	}
}

// TestReindexAndTrain does both at the same time: they do not undo each other.
func TestReindexAndTrain(t *testing.T) {
	options := toyOptions()
	options.TrainingVectors = -1
	idx := create(t, babble(300, 35), options)
	errs := make(chan error)
	go func() { errs <- idx.Reindex(t.Context(), nil) }()
	go func() { errs <- idx.Train(t.Context(), nil) }()
	go func() { errs <- idx.Reindex(t.Context(), nil) }()
	for range 3 {
		check(t, <-errs)
	}
	if s := status(t, idx); s.Outdated != 0 || s.WithVectors != 300 || s.Cells == 1 {
		t.Errorf("%+v, want nothing outdated", s)
	}
}

// stuck is an encoder that waits until its context ends, once it is told to.
type stuck struct {
	encoder.Encoder
	waits chan struct{} // closed when it does
	stop  *bool
}

func (s stuck) EncodeDocuments(ctx context.Context, texts []string) ([]encoder.Tokens, error) {
	if *s.stop {
		close(s.waits)
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return s.Encoder.EncodeDocuments(ctx, texts)
}

// TestCloseEndsTraining closes an index that somebody trains.
func TestCloseEndsTraining(t *testing.T) {
	enc := stuck{toy, make(chan struct{}), new(bool)}
	options := toyOptions()
	options.Encoder, options.TrainingVectors = enc, -1
	idx := create(t, babble(20, 36), options)
	*enc.stop = true
	trained := make(chan error)
	go func() { trained <- idx.Train(context.Background(), nil) }()
	<-enc.waits
	soon(t, "Close", func() { check(t, idx.Close()) })
	if err := <-trained; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
	if err := idx.Reindex(t.Context(), nil); !errors.Is(err, bleve.ErrorIndexClosed) {
		t.Errorf("error %v, want ErrorIndexClosed", err)
	}
}

// TestWrapNamed wraps an index that is called like another folder.
func TestWrapNamed(t *testing.T) {
	pages := babble(60, 37)
	options := toyOptions()
	options.Codebook = trainToy(t, pages, codec.Residual4)
	elsewhere := t.TempDir()
	path := filepath.Join(t.TempDir(), "named.bleve")
	plain, err := bleve.New(path, pageMapping())
	check(t, err)
	plain.SetName(elsewhere)
	idx, err := parebleve.Wrap(plain, options) // nothing is on disk yet
	check(t, err)
	add(t, idx, pages)
	check(t, idx.Close())
	if len(library(t, elsewhere)) != 0 || len(library(t, path)) != 1 {
		t.Errorf("the codebooks are %v and %v", library(t, elsewhere), library(t, path))
	}
	options.Codebook = nil
	idx, err = parebleve.Open(path, nil, options)
	check(t, err)
	check(t, idx.Close())
}

// TestNewerState opens an index that a newer version has written.
func TestNewerState(t *testing.T) {
	plain, err := bleve.NewUsing("", pageMapping(), "scorch", "scorch", nil)
	check(t, err)
	defer plain.Close() // Wrap leaves it open
	check(t, plain.SetInternal([]byte("_pare"), []byte(`{"version":4,"something":"new"}`)))
	if _, err := parebleve.Wrap(plain, toyOptions()); !errors.Is(err, parebleve.ErrVersion) {
		t.Errorf("error %v, want ErrVersion", err)
	}
	check(t, plain.Index("a", page{Body: "plum"}))
}

// TestZeroOptions leaves all that can be left, and the mapping.
func TestZeroOptions(t *testing.T) {
	idx, err := parebleve.New("", nil, parebleve.Options{Fields: []string{"Body"}, Encoder: toy})
	check(t, err)
	defer idx.Close()
	check(t, idx.Index("a", struct{ Body string }{"plum tree"}))
	check(t, idx.Index("b", struct{ Body string }{"apple tree"}))
	q := parebleve.NewQuery("Body", "plum")
	if got := ids(find(t, idx, bleve.NewSearchRequest(q))); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("hits %v, want a and b", got)
	}
	q.SetBoost(0)
	if result := find(t, idx, bleve.NewSearchRequest(q)); result.Total != 2 || result.MaxScore != 0 {
		t.Errorf("%d hits, the best with %v, want two that score nothing", result.Total, result.MaxScore)
	}
	if result := find(t, idx, bleve.NewSearchRequestOptions(q, 0, 0, false)); result.Total != 2 || len(result.Hits) != 0 {
		t.Errorf("%d hits of %d, want none of two", len(result.Hits), result.Total)
	}
}

// picky is an encoder that refuses texts with certain words.
type picky struct {
	encoder.Encoder
	refuses *string
}

var errRefused = errors.New("refused")

func (p picky) EncodeDocuments(ctx context.Context, texts []string) ([]encoder.Tokens, error) {
	for _, text := range texts {
		if *p.refuses != "" && strings.Contains(text, *p.refuses) {
			return nil, fmt.Errorf("%w: %s", errRefused, text)
		}
	}
	return p.Encoder.EncodeDocuments(ctx, texts)
}

// TestReindexRefused gives vectors to documents some of which the encoder
// refuses: the others get theirs, the refused ones are named, and the next
// Reindex tries them again.
func TestReindexRefused(t *testing.T) {
	pages := babble(700, 38) // more than are encoded together
	refused := []string{"d0003", "d0004", "d0300", "d0699"}
	for _, id := range refused {
		p := pages[id]
		p.Body += " unspeakable"
		pages[id] = p
	}
	plain := plainIndex(t, filepath.Join(t.TempDir(), "refused.bleve"), pages)
	word := "unspeakable"
	options := toyOptions()
	options.Encoder, options.TrainingVectors = picky{toy, &word}, -1
	idx, err := parebleve.Wrap(plain, options)
	check(t, err)
	defer idx.Close()
	for range 2 {
		var last parebleve.Progress
		err := idx.Reindex(t.Context(), func(p parebleve.Progress) { last = p })
		var incomplete *parebleve.IncompleteError
		if !errors.As(err, &incomplete) || !errors.Is(err, errRefused) {
			t.Fatalf("error %v, want an IncompleteError", err)
		}
		var got []string
		for _, d := range incomplete.Documents {
			got = append(got, d.ID)
			if d.Field != "body" || !strings.Contains(err.Error(), d.ID) {
				t.Errorf("%+v is not named in %v", d, err)
			}
		}
		if slices.Sort(got); !slices.Equal(got, refused) || last.Failed != 4 || last.Skipped != 0 || last.Done != last.Total {
			t.Errorf("%v failed, progress %+v, want %v", got, last, refused)
		}
		if s := status(t, idx); s.WithVectors != 696 || s.Documents != 700 {
			t.Errorf("%+v, want all but four documents with vectors", s)
		}
	}
	// Training makes do with the others.
	if err := idx.Train(t.Context(), nil); !errors.Is(err, errRefused) {
		t.Errorf("error %v, want %v", err, errRefused)
	}
	if s := status(t, idx); s.Cells == 1 || s.WithVectors != 696 || s.Outdated != 0 {
		t.Errorf("%+v, want a trained codebook", s)
	}
	word = " " // nearly everything
	var incomplete *parebleve.IncompleteError
	if err := idx.Reindex(t.Context(), nil); !errors.As(err, &incomplete) || len(incomplete.Documents) != 4 {
		t.Errorf("error %v, want one about four documents", err)
	}
	word = "e" // what no text is without: it is the encoder
	if err := idx.Reindex(t.Context(), nil); !errors.Is(err, errRefused) || errors.As(err, &incomplete) {
		t.Errorf("error %v, want %v for all", err, errRefused)
	}
	word = ""
	check(t, idx.Reindex(t.Context(), nil))
	if s := status(t, idx); s.WithVectors != 700 || s.Outdated != 0 {
		t.Errorf("%+v, want vectors for all", s)
	}
}

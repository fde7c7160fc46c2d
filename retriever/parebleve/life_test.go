package parebleve_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/blevesearch/bleve/v2"
	"github.com/blevesearch/bleve/v2/index/scorch"
	"github.com/blevesearch/bleve/v2/mapping"
	segment "github.com/blevesearch/scorch_segment_api/v2"

	"github.com/pare-search/pare/index"
	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/retriever/parebleve"
)

func status(t testing.TB, idx *parebleve.Index) parebleve.Status {
	t.Helper()
	list, err := idx.Status()
	check(t, err)
	if len(list) != 1 {
		t.Fatalf("status of %d fields, want one", len(list))
	}
	return list[0]
}

// recallOf is the share of the ten best by plain loops among the hits.
func recallOf(t testing.TB, idx bleve.Index, pages map[string]page, texts ...string) float64 {
	t.Helper()
	found := 0
	for _, text := range texts {
		want := ranking(t, pages, text)[:10]
		for _, id := range ids(find(t, idx, bleve.NewSearchRequest(parebleve.NewQuery("body", text)))) {
			if slices.Contains(want, id) {
				found++
			}
		}
	}
	return float64(found) / float64(10*len(texts))
}

var lifeTexts = []string{"w3 w50 w128", "w1 w2 w99 w240", "w17 w18 w30"}

// TestCodebookLife follows an index from its first document on.
func TestCodebookLife(t *testing.T) {
	pages := babble(800, 11)
	ordered := slices.Sorted(maps.Keys(pages))
	path := filepath.Join(t.TempDir(), "life.bleve")
	options := toyOptions()
	options.Codec.Kind = codec.Residual4
	options.TrainingVectors = 5000
	idx, err := parebleve.New(path, pageMapping(), options)
	check(t, err)
	t.Cleanup(func() { idx.Close() })
	present := make(map[string]page)
	grow := func(n int) {
		part := make(map[string]page)
		for _, id := range ordered[len(present) : len(present)+n] {
			part[id] = pages[id]
		}
		maps.Copy(present, part)
		add(t, idx, part)
	}

	grow(100)
	idx.Wait()
	if s := status(t, idx); s.Kind != codec.Int8 || s.Cells != 1 || s.WithVectors != 100 || s.Outdated != 0 {
		t.Errorf("with 100 documents: %+v, want int8 without cells", s)
	}
	if r := recallOf(t, idx, present, lifeTexts...); r < 1 {
		t.Errorf("with 100 documents the recall is %v", r)
	}

	grow(200)
	idx.Wait()
	first := status(t, idx)
	if first.Kind != codec.Residual4 || first.Cells < 10 || first.WithVectors != 300 || first.Outdated != 0 || first.Err != nil {
		t.Errorf("with 300 documents: %+v, want a trained codebook and nothing outdated", first)
	}
	if r := recallOf(t, idx, present, lifeTexts...); r < 0.9 {
		t.Errorf("with 300 documents the recall is %v", r)
	}

	grow(100)
	idx.Wait()
	if s := status(t, idx); s.Codebook != first.Codebook || s.WithVectors != 400 {
		t.Errorf("with 400 documents: %+v, want the same codebook", s)
	}
	check(t, idx.Close())
	idx, err = parebleve.Open(path, nil, options)
	check(t, err)
	if s := status(t, idx); s.Codebook != first.Codebook || s.Kind != codec.Residual4 || s.WithVectors != 400 || s.Outdated != 0 {
		t.Errorf("opened again: %+v, want the same codebook", s)
	}

	grow(400)
	idx.Wait()
	s := status(t, idx)
	if s.Codebook == first.Codebook || s.Outdated != 0 || s.WithVectors != 800 {
		t.Errorf("with 800 documents: %+v, want another codebook and nothing outdated", s)
	}
	if r := recallOf(t, idx, present, lifeTexts...); r < 0.9 {
		t.Errorf("with 800 documents the recall is %v", r)
	}
	files, err := filepath.Glob(filepath.Join(path, "pare", "*"))
	check(t, err)
	if len(files) != 1 || !strings.Contains(files[0], fmt.Sprintf("%016x", s.Codebook)) {
		t.Errorf("codebooks %v are kept, want that of now", files)
	}
}

// TestResume closes an index while its documents are coded anew, and opens it
// again.
func TestResume(t *testing.T) {
	pages := babble(1100, 23)
	for id, p := range pages {
		p.Body = strings.Join(strings.Fields(p.Body)[:4], " ")
		pages[id] = p
	}
	path := filepath.Join(t.TempDir(), "resume.bleve")
	options := toyOptions()
	options.TrainingVectors = -1
	idx, err := parebleve.New(path, pageMapping(), options)
	check(t, err)
	add(t, idx, pages)
	ctx, cancel := context.WithCancel(t.Context())
	err = idx.Train(ctx, func(p parebleve.Progress) {
		if p.Done > 0 {
			cancel()
		}
	})
	if s := status(t, idx); !errors.Is(err, context.Canceled) || s.Outdated == 0 || s.Outdated == 1100 || s.WithVectors != 1100 {
		t.Errorf("error %v, %+v, want some of 1100 documents outdated", err, s)
	}
	check(t, idx.Close())
	options.TrainingVectors = 1 << 16
	idx, err = parebleve.Open(path, nil, options)
	check(t, err)
	defer idx.Close()
	idx.Wait()
	if s := status(t, idx); s.Outdated != 0 || s.WithVectors != 1100 || s.Err != nil {
		t.Errorf("%+v, want nothing outdated", s)
	}
}

// TestSeveralCodebooks searches documents that are coded in three ways.
func TestSeveralCodebooks(t *testing.T) {
	pages := babble(300, 12)
	path := filepath.Join(t.TempDir(), "several.bleve")
	kinds := []codec.Kind{codec.Float32, codec.Int8, codec.Residual4}
	parts := make([]map[string]page, 3)
	for i := range parts {
		parts[i] = make(map[string]page)
	}
	for id, p := range pages {
		parts[int(p.Year)%3][id] = p
	}
	var idx *parebleve.Index
	for i, part := range parts {
		options := toyOptions()
		options.Search.Plan = index.Exhaustive
		options.Codebook = trainToy(t, pages, kinds[i])
		var err error
		if i == 0 {
			idx, err = parebleve.New(path, pageMapping(), options)
		} else {
			check(t, idx.Close())
			idx, err = parebleve.Open(path, nil, options)
		}
		check(t, err)
		add(t, idx, part)
	}
	defer func() { idx.Close() }()
	if s := status(t, idx); s.WithVectors != 300 || s.Outdated != 200 {
		t.Errorf("%+v, want 200 of 300 documents outdated", s)
	}
	request := bleve.NewSearchRequestOptions(parebleve.NewQuery("body", composeText), 300, 0, false)
	result := find(t, idx, request)
	if len(result.Hits) != 300 {
		t.Errorf("%d hits, want 300", len(result.Hits))
	}
	for _, hit := range result.Hits {
		if want := maxSim(t, composeText, pages[hit.ID].Body); math.Abs(hit.Score-want) > 0.15 {
			t.Errorf("%s has the score %v, want %v", hit.ID, hit.Score, want)
		}
	}
	check(t, idx.Reindex(t.Context(), nil))
	if s := status(t, idx); s.WithVectors != 300 || s.Outdated != 0 {
		t.Errorf("%+v, want nothing outdated", s)
	}
}

// plainIndex makes an index by bleve alone.
func plainIndex(t testing.TB, path string, pages map[string]page) bleve.Index {
	t.Helper()
	idx, err := bleve.New(path, pageMapping())
	check(t, err)
	batch := idx.NewBatch()
	for _, id := range slices.Sorted(maps.Keys(pages)) {
		check(t, batch.Index(id, pages[id]))
		if batch.Size() == 50 {
			check(t, idx.Batch(batch))
			batch.Reset()
		}
	}
	check(t, idx.Batch(batch))
	return idx
}

// TestReindex gives vectors to an index that has none, in two goes.
func TestReindex(t *testing.T) {
	pages := babble(1300, 13)
	for id, p := range pages { // short, to be quick
		p.Body = strings.Join(strings.Fields(p.Body)[:5], " ")
		pages[id] = p
	}
	path := filepath.Join(t.TempDir(), "plain.bleve")
	plain := plainIndex(t, path, pages)
	before := dump(t, plain)
	check(t, plain.Close())

	options := toyOptions()
	options.TrainingVectors = -1
	idx, err := parebleve.Open(path, nil, options)
	check(t, err)
	if s := status(t, idx); s.Documents != 1300 || s.WithVectors != 0 {
		t.Errorf("%+v, want no vectors", s)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var last parebleve.Progress
	err = idx.Reindex(ctx, func(p parebleve.Progress) {
		if last = p; p.Done > 0 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || last.Total != 1300 || last.Done == 0 || last.Done >= 1300 {
		t.Errorf("error %v after %+v, want it stopped on its way", err, last)
	}
	check(t, idx.Close())
	idx, err = parebleve.Open(path, nil, options)
	check(t, err)
	done := last.Done
	if s := status(t, idx); s.WithVectors != done {
		t.Errorf("%+v, want %d documents with vectors", s, done)
	}
	check(t, idx.Reindex(t.Context(), func(p parebleve.Progress) { last = p }))
	if last.Total != 1300-done || last.Done != last.Total || last.Skipped != 0 {
		t.Errorf("the second go ended with %+v, want %d done", last, 1300-done)
	}
	if s := status(t, idx); s.WithVectors != 1300 {
		t.Errorf("%+v, want all documents with vectors", s)
	}
	request := bleve.NewSearchRequestOptions(parebleve.NewQuery("body", composeText), 50, 0, false)
	for _, hit := range find(t, idx, request).Hits {
		if want := maxSim(t, composeText, pages[hit.ID].Body); math.Abs(hit.Score-want) > 0.03 {
			t.Errorf("%s has the score %v, want %v", hit.ID, hit.Score, want)
		}
	}

	// Everything else is as it was, to the last position; also after a merge.
	advanced, err := idx.Advanced()
	check(t, err)
	for _, state := range []string{"reindexed", "merged"} {
		if state == "merged" {
			check(t, advanced.(*scorch.Scorch).ForceMerge(t.Context(), nil))
		}
		after := dump(t, idx)
		for id, want := range before {
			if got := after[id]; got != want {
				t.Fatalf("%s: %s is now\n%s\nand was\n%s", state, id, got, want)
			}
		}
		if len(after) != len(before) {
			t.Errorf("%s: %d documents, want %d", state, len(after), len(before))
		}
	}
	check(t, idx.Close())
}

// dump writes down all that an index knows about each document, but for our
// fields: stored values, terms with frequencies, norms and positions, and doc
// values.
func dump(t testing.TB, idx bleve.Index) map[string]string {
	t.Helper()
	advanced, err := idx.Advanced()
	check(t, err)
	reader, err := advanced.Reader()
	check(t, err)
	defer reader.Close()
	lines := make(map[string][]string)
	for _, seg := range reader.(*scorch.IndexSnapshot).Segments() {
		idOf := make(map[uint64]string)
		var names []string
		for _, name := range seg.Fields() {
			if !strings.HasPrefix(name, "~pare") {
				names = append(names, name)
			}
		}
		visitable, err := seg.Segment().(segment.DocValueVisitable).VisitableDocValueFields()
		check(t, err)
		for it := seg.DocNumbersLive().Iterator(); it.HasNext(); {
			n := uint64(it.Next())
			id, err := seg.DocID(n)
			check(t, err)
			idOf[n] = string(id)
			var own []string
			check(t, seg.VisitDocument(n, func(name string, kind byte, value []byte, positions []uint64) bool {
				if !strings.HasPrefix(name, "~pare") {
					own = append(own, fmt.Sprintf("stored %s %c %q %v", name, kind, value, positions))
				}
				return true
			}))
			_, err = seg.Segment().(segment.DocValueVisitable).VisitDocValues(n, names, func(name string, term []byte) {
				own = append(own, fmt.Sprintf("value %s %q %v", name, term, slices.Contains(visitable, name)))
			}, nil)
			check(t, err)
			lines[idOf[n]] = own
		}
		for _, name := range names {
			dictionary, err := seg.Segment().Dictionary(name)
			check(t, err)
			terms := dictionary.AutomatonIterator(nil, nil, nil)
			for entry, err := terms.Next(); entry != nil; entry, err = terms.Next() {
				check(t, err)
				list, err := dictionary.PostingsList([]byte(entry.Term), seg.Deleted(), nil)
				check(t, err)
				postings := list.Iterator(true, true, true, nil)
				for p, err := postings.Next(); p != nil; p, err = postings.Next() {
					check(t, err)
					line := fmt.Sprintf("term %s %q %d %v", name, entry.Term, p.Frequency(), p.Norm())
					for _, l := range p.Locations() {
						line += fmt.Sprint(" ", l.Field(), l.Pos(), l.Start(), l.End(), l.ArrayPositions())
					}
					lines[idOf[p.Number()]] = append(lines[idOf[p.Number()]], line)
				}
			}
		}
	}
	dumps := make(map[string]string)
	for id, list := range lines {
		slices.Sort(list)
		dumps[id] = strings.Join(list, "\n")
	}
	return dumps
}

// TestReindexWhileWriting changes documents while they are coded anew.
func TestReindexWhileWriting(t *testing.T) {
	pages := babble(1100, 14)
	path := filepath.Join(t.TempDir(), "busy.bleve")
	check(t, plainIndex(t, path, pages).Close())
	options := toyOptions()
	options.TrainingVectors = -1
	idx, err := parebleve.Open(path, nil, options)
	check(t, err)
	defer idx.Close()
	done := make(chan error)
	go func() { done <- idx.Reindex(t.Context(), nil) }()
	fresh := babble(24, 15)
	ordered := slices.Sorted(maps.Keys(pages))
	for i, id := range slices.Sorted(maps.Keys(fresh)) {
		target := ordered[i*45]
		if i%3 == 0 {
			check(t, idx.Delete(target))
			delete(pages, target)
			continue
		}
		pages[target] = fresh[id]
		check(t, idx.Index(target, fresh[id]))
	}
	check(t, <-done)
	check(t, idx.Reindex(t.Context(), nil)) // those that had changed
	request := bleve.NewSearchRequestOptions(parebleve.NewQuery("body", composeText), 1100, 0, false)
	result := find(t, idx, request)
	if len(result.Hits) != len(pages) {
		t.Errorf("%d hits, want %d", len(result.Hits), len(pages))
	}
	for _, hit := range result.Hits {
		if want := maxSim(t, composeText, pages[hit.ID].Body); math.Abs(hit.Score-want) > 0.03 {
			t.Errorf("%s has the score %v, want %v", hit.ID, hit.Score, want)
		}
	}
}

// TestStockBleve opens, changes and merges an index without this package.
func TestStockBleve(t *testing.T) {
	pages := babble(300, 16)
	path := filepath.Join(t.TempDir(), "stock.bleve")
	options := toyOptions()
	options.Codebook = trainToy(t, pages, codec.Residual4)
	idx, err := parebleve.New(path, pageMapping(), options)
	check(t, err)
	add(t, idx, pages)
	check(t, idx.Close())

	stock, err := bleve.Open(path)
	check(t, err)
	match := bleve.NewMatchQuery("w50")
	if n := find(t, stock, bleve.NewSearchRequest(match)).Total; n == 0 {
		t.Error("bleve finds nothing")
	}
	changed := pages["d0003"]
	changed.Body = "w50 w50"
	check(t, stock.Index("d0003", changed)) // without vectors
	check(t, stock.Delete("d0004"))
	advanced, err := stock.Advanced()
	check(t, err)
	check(t, advanced.(*scorch.Scorch).ForceMerge(t.Context(), nil))
	check(t, stock.Close())

	idx, err = parebleve.Open(path, nil, options)
	check(t, err)
	defer idx.Close()
	if s := status(t, idx); s.WithVectors != 298 || s.Documents != 299 {
		t.Errorf("%+v, want 298 of 299 documents with vectors", s)
	}
	check(t, idx.Reindex(t.Context(), nil))
	if s := status(t, idx); s.WithVectors != 299 {
		t.Errorf("%+v, want 299 documents with vectors", s)
	}
}

// TestCopyTo makes a backup and searches it.
func TestCopyTo(t *testing.T) {
	pages := babble(100, 17)
	options := toyOptions()
	options.Codebook = trainToy(t, pages, codec.Residual4)
	idx := create(t, pages, options)
	deadline := time.Now().Add(10 * time.Second)
	path := filepath.Join(t.TempDir(), "copy.bleve")
	for { // bleve copies what has been written to disk
		check(t, os.RemoveAll(path))
		check(t, idx.CopyTo(bleve.FileSystemDirectory(path)))
		copied, err := parebleve.Open(path, nil, options)
		check(t, err)
		n := status(t, copied).WithVectors
		got := find(t, copied, bleve.NewSearchRequest(parebleve.NewQuery("body", composeText)))
		want := find(t, idx, bleve.NewSearchRequest(parebleve.NewQuery("body", composeText)))
		check(t, copied.Close())
		if n == 100 {
			if !slices.Equal(ids(got), ids(want)) {
				t.Errorf("hits %v, want %v", ids(got), ids(want))
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the copy has %d documents, want 100", n)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// TestOpenErrors opens indexes that do not fit.
func TestOpenErrors(t *testing.T) {
	pages := babble(20, 18)
	path := filepath.Join(t.TempDir(), "errors.bleve")
	options := toyOptions()
	options.Codebook = trainToy(t, pages, codec.Residual4)
	idx, err := parebleve.New(path, pageMapping(), options)
	check(t, err)
	add(t, idx, pages)
	check(t, idx.Close())

	wide := options
	wide.Encoder, wide.Codebook = constant{64}, nil
	if _, err := parebleve.Open(path, nil, wide); !errors.Is(err, parebleve.ErrEncoder) {
		t.Errorf("error %v, want ErrEncoder", err)
	}
	own := options
	own.Codebook = nil
	files, err := filepath.Glob(filepath.Join(path, "pare", "*"))
	check(t, err)
	for _, file := range files {
		check(t, os.Remove(file))
	}
	if _, err := parebleve.Open(path, nil, own); !errors.Is(err, parebleve.ErrCodebook) {
		t.Errorf("error %v, want ErrCodebook", err)
	}
	idx, err = parebleve.Open(path, nil, options)
	check(t, err)
	check(t, idx.Close())
	if _, err := parebleve.New(filepath.Join(t.TempDir(), "x"), pageMapping(), parebleve.Options{}); !errors.Is(err, parebleve.ErrOptions) {
		t.Errorf("error %v, want ErrOptions", err)
	}
}

// TestWrap opens an index under another name than its path, and with another
// mapping.
func TestWrap(t *testing.T) {
	pages := babble(60, 19)
	path := filepath.Join(t.TempDir(), "wrap.bleve")
	check(t, plainIndex(t, path, pages).Close())
	options := toyOptions()
	options.Codebook = trainToy(t, pages, codec.Residual4)
	for round := range 2 {
		plain, err := bleve.Open(path)
		check(t, err)
		plain.SetName("pages")
		idx, err := parebleve.Wrap(plain, options)
		check(t, err)
		if idx.Unwrap() != plain || idx.Name() != "pages" {
			t.Errorf("the index is %v, called %s", idx.Unwrap(), idx.Name())
		}
		if round == 0 {
			check(t, idx.Reindex(t.Context(), nil))
		}
		if s := status(t, idx); s.WithVectors != 60 {
			t.Errorf("%+v, want vectors for 60 documents", s)
		}
		check(t, idx.Close())
		check(t, idx.Close())
		options.Codebook = nil // the second time it must be found again
	}
}

// TestOpenMapping opens an index with another mapping: bleve lets it index and
// store less, outside of _all.
func TestOpenMapping(t *testing.T) {
	mappingOf := func() *mapping.IndexMappingImpl {
		m := pageMapping()
		m.DefaultMapping.Dynamic, m.IndexDynamic, m.StoreDynamic = false, false, false
		for _, f := range m.DefaultMapping.Properties {
			f.Fields[0].IncludeInAll, f.Dynamic = false, false
		}
		return m
	}
	pages := babble(20, 19)
	path := filepath.Join(t.TempDir(), "mapping.bleve")
	idx, err := parebleve.New(path, mappingOf(), toyOptions())
	check(t, err)
	add(t, idx, pages)
	check(t, idx.Close())
	less := mappingOf()
	title := *less.DefaultMapping.Properties["title"].Fields[0] // shared with body
	title.Store = false
	less.DefaultMapping.Properties["title"].Fields[0] = &title
	idx, err = parebleve.Open(path, less, toyOptions())
	check(t, err)
	defer idx.Close()
	request := bleve.NewSearchRequest(parebleve.NewQuery("body", composeText))
	request.Fields = []string{"title", "body"}
	hits := find(t, idx, request).Hits
	if len(hits) != 10 {
		t.Errorf("%d hits, want 10", len(hits))
	}
	for _, hit := range hits {
		if hit.Fields["title"] != nil || hit.Fields["body"] != pages[hit.ID].Body {
			t.Errorf("%s has the fields %v, want the body alone", hit.ID, hit.Fields)
		}
	}
}

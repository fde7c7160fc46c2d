package retriever_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/retriever"
)

func TestSearchBatch(t *testing.T) {
	r := build(t, orchard, buildOptions(codec.Residual2))
	var queries []string
	for range 20 {
		for _, d := range orchard {
			queries = append(queries, d.Text)
		}
	}
	for _, workers := range []int{0, 1, 3} {
		results, err := r.SearchBatch(t.Context(), queries, retriever.DefaultOptions(), workers)
		if err != nil {
			t.Fatal(err)
		}
		for i, query := range queries {
			if want := search(t, r, query, retriever.DefaultOptions()); !reflect.DeepEqual(results[i].Hits, want.Hits) {
				t.Errorf("%d workers, query %d: %v, want %v", workers, i, results[i].Hits, want.Hits)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.SearchBatch(ctx, queries, retriever.DefaultOptions(), 2); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "of the batch") {
		t.Errorf("cancelled: %v", err)
	}
}

func TestFilter(t *testing.T) {
	r := build(t, orchard, buildOptions(codec.Residual2))
	ids := []string{orchard[2].ID, "nobody", orchard[0].ID}
	filter, err := r.Filter(ids...)
	if err != nil {
		t.Fatal(err)
	}
	options := retriever.DefaultOptions()
	options.Search.Filter = filter
	hits := search(t, r, orchard[0].Text+" "+orchard[2].Text, options).Hits
	if len(hits) != 2 {
		t.Fatalf("%d hits, want 2", len(hits))
	}
	for _, hit := range hits {
		if hit.ID != ids[0] && hit.ID != ids[2] {
			t.Errorf("%s is not among the ids", hit.ID)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Filter(ids...); !errors.Is(err, retriever.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

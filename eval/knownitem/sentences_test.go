package knownitem_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/pare-search/pare/eval/knownitem"
)

func sequence(documents []knownitem.Document, last error) func(func(knownitem.Document, error) bool) {
	return func(yield func(knownitem.Document, error) bool) {
		for _, d := range documents {
			if !yield(d, nil) {
				return
			}
		}
		if last != nil {
			yield(knownitem.Document{}, last)
		}
	}
}

func TestSentences(t *testing.T) {
	documents := []knownitem.Document{
		{ID: "a", Text: "Too short. The quick brown fox jumps over the lazy dog of autumn. See www."},
		{ID: "b", Text: "no sentence at all"},
		{ID: "c", Text: "the lift increase of a wing in a propeller slipstream was measured . the rest is short ."},
		{ID: "d", Text: "The quick brown fox jumps over the lazy dog of autumn."},
	}
	queries, source, err := knownitem.Sentences(sequence(documents, nil), 10, 1)
	if err != nil {
		t.Fatal(err)
	}
	want := []knownitem.Query{
		{ID: "q:a", Text: "The quick brown fox jumps over the lazy dog of autumn."},
		{ID: "q:c", Text: "the lift increase of a wing in a propeller slipstream was measured"},
	}
	if !reflect.DeepEqual(queries, want) || !reflect.DeepEqual(source, map[string]string{"q:a": "a", "q:c": "c"}) {
		t.Errorf("%q from %v, want %q", queries, source, want)
	}

	var many []knownitem.Document
	for i := range 500 {
		many = append(many, knownitem.Document{
			ID:   fmt.Sprintf("d%03d", i),
			Text: fmt.Sprintf("Document number %d speaks of pears, plums and quinces. It also knows %d apples by their Latin names.", i, i),
		})
	}
	drawn := func(seed uint64) []knownitem.Query {
		queries, source, err := knownitem.Sentences(sequence(many, nil), 50, seed)
		if err != nil || len(queries) != 50 {
			t.Fatalf("%d queries (%v)", len(queries), err)
		}
		before := ""
		for _, q := range queries {
			if source[q.ID] <= before {
				t.Errorf("%s comes after %s", source[q.ID], before)
			}
			before = source[q.ID]
			i := strings.TrimLeft(strings.TrimPrefix(before, "d"), "0")
			if i != "" && !strings.Contains(q.Text, i) {
				t.Errorf("%q is not from %s", q.Text, before)
			}
		}
		return queries
	}
	first := drawn(1)
	if !reflect.DeepEqual(first, drawn(1)) {
		t.Error("one seed draws two samples")
	}
	if reflect.DeepEqual(first, drawn(2)) {
		t.Error("two seeds draw the same")
	}
	// Half of 500 documents are in the second half: 50 draws find 25 of them, give
	// or take four standard deviations of 3.4.
	late := 0
	for _, q := range first {
		if q.ID > "q:d250" {
			late++
		}
	}
	if late < 11 || late > 39 {
		t.Errorf("%d of 50 are from the second half", late)
	}

	broken := errors.New("the disk is gone")
	if _, _, err := knownitem.Sentences(sequence(documents, broken), 10, 1); !errors.Is(err, broken) {
		t.Errorf("error %v, want that of the documents", err)
	}
}

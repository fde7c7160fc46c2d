package sweep

import (
	"testing"

	"github.com/pare-search/pare/eval"
)

func TestFollowed(t *testing.T) {
	first := []eval.Result{{ID: "a", Score: 3}, {ID: "b", Score: 1}}
	others := []eval.Result{{ID: "c", Score: 4}, {ID: "a", Score: 3}, {ID: "d", Score: 1}, {ID: "b", Score: 1}, {ID: "e", Score: 0.5}}
	var order string
	for _, r := range eval.Rank(followed(first, others), eval.TiesDescending) {
		order += r.ID
	}
	if order != "abcde" {
		t.Errorf("ranked %s, want abcde", order)
	}
	if first[0].Score != 3 || others[0].Score != 4 {
		t.Error("an argument was changed")
	}
}

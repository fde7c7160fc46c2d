package parebleve

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"
)

// FuzzParseQuery: a query in JSON is refused or is one, or another's, whatever it says.
func FuzzParseQuery(f *testing.F) {
	f.Add([]byte(`{"custom_score":{"maxsim":{"field":"vectors","text":"a"}}}`))
	f.Add([]byte(`{"custom_score":{"query":{"match":"a"},"rrf":{"queries":[{"match":"a"}],"window":10}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = parseQuery(data)
	})
}

// FuzzState: what an index says of its vectors is refused by name, or says the same
// when it is written again.
func FuzzState(f *testing.F) {
	f.Add([]byte(`{"version":3,"dimensions":8,"encoder":"00000000000000ff","fields":{"body":{"codebook":"00ff00ff00ff00ff","vectors":12}}}`))
	f.Add([]byte(`{"version":3,"dimensions":8,"fields":{"":{"codebook":"FF","vectors":0}}}`))
	f.Add([]byte(`{"version":4,"fields":5}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := parseState(data)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrVersion) {
				t.Fatal(err)
			}
			return
		}
		again, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if same, err := parseState(again); err != nil || !reflect.DeepEqual(same, s) {
			t.Errorf("%s is %+v, and %s is %+v, %v", data, s, again, same, err)
		}
	})
}

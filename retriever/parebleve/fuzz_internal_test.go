package parebleve

import "testing"

// FuzzParseQuery: a query in JSON is refused or is one, or another's, whatever it says.
func FuzzParseQuery(f *testing.F) {
	f.Add([]byte(`{"custom_score":{"maxsim":{"field":"vectors","text":"a"}}}`))
	f.Add([]byte(`{"custom_score":{"query":{"match":"a"},"rrf":{"queries":[{"match":"a"}],"window":10}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = parseQuery(data)
	})
}

package remote

import (
	"encoding/json"
	"errors"
	"math"
	"testing"
)

// FuzzRows compares the parser of vectors with the one of encoding/json.
func FuzzRows(f *testing.F) {
	for _, seed := range []string{
		`[]`, `[[]]`, `[[1,2],[3,4]]`, ` [ [ 1e3 , -2.5E-2 ] ] `, `[[1],[2,3]]`, `[[null]]`, `[null]`, `null`, `[[1e39]]`, `[[1e-60]]`,
		`[["1"]]`, `[[[1]]]`, `[1]`, `{"a":[[1]]}`, `[[1],2]`, `"]["`, `[["[]"]]`, `[[true]]`, `[[0.1,0.2]`, `[[-0]]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var got rows
		if err := json.Unmarshal(data, &got); err != nil {
			return // no JSON at all
		}
		var want [][]*float32
		err := json.Unmarshal(data, &want)
		valid := err == nil && want != nil
		width := 0
		if len(want) > 0 {
			width = len(want[0])
		}
		for _, row := range want {
			valid = valid && row != nil && len(row) == width
			for _, x := range row {
				valid = valid && x != nil
			}
		}
		if valid != (got.err == nil) {
			t.Fatalf("%s: error %v, encoding/json says %v", data, got.err, err)
		}
		if !valid {
			return
		}
		if got.Rows != len(want) || got.Dim != width || len(got.Data) != got.Rows*got.Dim {
			t.Fatalf("%s: %d x %d with %d values", data, got.Rows, got.Dim, len(got.Data))
		}
		for i, row := range want {
			for d, x := range row {
				if math.Float32bits(got.Row(i)[d]) != math.Float32bits(*x) {
					t.Fatalf("%s: row %d, column %d is %v, want %v", data, i, d, got.Row(i)[d], *x)
				}
			}
		}
	})
}

// FuzzLoad: an encoder that an index names is refused by name, or asks the address
// that is allowed and is saved as it was.
func FuzzLoad(f *testing.F) {
	const address = "https://host/base"
	for _, seed := range []string{
		`{"version":1,"format":"vllm","url":"https://host/base","model":"m","dim":128,"query_prefix":"[Q] "}`,
		`{"version":1,"format":"next-plaid","url":"https://host/base/encode","dim":8}`,
		`{"version":1,"format":"jina","url":"https://api.jina.ai","model":"m","dim":128}`,
		`{"version":1,"format":"jina","url":"https://host/base@evil.example","model":"m","dim":128}`,
		`{"version":2}`, `{"version":1,"URL":"https://host/base"}`, `null`, ``,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := Load(data, "", DefaultOptions()); err == nil {
			t.Fatalf("%s: an address that nobody has allowed", data)
		}
		e, err := Load(data, address, DefaultOptions())
		if err != nil {
			if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrVersion) && !errors.Is(err, ErrAddress) {
				t.Fatal(err)
			}
			return
		}
		if want := (Service{Format: e.service.Format, URL: address}).endpoint(); e.client.endpoint != want {
			t.Errorf("%s asks %s, want %s", data, e.client.endpoint, want)
		}
		saved, err := e.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := Load(saved, address, DefaultOptions()); err != nil || again.service != e.service {
			t.Errorf("%s is saved as %s: %v", data, saved, err)
		}
	})
}

// FuzzAnswer: what a service answers, whatever it speaks, is refused or is matrices
// of finite values.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		`{"embeddings":[[[1,2]],[[3,4],[5,6]]]}`,
		`{"embeddings_b64":["AACAPwAAAEA="],"shapes":[[1,2]]}`, `{"embeddings_b64":["AAAA"],"shapes":[[1152921504606846976,16]]}`,
		`{"embeddings_b64":["AADAfw=="],"shapes":[[1,1]]}`, `{"embeddings_b64":[""],"shapes":[[]]}`,
		`{"data":[{"index":1,"embedding":[[1]],"data":[[1]],"embeddings":[[1]]},{"index":0,"embedding":[[2]]}]}`,
		`{"data":[{"index":-1,"data":[[1]]}]}`, `{"data":[{"index":0},{"index":0}]}`, `{"data":[null]}`, `[NaN]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for format, protocol := range protocols {
			texts, err := protocol.answer(data)
			if err != nil {
				continue
			}
			for i, r := range texts {
				if r.err != nil || r.Rows < 0 || r.Dim < 0 || len(r.Data) != r.Rows*r.Dim {
					t.Fatalf("%s: %s: text %d: %d x %d with %d values, %v", format, data, i, r.Rows, r.Dim, len(r.Data), r.err)
				}
				for _, x := range r.Data {
					if x-x != 0 {
						t.Fatalf("%s: %s: text %d: %v", format, data, i, x)
					}
				}
			}
		}
	})
}

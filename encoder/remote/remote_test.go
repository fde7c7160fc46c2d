package remote_test

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/encoder/remote"
)

const dim = 16

// vectors are what the stand-ins make of a text: one per word, of any length,
// other ones for a query.
func vectors(text string, query bool) [][]float32 {
	out := [][]float32{}
	for _, word := range strings.Fields(text) {
		h := fnv.New64()
		fmt.Fprint(h, word, query)
		random := rand.New(rand.NewPCG(h.Sum64(), 0))
		v := make([]float32, dim)
		for d := range v {
			v[d] = float32(random.NormFloat64())
		}
		out = append(out, v)
	}
	return out
}

// check compares tokens with the vectors of a text, scaled to length 1.
func check(t *testing.T, tokens encoder.Tokens, text string, query bool) {
	t.Helper()
	want := vectors(text, query)
	if tokens.Vectors.Rows != len(want) || tokens.IDs != nil || tokens.Spans != nil {
		t.Fatalf("%q: %d vectors, ids %v, spans %v; want %d vectors", text, tokens.Vectors.Rows, tokens.IDs, tokens.Spans, len(want))
	}
	if err := tokens.Validate(dim); err != nil {
		t.Fatal(err)
	}
	for i, w := range want {
		length := 0.0
		for _, x := range w {
			length += float64(x) * float64(x)
		}
		for d, x := range w {
			if got := tokens.Vectors.Row(i)[d]; math.Abs(float64(got)-float64(x)/math.Sqrt(length)) > 1e-6 {
				t.Fatalf("%q: row %d, column %d is %v, want %v / %v", text, i, d, got, x, math.Sqrt(length))
			}
		}
	}
}

// received is a request as a stand-in got it.
type received struct {
	header http.Header
	path   string
	body   map[string]any
}

// standIn is a local server that speaks one format.
type standIn struct {
	*httptest.Server
	mu       sync.Mutex
	requests []received
}

// serve starts a stand-in whose answers are made by answer.
func serve(t *testing.T, answer func(r received) any) *standIn {
	s := &standIn{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		r := received{header: request.Header, path: request.URL.Path}
		if err := json.NewDecoder(request.Body).Decode(&r.body); err != nil || request.Method != http.MethodPost {
			t.Errorf("%s with error %v, want POST with JSON", request.Method, err)
		}
		s.mu.Lock()
		s.requests = append(s.requests, r)
		s.mu.Unlock()
		if err := json.NewEncoder(w).Encode(answer(r)); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func texts(list any) []string {
	var out []string
	for _, text := range list.([]any) {
		out = append(out, text.(string))
	}
	return out
}

type object = map[string]any

func nextPlaidFloats(r received) any {
	var all [][][]float32
	for _, text := range texts(r.body["texts"]) {
		all = append(all, vectors(text, r.body["input_type"] == "query"))
	}
	return object{"embeddings": all, "num_texts": len(all)}
}

func nextPlaidPacked(r received) any {
	if r.header.Get("X-Embeddings-Format") != "base64" {
		return nextPlaidFloats(r)
	}
	var packed []string
	var shapes [][]int
	for _, text := range texts(r.body["texts"]) {
		var bytes []byte
		rows := vectors(text, r.body["input_type"] == "query")
		for _, row := range rows {
			for _, x := range row {
				bytes = binary.LittleEndian.AppendUint32(bytes, math.Float32bits(x))
			}
		}
		packed = append(packed, base64.StdEncoding.EncodeToString(bytes))
		shapes = append(shapes, []int{len(rows), dim})
	}
	return object{"embeddings_b64": packed, "shapes": shapes, "num_texts": len(packed)}
}

func jina(r received) any {
	var data []object
	for i, text := range texts(r.body["input"]) {
		data = append(data, object{"object": "embeddings", "index": i, "embeddings": vectors(text, r.body["input_type"] == "query")})
	}
	return object{"model": r.body["model"], "object": "list", "usage": object{"total_tokens": 9}, "data": data}
}

// vllm answers out of order, which the index makes up for. It cannot tell
// queries from documents but by their prefix.
func vllm(r received) any {
	var data []object
	for i, text := range texts(r.body["input"]) {
		text, query := strings.CutPrefix(text, "[Q] ")
		text = strings.TrimPrefix(text, "[D] ")
		data = append(data, object{"index": i, "object": "pooling", "data": vectors(text, query)})
	}
	slices.Reverse(data)
	return object{"id": "pool-1", "object": "list", "created": 1, "model": r.body["model"], "data": data, "usage": object{"prompt_tokens": 9}}
}

func pyLate(r received) any {
	var data []object
	for _, text := range texts(r.body["input"]) {
		data = append(data, object{"object": "embedding", "embedding": vectors(text, r.body["is_query"].(bool))})
	}
	return object{"data": data, "model": r.body["model"], "usage": object{"prompt_tokens": 9, "total_tokens": 9}}
}

// options do not wait long.
func options() remote.Options {
	o := remote.DefaultOptions()
	o.Wait, o.MaxWait, o.Timeout = time.Millisecond, 10*time.Millisecond, 5*time.Second
	return o
}

// open returns an encoder for a next-plaid service.
func open(t *testing.T, url string, o remote.Options) *remote.Encoder {
	t.Helper()
	e, err := remote.New(t.Context(), remote.Service{Format: remote.NextPlaid, URL: url, Dim: dim}, o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

var documents = []string{"apple trees", "", "plum", "one rotten apple spoils the barrel", " \t"}

// TestFormats checks every format: what is sent, byte for byte in meaning, and
// what is made of the answer, with the width given and asked for.
func TestFormats(t *testing.T) {
	sent := []any{"apple trees", "plum", "one rotten apple spoils the barrel"}
	for name, test := range map[string]struct {
		service           remote.Service
		path              string
		answer            func(received) any
		query, documents  object
		withoutDimensions bool
	}{
		"next-plaid": {
			remote.Service{Format: remote.NextPlaid},
			"/encode", nextPlaidPacked,
			object{"texts": []any{"rotten apple"}, "input_type": "query"},
			object{"texts": sent, "input_type": "document"},
			false,
		},
		"next-plaid of old": {
			remote.Service{Format: remote.NextPlaid},
			"/encode", nextPlaidFloats,
			object{"texts": []any{"rotten apple"}, "input_type": "query"},
			object{"texts": sent, "input_type": "document"},
			false,
		},
		"jina": {
			remote.Service{Format: remote.Jina, Model: "jina-colbert-v2"},
			"/v1/multi-vector", jina,
			object{"model": "jina-colbert-v2", "dimensions": 16.0, "input_type": "query", "embedding_type": "float", "input": []any{"rotten apple"}},
			object{"model": "jina-colbert-v2", "dimensions": 16.0, "input_type": "document", "embedding_type": "float", "input": sent},
			true,
		},
		"vllm": {
			remote.Service{Format: remote.VLLM, Model: "colbert", QueryPrefix: "[Q] ", DocumentPrefix: "[D] "},
			"/pooling", vllm,
			object{"model": "colbert", "task": "token_embed", "encoding_format": "float", "input": []any{"[Q] rotten apple"}},
			object{
				"model": "colbert", "task": "token_embed", "encoding_format": "float",
				"input": []any{"[D] apple trees", "[D] plum", "[D] one rotten apple spoils the barrel"},
			},
			false,
		},
		"pylate": {
			remote.Service{Format: remote.PyLate, Model: "lightonai/GTE-ModernColBERT-v1"},
			"/v1/embeddings", pyLate,
			object{"model": "lightonai/GTE-ModernColBERT-v1", "is_query": true, "input": []any{"rotten apple"}},
			object{"model": "lightonai/GTE-ModernColBERT-v1", "is_query": false, "input": sent},
			false,
		},
	} {
		for _, width := range []int{dim, 0} {
			for _, tail := range []string{"", "/", test.path} {
				t.Run(fmt.Sprint(name, " ", width, " ", tail), func(t *testing.T) {
					server := serve(t, test.answer)
					service := test.service
					service.URL, service.Dim = server.URL+tail, width
					o := options()
					o.Key = "secret"
					e, err := remote.New(t.Context(), service, o)
					if err != nil {
						t.Fatal(err)
					}
					if e.Dim() != dim || e.Service().Dim != dim {
						t.Errorf("width %d, want %d", e.Dim(), dim)
					}
					query, err := e.EncodeQuery(t.Context(), "rotten apple")
					if err != nil {
						t.Fatal(err)
					}
					check(t, query, "rotten apple", true)
					encoded, err := e.EncodeDocuments(t.Context(), documents)
					if err != nil {
						t.Fatal(err)
					}
					for i, text := range documents {
						check(t, encoded[i], text, false)
					}
					requests := server.requests[len(server.requests)-2:]
					for i, want := range []object{test.query, test.documents} {
						if got := requests[i]; got.path != test.path || fmt.Sprint(got.body) != fmt.Sprint(want) ||
							got.header.Get("Authorization") != "Bearer secret" || got.header.Get("Content-Type") != "application/json" {
							t.Errorf("sent %s %v with %v, want %s %v", got.path, got.body, got.header, test.path, want)
						}
					}
					if _, sent := server.requests[0].body["dimensions"]; width == 0 && sent {
						t.Error("dimensions were asked for before they were known")
					}
				})
			}
		}
	}
}

// TestNothing checks that texts without words ask nobody.
func TestNothing(t *testing.T) {
	e := open(t, "http://127.0.0.1:1", options())
	query, err := e.EncodeQuery(t.Context(), "  ")
	if err != nil || query.Vectors.Rows != 0 {
		t.Errorf("%v, error %v", query, err)
	}
	found, err := e.EncodeDocuments(t.Context(), nil)
	if err != nil || len(found) != 0 {
		t.Errorf("%v, error %v", found, err)
	}
	found, err = e.EncodeDocuments(t.Context(), []string{"", "\n"})
	if err != nil || len(found) != 2 || found[0].Vectors.Rows+found[1].Vectors.Rows != 0 {
		t.Errorf("%v, error %v", found, err)
	}
}

// TestBatches checks the sizes of requests, that texts come back in their
// order, and that several requests are under way but never too many.
func TestBatches(t *testing.T) {
	var now, most atomic.Int64
	server := serve(t, func(r received) any {
		n := now.Add(1)
		defer now.Add(-1)
		for {
			old := most.Load()
			if old >= n || most.CompareAndSwap(old, n) {
				break
			}
		}
		time.Sleep(time.Duration(rand.IntN(10)) * time.Millisecond)
		return nextPlaidPacked(r)
	})
	o := options()
	o.Batch, o.Concurrency = 3, 2
	e := open(t, server.URL, o)
	var many []string
	for i := range 50 {
		many = append(many, strings.Repeat(fmt.Sprint("word", i, " "), 1+i%4))
	}
	many = append(many, strings.Repeat("long ", 30_000), "short", "shorter")
	var group sync.WaitGroup
	for range 3 { // the limit holds for all callers together
		group.Go(func() {
			encoded, err := e.EncodeDocuments(t.Context(), many)
			if err != nil {
				t.Error(err)
				return
			}
			for i, text := range many {
				check(t, encoded[i], text, false)
			}
		})
	}
	group.Wait()
	if most.Load() != 2 {
		t.Errorf("up to %d requests at once, want 2", most.Load())
	}
	sizes := map[int]int{}
	for _, r := range server.requests {
		sizes[len(texts(r.body["texts"]))]++
	}
	// 50 texts are 16 batches of three and two over, with which the long one
	// makes up a batch; the last two are another.
	if sizes[3] != 3*17 || sizes[2] != 3 || len(sizes) != 2 {
		t.Errorf("sizes of requests: %v", sizes)
	}
}

// TestUnusable checks that no wrong answer gets through and that the error
// names the service, the address and the place.
func TestUnusable(t *testing.T) {
	row := "[" + strings.Repeat("0.5,", dim-1) + "0.5]"
	with := func(value string) string { return "[" + strings.Repeat("0.5,", dim-1) + value + "]" }
	wide := "[" + strings.Repeat("1,", 767) + "1]"
	packed := base64.StdEncoding.EncodeToString(make([]byte, 4*dim))
	nan := make([]byte, 4*dim)
	binary.LittleEndian.PutUint32(nan[4:], math.Float32bits(float32(math.NaN())))
	notFinite := base64.StdEncoding.EncodeToString(nan)
	for _, test := range []struct {
		format       remote.Format
		answer, says string
	}{
		{remote.NextPlaid, ``, "no JSON: unexpected end of JSON input"},
		{remote.NextPlaid, `<html>`, `no JSON: invalid character '<' looking for beginning of value at byte 0, "<html>"`},
		{remote.NextPlaid, `{"embeddings": [[` + with("NaN") + `]]}`, `at byte 78, "NaN]]]}"`},
		{remote.NextPlaid, `{"embeddings": [[` + with("null") + `]]}`, "embeddings[0]: row 0, column 15 is null, want a finite number"},
		{remote.NextPlaid, `{"embeddings": [[` + row + `,` + with("1e39") + `]]}`, "embeddings[0]: row 1, column 15 is 1e39, want a finite number"},
		{remote.NextPlaid, `{"embeddings": [[` + with(`"]"`) + `]]}`, `embeddings[0]: row 0, column 15 is ", want a finite number`},
		{remote.NextPlaid, `{"embeddings": [[` + with(`[1]`) + `]]}`, `embeddings[0]: row 0 holds a list`},
		{remote.NextPlaid, `{"embeddings": [[` + row + `,[1,2]]]}`, "embeddings[0]: row 1 has 2 values, the rows before have 16"},
		{remote.NextPlaid, `{"embeddings": [` + row + `]}`, "embeddings[0]: 0.5 stands where a vector should"},
		{remote.NextPlaid, `{"embeddings": [[` + wide + `]]}`, "text 0: vectors of 768 values, want 16"},
		{remote.NextPlaid, `{"embeddings": []}`, "vectors of 0 texts, 1 were sent"},
		{remote.NextPlaid, `{"embeddings": [[],[]]}`, "vectors of 2 texts, 1 were sent"},
		{remote.NextPlaid, `{"embeddings": [[]]}`, `text 0, "apple", has no vectors`},
		{remote.NextPlaid, `{"embeddings_b64": [""], "shapes": [[0, 16]]}`, `text 0, "apple", has no vectors`},
		{remote.PyLate, `{"data": [{"embedding": []}]}`, `text 0, "apple", has no vectors`},
		{remote.NextPlaid, `{}`, "vectors of 0 texts, 1 were sent"},
		{remote.NextPlaid, `{"embeddings": 3}`, "embeddings"},
		{remote.NextPlaid, `{"embeddings": [null]}`, "embeddings[0]: null stands where a vector should"},
		{remote.NextPlaid, `{"embeddings_b64": ["` + packed + `"]}`, "0 shapes for 1 texts"},
		{remote.NextPlaid, `{"embeddings_b64": ["` + packed + `"], "shapes": [[2, 16]]}`, "embeddings_b64[0]: 64 bytes do not fill the shape [2 16]"},
		{remote.NextPlaid, `{"embeddings_b64": ["` + packed + `"], "shapes": [[0, 16]]}`, "do not fill"},
		{remote.NextPlaid, `{"embeddings_b64": ["` + packed + `"], "shapes": [[-1, -16]]}`, "do not fill"},
		{remote.NextPlaid, `{"embeddings_b64": ["` + packed + `"], "shapes": [[16]]}`, "do not fill"},
		{remote.NextPlaid, `{"embeddings_b64": ["` + packed + `"], "shapes": [[2, 8]]}`, "text 0: vectors of 8 values, want 16"},
		{remote.NextPlaid, `{"embeddings_b64": ["` + notFinite + `"], "shapes": [[1, 16]]}`, "row 0, column 1 is NaN, want a finite number"},
		{remote.NextPlaid, `{"embeddings_b64": ["!"], "shapes": [[1, 16]]}`, "base64"},
		{remote.Jina, `{"data": [{"embedding": [` + row + `]}]}`, "data[0].embeddings is missing"},
		{remote.Jina, `{"data": [{"embeddings": null}]}`, "data[0].embeddings is missing"},
		{remote.Jina, `{"data": [{"index": 1, "embeddings": [` + row + `]}]}`, "data[0].index is 1, want each of 0 to 0 once"},
		{remote.Jina, `{"data": [{"index": -1, "embeddings": [` + row + `]}]}`, "data[0].index is -1"},
		{remote.Jina, `{"data": [{"index": 0, "embeddings": []}, {"index": 0, "embeddings": []}]}`, "data[1].index is 0, want each of 0 to 1 once"},
		{remote.VLLM, `{"data": [{"data": "AAAA"}]}`, `data[0].data: "AAAA" stands where a vector should`},
		{remote.VLLM, `{"data": [{"data": {"rows": 3}}]}`, `data[0].data: {"rows": stands where`},
		{remote.PyLate, `{"data": [{"embedding": ` + row + `}]}`, "data[0].embedding: 0.5 stands where a vector should"},
		{remote.PyLate, `{"data": [{"embedding": [` + wide + `]}]}`, "vectors of 768 values, want 16"},
		{remote.PyLate, `{"data": {}}`, "data"},
	} {
		asked := 0
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			asked++
			io.WriteString(w, test.answer)
		}))
		e, err := remote.New(t.Context(), remote.Service{Format: test.format, URL: server.URL, Model: "m", Dim: dim}, options())
		if err != nil {
			t.Fatal(err)
		}
		_, err = e.EncodeQuery(t.Context(), "apple")
		if !errors.Is(err, remote.ErrAnswer) || !strings.Contains(err.Error(), test.says) ||
			!strings.Contains(err.Error(), "remote: "+string(test.format)+" at "+server.URL+"/") {
			t.Errorf("%s answers %.100s: error %v, want ErrAnswer with %q", test.format, test.answer, err, test.says)
		}
		if asked != 1 {
			t.Errorf("%.100s: asked %d times", test.answer, asked)
		}
		server.Close()
	}
}

// TestWidth checks what New makes of a service with an odd width.
func TestWidth(t *testing.T) {
	for answer, says := range map[string]string{
		`{"embeddings": [[[1,2,3]]]}`: "Dim: simd: bad matrix shape: 3 dimensions",
		`{"embeddings": [[]]}`:        `text 0, "width", has no vectors`,
		`{"embeddings": [[[]]]}`:      "Dim: simd: bad matrix shape: 0 dimensions",
		`{"embeddings": []}`:          "vectors of 0 texts",
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, answer) }))
		_, err := remote.New(t.Context(), remote.Service{Format: remote.NextPlaid, URL: server.URL}, options())
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: error %v, want %q", answer, err, says)
		}
		server.Close()
	}
}

func TestLimit(t *testing.T) {
	server := serve(t, nextPlaidFloats)
	o := options()
	o.MaxResponse = 5000
	e := open(t, server.URL, o)
	if _, err := e.EncodeQuery(t.Context(), "short query"); err != nil {
		t.Error(err)
	}
	_, err := e.EncodeQuery(t.Context(), strings.Repeat("long query ", 50))
	if !errors.Is(err, remote.ErrAnswer) || !strings.Contains(err.Error(), "more than 5000 bytes") {
		t.Errorf("error %v, want the answer to be too long", err)
	}
}

// flaky answers with the given statuses, then as a service should. A status of
// 0 cuts the connection in the middle of an answer, 1 is silence.
func flaky(t *testing.T, statuses ...int) (*httptest.Server, *atomic.Int64) {
	var asked atomic.Int64
	ended := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		n := int(asked.Add(1))
		var r received
		if err := json.NewDecoder(request.Body).Decode(&r.body); err != nil {
			t.Errorf("try %d: %v", n, err)
		}
		switch {
		case n > len(statuses):
			json.NewEncoder(w).Encode(nextPlaidFloats(r))
		case statuses[n-1] == 0:
			w.Header().Set("Content-Length", "1000")
			io.WriteString(w, `{"embeddings":`)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		case statuses[n-1] == 1:
			select {
			case <-ended:
			case <-request.Context().Done():
			}
		default:
			http.Error(w, "busy, says "+request.Header.Get("Authorization"), statuses[n-1])
		}
	}))
	t.Cleanup(func() {
		close(ended)
		server.Close()
	})
	return server, &asked
}

func TestRetries(t *testing.T) {
	for _, test := range []struct {
		statuses []int
		asked    int
		says     string // "" for success
	}{
		{[]int{503}, 2, ""},
		{[]int{429, 500, 502, 504}, 5, ""},
		{[]int{0, 408, 425}, 4, ""},
		{[]int{1, 1}, 3, ""},
		{[]int{503, 503, 503, 503, 503, 503}, 5, `the service refuses: status 503 Service Unavailable: "busy, says Bearer KEY"; gave up after 5 tries`},
		{[]int{0, 0, 0, 0, 0}, 5, "no answer: unexpected EOF; gave up after 5 tries"},
		{[]int{1, 1, 1, 1, 1}, 5, "no answer within 50ms"},
		{[]int{400}, 1, "status 400 Bad Request"},
		{[]int{401}, 1, "status 401"},
		{[]int{404}, 1, "status 404"},
		{[]int{413}, 1, "status 413"},
		{[]int{422}, 1, "status 422"},
		{[]int{501}, 1, "status 501"},
		{[]int{500, 400}, 2, "status 400"},
		{[]int{204}, 1, "status 204"},
	} {
		server, asked := flaky(t, test.statuses...)
		o := options()
		o.Key = "secret"
		o.Timeout = 50 * time.Millisecond
		tokens, err := open(t, server.URL, o).EncodeQuery(t.Context(), "rotten apple")
		switch {
		case test.says == "" && err != nil:
			t.Errorf("%v: %v", test.statuses, err)
		case test.says == "":
			check(t, tokens, "rotten apple", true)
		case err == nil || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "secret"):
			t.Errorf("%v: error %v, want %q", test.statuses, err, test.says)
		case test.statuses[0] > 1 && !errors.Is(err, remote.ErrStatus):
			t.Errorf("%v: error %v, want ErrStatus", test.statuses, err)
		}
		if n := int(asked.Load()); n != test.asked {
			t.Errorf("%v: asked %d times, want %d", test.statuses, n, test.asked)
		}
	}
}

func TestNobodyThere(t *testing.T) {
	server := httptest.NewServer(nil)
	server.Close()
	_, err := open(t, server.URL, options()).EncodeDocuments(t.Context(), []string{"a", "b"})
	for _, says := range []string{"texts 0 to 1: remote: next-plaid at " + server.URL + "/encode: no answer: ", "gave up after 5 tries"} {
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("error %v, want %q", err, says)
		}
	}
	o := options()
	o.Key = ""
	server, _ = flaky(t, 401)
	if _, err := open(t, server.URL, o).EncodeQuery(t.Context(), "a"); err == nil || !strings.Contains(err.Error(), "no key was given") {
		t.Errorf("error %v, want it to say that no key was given", err)
	}
}

// TestCancel ends the context in the middle of a request and in a wait.
func TestCancel(t *testing.T) {
	for _, status := range []int{1, 503} {
		server, asked := flaky(t, slices.Repeat([]int{status}, 100)...)
		o := options()
		o.Wait, o.MaxWait = time.Hour, time.Hour
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			for asked.Load() == 0 {
				time.Sleep(time.Millisecond)
			}
			time.Sleep(10 * time.Millisecond)
			cancel()
		}()
		start := time.Now()
		_, err := open(t, server.URL, o).EncodeDocuments(ctx, slices.Repeat([]string{"apple"}, 500))
		if !errors.Is(err, context.Canceled) || time.Since(start) > 3*time.Second {
			t.Errorf("status %d: error %v after %v, want context.Canceled at once", status, err, time.Since(start))
		}
	}
}

// TestRedirect checks that neither texts nor key go to another address.
func TestRedirect(t *testing.T) {
	elsewhere := serve(t, nextPlaidFloats)
	for _, status := range []int{301, 302, 307, 308} {
		server := httptest.NewServer(http.RedirectHandler(elsewhere.URL+"/encode", status))
		o := options()
		o.Key = "secret"
		_, err := open(t, server.URL, o).EncodeQuery(t.Context(), "apple")
		if !errors.Is(err, remote.ErrStatus) || !strings.Contains(err.Error(), "points to \""+elsewhere.URL) {
			t.Errorf("status %d: error %v, want the address in it", status, err)
		}
		server.Close()
	}
	if len(elsewhere.requests) > 0 {
		t.Errorf("a redirect was followed: %v", elsewhere.requests)
	}
}

func TestValidate(t *testing.T) {
	for _, test := range []struct {
		service remote.Service
		says    []string
	}{
		{remote.Service{}, []string{`Format ""`, `URL ""`, "Model is empty", "Dim"}},
		{remote.Service{Format: remote.VLLM, URL: "ftp://host", Dim: 12}, []string{`URL "ftp://host": want http`, "vllm needs its name", "12 dimensions"}},
		{remote.Service{Format: remote.NextPlaid, URL: "https://me:secret@host", Dim: 16}, []string{"https://me:xxxxx@host", "names a user"}},
		{remote.Service{Format: remote.NextPlaid, URL: "https://host?key=secret", Dim: 16}, []string{"has a query"}},
		{remote.Service{Format: remote.NextPlaid, URL: "https://me:secret@ho st", Dim: 16}, []string{"URL: not a valid address"}},
	} {
		err := test.service.Validate()
		for _, says := range test.says {
			if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "secret") {
				t.Errorf("%+v: error %v, want %q", test.service, err, says)
			}
		}
		if _, err := remote.New(t.Context(), test.service, options()); err == nil {
			t.Errorf("%+v: no error", test.service)
		}
	}
	err := remote.Options{Retries: -1, Wait: 2, MaxWait: 1, Key: "a\nb"}.Validate()
	for _, says := range []string{"Batch is 0", "Concurrency is 0", "Timeout is 0s", "retries: -1", "waits from 2ns to 1ns", "MaxResponse is 0", "line break"} {
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("error %v, want %q", err, says)
		}
	}
	for _, width := range []int{0, dim} {
		if _, err := remote.New(t.Context(), remote.Service{Format: remote.NextPlaid, URL: "http://host", Dim: width}, remote.Options{}); err == nil {
			t.Error("options of nothing were taken")
		}
	}
	if err := remote.DefaultOptions().Validate(); err != nil {
		t.Error(err)
	}
}

func TestSaved(t *testing.T) {
	o := options()
	o.Key = "secret"
	service := remote.Service{
		Format: remote.VLLM, URL: "https://host/base", Model: "m", Dim: 128, QueryPrefix: "[Q] ", DocumentPrefix: "[D] ",
	}
	e, err := remote.New(t.Context(), service, o)
	if err != nil {
		t.Fatal(err)
	}
	data, err := e.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(data), "secret") {
		t.Errorf("the key is in %s", data)
	}
	loaded, err := remote.Load(data, service.URL, o)
	if err != nil {
		t.Fatal(err)
	}
	if loaded.Service() != service || loaded.Kind() != "remote" {
		t.Errorf("loaded %+v, want %+v", loaded.Service(), service)
	}
	for damaged, want := range map[string]error{
		``:                              remote.ErrCorrupt,
		`[]`:                            remote.ErrCorrupt,
		`{}`:                            remote.ErrVersion,
		`{"version":2}`:                 remote.ErrVersion,
		`{"version":1}`:                 remote.ErrCorrupt,
		string(data[:len(data)-1]):      remote.ErrCorrupt,
		string(data) + "x":              remote.ErrCorrupt,
		`{"version":1,"key":"k"}`:       remote.ErrCorrupt,
		`{"version":1,"format":"jina"}`: remote.ErrCorrupt,
		strings.Replace(string(data), "128", "12", 1): remote.ErrCorrupt,
	} {
		if _, err := remote.Load([]byte(damaged), service.URL, o); !errors.Is(err, want) {
			t.Errorf("%s: error %v, want %v", damaged, err, want)
		}
	}
	if _, err := remote.Load(data, service.URL, remote.Options{}); err == nil || errors.Is(err, remote.ErrCorrupt) {
		t.Errorf("options of nothing: error %v", err)
	}

	for address, allowed := range map[string]bool{
		"https://host/base/": true, "https://host/base/pooling": true,
		"": false, "http://host/base": false, "https://host": false, "https://host/base/v2": false,
		"https://host.example.com/base": false, "https://me:secret@host/base": false, "https://host:8443/base": false,
	} {
		_, err := remote.Load(data, address, o)
		if allowed && err != nil || !allowed && !(errors.Is(err, remote.ErrAddress) && strings.Contains(err.Error(), "vllm at https://host/base/pooling")) {
			t.Errorf("%q is allowed: error %v", address, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("a password is in %v", err)
		}
	}
}

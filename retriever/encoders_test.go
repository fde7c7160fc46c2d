package retriever_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pare-search/pare/encoder/corpus"
	"github.com/pare-search/pare/encoder/remote"
	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/retriever"
)

// TestRemoteEncoder builds an index with a service, which the index then knows,
// but not the key. The service is asked by nobody who has not named it.
func TestRemoteEncoder(t *testing.T) {
	var requests atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if r.Header.Get("Authorization") == "Bearer wrong" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		var request struct{ Texts []string }
		if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
			t.Error(err)
		}
		var answer struct {
			Embeddings [][][]float32 `json:"embeddings"`
		}
		for _, text := range request.Texts {
			tokens, err := toy.Encode(r.Context(), text, false)
			if err != nil {
				t.Error(err)
			}
			answer.Embeddings = append(answer.Embeddings, slices.Collect(slices.Chunk(tokens.Vectors.Data, 16)))
		}
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			t.Error(err)
		}
	}))
	defer server.Close()
	options := remote.DefaultOptions()
	options.Key = "secret"
	enc, err := remote.New(t.Context(), remote.Service{Format: remote.NextPlaid, URL: server.URL}, options)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "index")
	with := buildOptions(codec.Float32)
	with.Encoder = enc
	if err := retriever.Build(t.Context(), dir, retriever.Documents(orchard...), with); err != nil {
		t.Fatal(err)
	}
	for name, data := range contents(t, dir) {
		if strings.Contains(data, "secret") {
			t.Errorf("the key is in %s", name)
		}
	}

	asked := requests.Load()
	if _, err := retriever.Open(dir); !errors.Is(err, remote.ErrAddress) ||
		!strings.Contains(err.Error(), server.URL+"/encode") || !strings.Contains(err.Error(), "OpenOptions.Service") {
		t.Errorf("error %v, want the address and the option", err)
	}
	for _, other := range []string{"", "https://api.example.com", server.URL + ".example.com", server.URL + "/v2", "http://" + server.URL, "\x00"} {
		r, err := retriever.OpenWith(dir, retriever.OpenOptions{Service: other, Key: "secret"})
		if !errors.Is(err, remote.ErrAddress) || r != nil {
			t.Errorf("%q is allowed, error %v, want ErrAddress", other, err)
		}
	}
	if n := requests.Load(); n != asked {
		t.Errorf("%d requests to a service that was not allowed", n-asked)
	}

	r, err := retriever.OpenWith(dir, retriever.OpenOptions{Service: server.URL + "/"})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	with.Encoder = toy
	want := search(t, build(t, orchard, with), "ripe quince", exhaustive(10)).Hits
	got := search(t, r, "ripe quince", exhaustive(10)).Hits
	if len(got) != len(want) || got[0].ID != want[0].ID {
		t.Errorf("found %v, want %v", got, want)
	}

	refused, err := retriever.OpenWith(dir, retriever.OpenOptions{Service: server.URL, Key: "wrong"})
	if err != nil {
		t.Fatal(err)
	}
	defer refused.Close()
	if _, err := refused.Search(t.Context(), "ripe quince", exhaustive(10)); !errors.Is(err, remote.ErrStatus) {
		t.Errorf("error %v, want the key refused", err)
	}
}

// TestGivenCorpusEncoder checks that an index keeps a trained encoder that it
// was given.
func TestGivenCorpusEncoder(t *testing.T) {
	first := build(t, orchard, buildOptions(codec.Float32))
	enc := first.Encoder().(*corpus.Encoder)
	options := buildOptions(codec.Float32)
	options.Encoder = enc
	dir := filepath.Join(t.TempDir(), "index")
	if err := retriever.Build(t.Context(), dir, retriever.Documents(orchard[:3]...), options); err != nil {
		t.Fatal(err)
	}
	r, err := retriever.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got := r.Encoder().(*corpus.Encoder); got.Fingerprint() != enc.Fingerprint() {
		t.Error("another encoder came back")
	}
}

package remote_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/pare-search/pare/encoder/remote"
)

func Example() {
	// A stand-in for a next-plaid-api that gives every text one vector.
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"embeddings": [[[3, 4, 0, 0, 0, 0, 0, 0]]], "num_texts": 1}`)
	}))
	defer server.Close()

	ctx := context.Background()
	service := remote.Service{Format: remote.NextPlaid, URL: server.URL}
	enc, err := remote.New(ctx, service, remote.DefaultOptions())
	if err != nil {
		log.Fatal(err)
	}
	tokens, err := enc.EncodeQuery(ctx, "when to prune apple trees")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(enc.Dim(), tokens.Vectors.Row(0))
	// Output: 8 [0.6 0.8 0 0 0 0 0 0]
}

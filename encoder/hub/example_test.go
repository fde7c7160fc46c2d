package hub_test

import (
	"context"
	"fmt"
	"log"

	"github.com/pare-search/pare/encoder/hub"
)

// A model that is in the cache is found without any network.
func ExampleGet() {
	const name = "sentence-transformers/all-MiniLM-L6-v2"
	dir, found := hub.Find(name)
	if !found {
		options := hub.DefaultOptions()
		options.Progress = func(done, total int64) { fmt.Printf("\r%d of %d bytes", done, total) }
		model, err := hub.Get(context.Background(), name, options)
		if err != nil {
			log.Fatal(err)
		}
		dir = model.Path
	}
	fmt.Println("open the encoder in", dir)
}

func ExampleFind() {
	_, found := hub.Find("../../etc/passwd")
	fmt.Println(found)
	// Output: false
}

package configs_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/spf13/pflag"

	"github.com/pare-search/pare/configs"
)

func ExampleLoad() {
	flags := pflag.NewFlagSet("search", pflag.ContinueOnError)
	configs.Flag(flags, "search.k", "top", "k")
	_ = flags.Parse([]string{"-k", "3"})

	loaded, err := configs.Load(configs.Sources{
		File:  "pare.yaml",
		Env:   []string{"PARE_SEARCH_PRUNE=icf:2"}, // os.Environ() in a program
		Flags: flags,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(loaded.Config.Search.K, "from", loaded.Origin("search.k"))
	fmt.Println(loaded.Config.Search.Prune, "from", loaded.Origin("search.prune"))
	fmt.Println(loaded.Config.Search.Plan, "from", loaded.Origin("search.plan"))

	_, err = configs.Load(configs.Sources{Env: []string{"PARE_SEARCH_K=many"}})
	fmt.Println(err)
	// Output:
	// 3 from flag --top
	// icf:2 from environment PARE_SEARCH_PRUNE
	// auto from file pare.yaml
	// environment PARE_SEARCH_K: search.k: bad value: want a whole number, got "many"
}

func ExampleKeys() {
	for _, k := range configs.Keys()[:3] {
		fmt.Printf("%s (%s): %s; default %v\n", k.Name, k.Env(), k.Doc, k.Default)
	}
	// Output:
	// encoder.kind (PARE_ENCODER_KIND): encoder: corpus (trained on the collection itself), the folder of a BERT model, or the address of a service; default corpus
	// encoder.language (PARE_ENCODER_LANGUAGE): language of stems and stop words; empty for neither; default english
	// encoder.dim (PARE_ENCODER_DIM): dimensions of a token vector: a multiple of 8, at most 1024; most services have a width of their own; default 128
}

func ExampleConfig_SearchOptions() {
	loaded, err := configs.Load(configs.Sources{Env: []string{"PARE_SEARCH_PRUNE=icf:50%", "PARE_SEARCH_PLAN=probe"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	options, err := loaded.Config.SearchOptions()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(options.Pruner, options.Search.Plan, options.Search.K)
	// Output: icf:50% probe 10
}

func ExampleWatch() {
	dir, err := os.MkdirTemp("", "watch")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "pare.yaml")
	if err := os.WriteFile(file, []byte("search: {budget: 4000}"), 0o644); err != nil {
		log.Fatal(err)
	}

	changed := make(chan configs.Change)
	w, err := configs.Watch(configs.Sources{File: file}, configs.WatchOptions{
		Report: func(c configs.Change) { changed <- c },
	})
	if err != nil {
		log.Fatal(err)
	}
	defer w.Close()
	fmt.Println("budget", w.SearchOptions().Search.Budget) // asked for every query

	// Somebody replaces the file.
	if err := os.WriteFile(file+".new", []byte("search: {budget: 1000}"), 0o644); err != nil {
		log.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		log.Fatal(err)
	}
	for _, key := range (<-changed).Keys {
		fmt.Println(key.Name, key.Old, "->", key.New)
	}
	fmt.Println("budget", w.SearchOptions().Search.Budget)
	// Output:
	// budget 4000
	// search.budget 4000 -> 1000
	// budget 1000
}

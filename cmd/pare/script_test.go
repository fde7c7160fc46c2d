package main

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/pare-search/pare/index"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"pare": main})
}

// TestScripts runs the scripts of testdata/script. They have commands of their own:
//
//	exits 2 pare config shwo    run a program and compare its exit code
//	flip idx/MANIFEST 20        invert a byte of a file; -1 is the last one
//	lock idx                    hold the lock of an index until the script ends
//	remove idx 1 2              delete documents by their ids
//	isempty folder              fail unless the folder is empty
//	hub folder                  serve its folders NAME as models org/NAME of a hub at $HUB
//	service                     encode as a PyLate server does, at $SERVICE, for the key "secret"
//	embeddings folder           make a small folder of token embeddings
//	pairs folder n              make a collection: documents and queries on pairs of n words
//
// $MODELS is the folder of small models of package encoder/bert.
//
// UPDATE_SCRIPTS=1 rewrites the files that "cmp" compares with.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(env *testscript.Env) error {
			models, err := filepath.Abs("../../encoder/bert/testdata/models")
			env.Setenv("MODELS", models)
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "flip": flip, "lock": lock, "remove": remove, "isempty": isEmpty, "hub": serveHub, "service": serveService, "embeddings": writeEmbeddings,
			"pairs": writePairs,
		},
	})
}

// writePairs writes a document on every pair of n words, and queries for some of them.
func writePairs(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: pairs folder n")
	}
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	words := make([]string, n)
	for i := range words {
		words[i] = string([]byte{"bdfgkmnprt"[i%10], "aeiou"[i/10%5], "lnrst"[i/10%5], 'o'})
	}
	var documents, queries, qrels strings.Builder
	for i, a := range words {
		for j, b := range words {
			id := a + "-" + b
			fmt.Fprintf(&documents, `{"_id": %q, "text": "The %s tree and the %s bush grow in one row."}`+"\n", id, a, b)
			if (i+3*j)%17 == 0 {
				fmt.Fprintf(&queries, `{"_id": %q, "text": "%s and %s"}`+"\n", "q-"+id, a, b)
				fmt.Fprintf(&qrels, "q-%s\t%s\t1\n", id, id)
			}
		}
	}
	folder := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(folder, 0o755))
	ts.Check(os.WriteFile(filepath.Join(folder, "corpus.jsonl"), []byte(documents.String()), 0o644))
	ts.Check(os.WriteFile(filepath.Join(folder, "queries.jsonl"), []byte(queries.String()), 0o644))
	ts.Check(os.WriteFile(filepath.Join(folder, "qrels.tsv"), []byte(qrels.String()), 0o644))
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits code program [args...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func flip(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: flip file offset")
	}
	path := ts.MkAbs(args[0])
	data, err := os.ReadFile(path)
	ts.Check(err)
	offset, err := strconv.Atoi(args[1])
	ts.Check(err)
	if offset < 0 {
		offset += len(data)
	}
	data[offset] ^= 0xff
	ts.Check(os.WriteFile(path, data, 0o644))
}

func remove(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: remove index id...")
	}
	writer, err := index.OpenWriter(ts.MkAbs(args[0]))
	ts.Check(err)
	_, err = writer.Delete(args[1:]...)
	ts.Check(err)
	ts.Check(writer.Commit(context.Background()))
	ts.Check(writer.Close())
}

func lock(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: lock index")
	}
	writer, err := index.OpenWriter(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Defer(func() { ts.Check(writer.Close()) })
}

// serveHub serves the folders of a folder. A file named FILE.cut makes the first
// request for FILE end without an answer.
func serveHub(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: hub folder")
	}
	root := ts.MkAbs(args[0])
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/models/org/{name}/revision/main", func(w http.ResponseWriter, r *http.Request) {
		model := filepath.Join(root, r.PathValue("name"))
		var siblings []any
		err := fs.WalkDir(os.DirFS(model), ".", func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || path.Ext(name) == ".cut" {
				return err
			}
			content, err := os.ReadFile(filepath.Join(model, filepath.FromSlash(name)))
			blob := sha1.Sum(fmt.Appendf(nil, "blob %d\x00%s", len(content), content))
			siblings = append(siblings, map[string]any{"rfilename": name, "size": len(content), "blobId": hex.EncodeToString(blob[:])})
			return err
		})
		if err != nil {
			http.NotFound(w, r)
			return
		}
		json.NewEncoder(w).Encode(map[string]any{"sha": strings.Repeat("c0ffee", 7)[:40], "siblings": siblings})
	})
	mux.HandleFunc("GET /org/{name}/resolve/{commit}/{file...}", func(w http.ResponseWriter, r *http.Request) {
		file := filepath.Join(root, r.PathValue("name"), filepath.FromSlash(r.PathValue("file")))
		if os.Remove(file+".cut") == nil {
			panic(http.ErrAbortHandler)
		}
		http.ServeFile(w, r, file)
	})
	server := httptest.NewServer(mux)
	ts.Defer(server.Close)
	ts.Setenv("HUB", server.URL)
}

// serveService makes a vector of the letters of every word.
func serveService(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: service")
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var request struct{ Input []string }
		switch {
		case r.Header.Get("Authorization") != "Bearer secret":
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		case r.URL.Path != "/v1/embeddings" || json.NewDecoder(r.Body).Decode(&request) != nil:
			http.NotFound(w, r)
			return
		}
		data := []any{}
		for _, text := range request.Input {
			vectors := [][]float32{}
			for word := range strings.FieldsSeq(strings.ToLower(text)) {
				vector := make([]float32, 32)
				for _, letter := range word {
					vector[letter%32]++
				}
				vectors = append(vectors, vector)
			}
			data = append(data, map[string]any{"object": "embedding", "embedding": vectors})
		}
		json.NewEncoder(w).Encode(map[string]any{"data": data})
	}))
	ts.Defer(server.Close)
	ts.Setenv("SERVICE", server.URL)
}

func isEmpty(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: isempty folder")
	}
	entries, err := os.ReadDir(ts.MkAbs(args[0]))
	ts.Check(err)
	if len(entries) > 0 {
		ts.Fatalf("%s holds %v", args[0], entries)
	}
}

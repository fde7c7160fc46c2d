package index

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/querypruner"
	"github.com/pare-search/pare/simd"
)

func TestInspectAddsUp(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 11))
	full := smallOptions(24, codec.Residual4)
	bare := full
	bare.StoreText = false
	for name, dir := range map[string]string{
		"everything":    buildEverything(t, 7),
		"without texts": build(t, bare, randomDocuments(rng, 50, 24, false)),
		"with texts":    build(t, full, randomDocuments(rng, 50, 24, true)),
		"empty":         build(t, full, nil),
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, dir)
			info := must[Info](t)(s.Inspect())
			files := readDir(t, dir)
			var onDisk int64
			for _, data := range files {
				onDisk += int64(len(data))
			}
			var parts, listed, texts int64
			for _, part := range info.Parts {
				parts += part.Bytes
				if want := float64(part.Bytes) / float64(max(info.Vectors, 1)); info.Vectors > 0 && part.BytesPerToken != want {
					t.Errorf("%s: %v bytes per token, want %v", part.Name, part.BytesPerToken, want)
				}
			}
			for _, file := range info.Files {
				listed += file.Bytes
				if file.Bytes != int64(len(files[file.Name])) {
					t.Errorf("%s has %d bytes, %d on disk", file.Name, file.Bytes, len(files[file.Name]))
				}
				for _, section := range file.Sections {
					if section.Name == "text" {
						texts += section.Bytes
					}
				}
			}
			if parts != info.Bytes || info.Bytes+info.TextBytes != onDisk || listed != onDisk || texts != info.TextBytes {
				t.Errorf("%d bytes in parts, %d + %d in all, %d in files, %d on disk", parts, info.Bytes, info.TextBytes, listed, onDisk)
			}
			if info.Vectors > 0 && math.Abs(info.BytesPerToken*float64(info.Vectors)-float64(info.Bytes)) > 1e-6 {
				t.Errorf("%v bytes per token", info.BytesPerToken)
			}
			if info.Documents != s.LiveDocuments() || info.Documents+info.Deleted != s.Documents() || info.Vectors != s.Vectors() {
				t.Errorf("%+v", info)
			}
		})
	}
}

// TestSameInputSameBytes builds indexes on one and on many processors.
func TestSameInputSameBytes(t *testing.T) {
	for _, kind := range codec.Kinds {
		var first map[string][]byte
		for _, processors := range []int{1, 2, 7} {
			before := runtime.GOMAXPROCS(processors)
			rng := rand.New(rand.NewPCG(1, 12))
			options := smallOptions(24, kind)
			options.TrainingVectors = 100
			documents := randomDocuments(rng, 90, 24, true)
			dir := filepath.Join(t.TempDir(), "index")
			w := must[*Writer](t)(Create(dir, options, CreateOptions{EncoderKind: "none"}))
			for batch := range slices.Chunk(documents, 13) {
				check(t, w.Add(t.Context(), batch...))
			}
			check(t, w.Update(t.Context(), documents[3], documents[80]))
			check(t, w.Commit(t.Context()))
			must[int](t)(w.Delete(documents[7].ID))
			check(t, w.Commit(t.Context()))
			check(t, w.Close())
			runtime.GOMAXPROCS(before)
			files := readDir(t, dir)
			if first == nil {
				first = files
			}
			if !maps.EqualFunc(files, first, bytes.Equal) {
				t.Errorf("%v: %d processors make other files than one", kind, processors)
			}
		}
	}
}

// TestSearchWhileWriting searches one snapshot from several goroutines while
// a writer commits, and opens new ones.
func TestSearchWhileWriting(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 13))
	documents := randomDocuments(rng, 60, 24, true)
	dir := build(t, smallOptions(24, codec.Residual2), documents)
	s := open(t, dir)
	query := simd.PackQuery(randomTokens(rng, 4, 24, true).Vectors)
	options := SearchOptions{K: 10, Plan: Probe, Neighbors: 30}
	selection := querypruner.Selection{Probe: []int{1, 3}}
	want, _ := search(t, s, query, selection, options)

	w := must[*Writer](t)(OpenWriter(dir))
	done := make(chan struct{})
	var readers sync.WaitGroup
	faults := make(chan error, 100)
	for range 4 {
		readers.Go(func() {
			searcher := NewSearcher(s)
			for running := true; running; {
				select {
				case <-done:
					running = false
				default:
				}
				hits, _, err := searcher.Search(t.Context(), query, selection, options)
				if err == nil && !slices.Equal(hits, want) {
					err = fmt.Errorf("other hits: %v, want %v", hits, want)
				}
				if err == nil {
					_, err = s.Text(want[0].Document)
				}
				if err == nil {
					err = Verify(dir)
				}
				if err == nil {
					var now *Snapshot
					if now, err = Open(dir); err == nil {
						_, _, err = NewSearcher(now).Search(t.Context(), query, selection, options)
						now.Close()
					}
				}
				if err != nil {
					faults <- err
					return
				}
			}
		})
	}
	for i := range 25 {
		check(t, w.Update(t.Context(), documents[i], documents[59-i]))
		check(t, w.Commit(t.Context()))
	}
	close(done)
	readers.Wait()
	close(faults)
	for err := range faults {
		t.Error(err)
	}
	check(t, w.Close())
}

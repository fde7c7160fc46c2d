package parebleve_test

import (
	"bufio"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/blevesearch/bleve/v2"

	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/retriever/parebleve"
)

// crashPath names the index that a test process writes to until it is killed.
const crashPath = "PARE_CRASH_INDEX"

const crashBatch = 20 // documents

// crashOptions let the index train while it is written to.
func crashOptions() parebleve.Options {
	options := toyOptions()
	options.Codec.Kind = codec.Int8
	options.TrainingVectors = 500
	return options
}

// TestCrash kills a process in the middle of its batches: those that it was
// told were done must be there, and every batch completely, text and vectors
// together, or not at all.
func TestCrash(t *testing.T) {
	if path := os.Getenv(crashPath); path != "" {
		writeUntilKilled(t, path)
		return
	}
	path := filepath.Join(t.TempDir(), "crash.bleve")
	idx, err := parebleve.New(path, pageMapping(), crashOptions())
	check(t, err)
	check(t, idx.Close())
	acknowledged := -1
	random := rand.New(rand.NewPCG(1, 1))
	for range 4 {
		acknowledged = max(acknowledged, crash(t, path, 2+random.IntN(8), time.Duration(random.IntN(20))*time.Millisecond))
		idx, err := parebleve.Open(path, nil, crashOptions())
		check(t, err)
		checkBatches(t, idx, acknowledged)
		check(t, idx.Close())
	}
	if acknowledged < 5 {
		t.Errorf("only %d batches were written", acknowledged+1)
	}
}

// crash runs this test in a process of its own, kills it some time after so many
// batches and returns the last batch that it was told was done.
func crash(t *testing.T, path string, batches int, after time.Duration) int {
	t.Helper()
	command := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestCrash$", "-test.v")
	command.Env = append(os.Environ(), crashPath+"="+path)
	output, err := command.StdoutPipe()
	check(t, err)
	check(t, command.Start())
	last := -1
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		rest, ok := strings.CutPrefix(lines.Text(), "batch ")
		if !ok {
			continue
		}
		if batches--; batches == 0 {
			time.AfterFunc(after, func() { command.Process.Kill() })
		}
		last, err = strconv.Atoi(rest)
		check(t, err)
	}
	command.Wait()
	if last < 0 {
		t.Fatal("the process ended before its first batch")
	}
	return last
}

// writeUntilKilled writes batches, goes on after those that are there, and says
// which are done.
func writeUntilKilled(t *testing.T, path string) {
	idx, err := parebleve.Open(path, nil, crashOptions())
	check(t, err)
	count, err := idx.DocCount()
	check(t, err)
	pages := babble(crashBatch, 20)
	for n := int(count) / crashBatch; n < 10000; n++ {
		batch := idx.NewBatch()
		for i := range crashBatch {
			page := pages[fmt.Sprintf("d%04d", i)]
			page.Body = fmt.Sprintf("batch%d item%d %s", n, i, page.Body)
			check(t, batch.Index(fmt.Sprintf("%d-%d", n, i), page))
		}
		check(t, idx.Batch(batch))
		fmt.Printf("batch %d\n", n)
	}
}

// checkBatches looks for every document of every batch by its text and by its
// vectors.
func checkBatches(t *testing.T, idx *parebleve.Index, acknowledged int) {
	t.Helper()
	s := status(t, idx)
	if s.WithVectors != s.Documents || s.Documents%crashBatch != 0 || s.Documents < (acknowledged+1)*crashBatch {
		t.Fatalf("%+v after %d acknowledged batches of %d", s, acknowledged+1, crashBatch)
	}
	for n := range s.Documents / crashBatch {
		if n%7 != 0 && n < s.Documents/crashBatch-3 { // a sample, and the last ones
			continue
		}
		words := bleve.NewMatchQuery(fmt.Sprintf("batch%d", n))
		words.SetField("body")
		request := bleve.NewSearchRequestOptions(words, crashBatch+1, 0, false)
		request.Fields = []string{"body"}
		result := find(t, idx, request)
		if len(result.Hits) != crashBatch {
			t.Fatalf("batch %d has %d documents by its words", n, len(result.Hits))
		}
		text := fmt.Sprintf("batch%d item3", n)
		request = bleve.NewSearchRequestOptions(parebleve.Rescore(words, "body", text, crashBatch), crashBatch, 0, false)
		request.Fields = []string{"body"}
		for i, hit := range find(t, idx, request).Hits {
			if i == 0 && hit.ID != fmt.Sprintf("%d-3", n) {
				t.Errorf("batch %d: %s is the most similar, want item 3", n, hit.ID)
			}
			if want := maxSim(t, text, hit.Fields["body"].(string)); math.Abs(hit.Score-want) > 0.05 {
				t.Errorf("%s has the score %v, want %v", hit.ID, hit.Score, want)
			}
		}
	}
}

// TestConsistency searches while documents change: the vectors of every hit are
// those of the text that came with it, also while a codebook is trained and
// documents are coded anew.
func TestConsistency(t *testing.T) {
	options := toyOptions()
	options.TrainingVectors = 2000
	pages := babble(150, 21)
	idx := create(t, pages, options)
	const text = "w3 w50 w128"
	stop := make(chan struct{})
	var searched atomic.Int64 // hits while documents change
	var wait sync.WaitGroup
	for range 2 {
		wait.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				request := bleve.NewSearchRequestOptions(parebleve.NewQuery("body", text), 30, 0, false)
				request.Fields = []string{"body"}
				request.Explain = true
				result, err := idx.SearchInContext(t.Context(), request)
				if err != nil {
					t.Error(err)
					return
				}
				searched.Add(int64(len(result.Hits)))
				if len(result.Hits) != 30 {
					t.Errorf("%d hits, want 30", len(result.Hits))
				}
				for _, hit := range result.Hits {
					// Two bits per dimension are rough, another text is far off.
					if want := maxSim(t, text, hit.Fields["body"].(string)); math.Abs(hit.Score-want) > 0.45 {
						t.Errorf("%s has the score %v, its text %v", hit.ID, hit.Score, want)
					}
				}
			}
		})
	}
	random := rand.New(rand.NewPCG(3, 3))
	for round := range 12 {
		fresh := babble(150, 100+round)
		batch := idx.NewBatch()
		for range 30 {
			id := fmt.Sprintf("d%04d", random.IntN(150))
			if random.IntN(5) == 0 {
				batch.Delete(id)
			} else {
				check(t, batch.Index(id, fresh[id]))
			}
		}
		check(t, idx.Batch(batch))
	}
	close(stop)
	wait.Wait()
	idx.Wait()
	if searched.Load() == 0 {
		t.Error("nothing was searched")
	}
	if s := status(t, idx); s.WithVectors != s.Documents || s.Err != nil || s.Cells == 1 || s.Outdated != 0 {
		t.Errorf("%+v, want vectors for all, and a trained codebook", s)
	}
}

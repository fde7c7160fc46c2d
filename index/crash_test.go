package index

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/internal/durable"
)

var crashes = flag.Int("crashes", 4, "how many writers TestKill kills")

// victimDir names, in the environment, the index that the process is to write to
// until it is killed.
const victimDir = "PARE_TEST_VICTIM"

func TestMain(m *testing.M) {
	if dir := os.Getenv(victimDir); dir != "" {
		fmt.Fprintln(os.Stderr, victim(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

const victimDocuments = 60

// round returns the round that a document of a victim was written in last: in
// each round a fifth of all are updated and every seventh of these deleted, -1.
func round(document, last int) int {
	for r := last; r >= 0; r-- {
		if (document+r)%5 == 0 {
			if (document+r)%7 == 0 {
				return -1
			}
			return r
		}
	}
	return -1
}

// victimModel is what the index holds after a round.
func victimModel(last int) model {
	want := make(model)
	for document := range victimDocuments {
		if r := round(document, last); r >= 0 {
			d := victimDocument(document, r)
			want[d.ID] = d
		}
	}
	return want
}

func victimDocument(document, round int) Document {
	id := fmt.Sprint(document)
	return Document{
		ID: id, Tokens: randomTokens(rand.New(rand.NewPCG(uint64(document), uint64(round))), 1+(document+round)%4, machineDim, true),
		Text: fmt.Sprint("document ", id, " of round ", round),
	}
}

// victim goes on where the index ends, and says before each commit "try", after
// it "done", and how many merges there were. It returns when something fails.
func victim(dir string) error {
	ctx := context.Background()
	// What a killed process has written stays written: syncs would only take time.
	w, err := folder{hasty{durable.OS}, dir}.openWriter()
	if err != nil {
		return err
	}
	s, err := Open(dir)
	if err != nil {
		return err
	}
	last, err := lastRound(s)
	if err := errors.Join(err, s.Close()); err != nil {
		return err
	}
	for r := last + 1; ; r++ {
		for document := range victimDocuments {
			if (document+r)%5 > 0 {
				continue
			}
			if (document+r)%7 == 0 {
				_, err = w.Delete(fmt.Sprint(document))
			} else {
				err = w.Update(ctx, victimDocument(document, r))
			}
			if err != nil {
				return err
			}
		}
		fmt.Println("try", r)
		if err := w.Commit(ctx); err != nil {
			return err
		}
		fmt.Println("done", r)
		if r%8 == 7 {
			if err := w.Merge(ctx); err != nil {
				return err
			}
		}
	}
}

// lastRound returns the last round of which there is a document, -1 for none.
func lastRound(s *Snapshot) (int, error) {
	last := -1
	for number := range uint32(s.Documents()) {
		if !s.Live(number) {
			continue
		}
		text, err := s.Text(number)
		if err != nil {
			return 0, err
		}
		r := 0
		if _, err := fmt.Sscanf(text[strings.LastIndex(text, " ")+1:], "%d", &r); err != nil {
			return 0, err
		}
		last = max(last, r)
	}
	return last, nil
}

// TestKill kills writers with SIGKILL, after times left to chance, while they
// commit and merge, also in the background: every commit they have told of is
// there, none in part.
func TestKill(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "index")
	options := smallOptions(machineDim, codec.Float32)
	options.Codec.Cells = 6
	options.SegmentBytes, options.TrainingVectors = 2<<10, 1
	options.Merge = DefaultMergeOptions()
	options.Merge.Factor = 3
	w := must[*Writer](t)(Create(dir, options, CreateOptions{}))
	check(t, w.Close())
	rng := rand.New(rand.NewPCG(1, 70))
	lost, last := 0, -1
	var generation uint64
	for range *crashes {
		tried, done := kill(t, rng, dir, last)
		last = max(last, done)
		s, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		found := must[int](t)(lastRound(s))
		if found != last && found != tried {
			t.Errorf("round %d was acknowledged, %d tried, %d is there", last, tried, found)
			lost++
		}
		check(t, differs(s, victimModel(found)))
		generation = s.manifest.Generation
		last = found
		check(t, s.Close())
		check(t, Verify(dir))
		if entries := must[[]os.DirEntry](t)(os.ReadDir(dir)); len(entries) > 100 {
			t.Errorf("%d files", len(entries))
		}
	}
	merges := int(generation) - last - 1
	w = must[*Writer](t)(OpenWriter(dir))
	check(t, w.Merge(t.Context()))
	check(t, w.Close())
	s := open(t, dir)
	check(t, differs(s, victimModel(last)))
	for _, entry := range must[[]os.DirEntry](t)(os.ReadDir(dir)) {
		if name := entry.Name(); name != lockName && !slices.Contains(s.manifest.files(), name) {
			t.Errorf("%s is left behind", name)
		}
	}
	t.Logf("%d crashes, %d commits, about %d merges, %d commits lost", *crashes, last+1, merges, lost)
}

// kill lets a process write to an index until some time has passed since it had
// opened it, and returns the last rounds it has tried and done.
func kill(t *testing.T, rng *rand.Rand, dir string, last int) (tried, done int) {
	t.Helper()
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), victimDir+"="+dir)
	var said strings.Builder
	command.Stderr = &said
	out := must[io.ReadCloser](t)(command.StdoutPipe())
	check(t, command.Start())
	var killed atomic.Bool
	tried, done = last, last
	lines := bufio.NewScanner(out)
	var timer *time.Timer
	for lines.Scan() {
		if timer == nil {
			timer = time.AfterFunc(time.Duration(rng.IntN(60_000))*time.Microsecond, func() {
				killed.Store(true)
				_ = command.Process.Kill() // or it has ended, which Wait tells
			})
		}
		var what string
		var r int
		if _, err := fmt.Sscan(lines.Text(), &what, &r); err != nil {
			break // half a line
		}
		if what == "try" {
			tried = r
		} else {
			done = r
		}
	}
	_ = command.Wait()
	if !killed.Load() {
		t.Fatalf("the writer has failed: %s", said.String())
	}
	return tried, done
}

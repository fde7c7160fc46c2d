package knownitem

import (
	"context"
	"io/fs"
	"runtime"
	"sync"

	"golang.org/x/sync/errgroup"
)

// result is what one file gave, or why it gave nothing.
type result[T any] struct {
	file    string
	value   T
	skipped string
}

// readAll reads the files and calls parse for each on several goroutines.
// Results are in the order of the files. A file that cannot be read is
// skipped, as is one that parse gives a reason for.
func readAll[T any](
	ctx context.Context, fsys fs.FS, files []string, progress func(int),
	parse func(file string, content []byte) (T, string),
) ([]result[T], error) {
	results := make([]result[T], len(files))
	var mu sync.Mutex
	done := 0
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, file := range files {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			results[i].file = file
			if content, err := fs.ReadFile(fsys, file); err != nil {
				results[i].skipped = "not readable"
			} else {
				results[i].value, results[i].skipped = parse(file, content)
			}
			if progress != nil {
				mu.Lock()
				defer mu.Unlock()
				done++
				progress(done)
			}
			return nil
		})
	}
	return results, group.Wait()
}

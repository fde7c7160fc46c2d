package bert

import (
	"fmt"
	"io"
	"os"
)

// maxJSONBytes bounds the JSON files of a model folder but for its tokenizer.
const maxJSONBytes = 1 << 20

// openRegular opens a regular file. It is looked at first, since opening a pipe would
// wait for a writer. Errors wrap ErrModel.
func openRegular(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", path)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrModel, err)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrModel, err)
	}
	return file, nil
}

// readSmallFile reads a regular file of at most limit bytes. Errors wrap ErrModel.
func readSmallFile(path string, limit int64) ([]byte, error) {
	file, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrModel, err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%w: %s is larger than %d bytes", ErrModel, path, limit)
	}
	return data, nil
}

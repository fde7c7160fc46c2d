package bert

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/pare-search/pare/encoder/table"
)

// alsoCopied are files that say nothing about vectors of a model whose layout is
// known, but which other programs look for.
var alsoCopied = []string{"config_sentence_transformers.json", "sentence_bert_config.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"}

// WriteFolder writes the encoder's model to a new folder, which [Open] opens, with a
// table in place of the embeddings of word pieces. The folder must not exist or be
// empty. It is complete when the function returns without an error.
func (e *Encoder) WriteFolder(dir string, t *table.Table) (err error) {
	if err := e.config.fits(t); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if there, err := os.ReadDir(dir); err != nil {
		return err
	} else if len(there) > 0 {
		return fmt.Errorf("writing the model: %w", &fs.PathError{Op: "create", Path: dir, Err: fs.ErrExist})
	}
	f, err := openFolder(e.dir)
	if err != nil {
		return err
	}
	files := slices.Clone(f.files)
	root := filepath.Dir(f.weights)
	for _, name := range alsoCopied {
		files = append(files, filepath.Join(e.dir, name), filepath.Join(root, name))
	}
	slices.Sort(files)
	for _, path := range slices.Compact(files) {
		name, err := filepath.Rel(e.dir, path)
		if err != nil {
			return err
		}
		to := filepath.Join(dir, name)
		switch path {
		case f.table:
			continue
		case f.weights:
			err = writeWithoutWords(to, path)
		default:
			err = copyFile(to, path)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	saved, err := t.MarshalBinary()
	if err != nil {
		return err
	}
	name, err := filepath.Rel(e.dir, f.table)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name), saved, 0o644)
}

func copyFile(to, from string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	return writeFile(to, func(w io.Writer) error {
		_, err := io.Copy(w, source)
		return err
	})
}

func writeFile(path string, write func(io.Writer) error) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(file)
	return errors.Join(write(w), w.Flush(), file.Close())
}

// writeWithoutWords copies a safetensors file without the embeddings of word
// pieces.
func writeWithoutWords(to, from string) error {
	s, err := openSafetensors(from)
	if err != nil {
		return err
	}
	defer s.Close()
	left, _ := s.find(wordsTensor)
	var names []string
	for name := range s.tensors {
		if name != left {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(s.tensors[a].Offsets[0], s.tensors[b].Offsets[0]), cmp.Compare(a, b))
	})
	header, end := make(map[string]tensorInfo), uint64(0)
	for _, name := range names {
		tensor := s.tensors[name]
		begin := end
		end += tensor.Offsets[1] - tensor.Offsets[0]
		tensor.Offsets = [2]uint64{begin, end}
		header[name] = tensor
	}
	encoded, err := json.Marshal(header)
	if err != nil {
		return err
	}
	for len(encoded)%8 != 0 { // so that the data is aligned, as the format asks for
		encoded = append(encoded, ' ')
	}
	return writeFile(to, func(w io.Writer) error {
		_, err := w.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(encoded))))
		if err == nil {
			_, err = w.Write(encoded)
		}
		for _, name := range names {
			if err == nil {
				_, err = w.Write(s.body[s.tensors[name].Offsets[0]:s.tensors[name].Offsets[1]])
			}
		}
		return err
	})
}

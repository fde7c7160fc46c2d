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
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/pare-search/pare/encoder/table"
)

// alsoCopied are files that say nothing about vectors of a model whose layout is
// known, but which other programs look for.
var alsoCopied = []string{"config_sentence_transformers.json", "sentence_bert_config.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"}

// WriteFolder writes the encoder's model to a new folder, which [Open] opens, with a
// table in place of the embeddings of word pieces, and with the projection if e has
// learnt one. The folder must not exist or be empty. A new one gets its name once it is
// complete; with an error there is none, and one that was there is empty again. Files are
// not synced to the disk.
func (e *Encoder) WriteFolder(dir string, t *table.Table) (err error) {
	if err := e.config.fits(t); err != nil {
		return err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	there, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return e.writeNewFolder(dir, t)
	case err != nil:
		return err
	case len(there) > 0:
		return fmt.Errorf("writing the model: %w", &fs.PathError{Op: "create", Path: dir, Err: fs.ErrExist})
	}
	// It stays the same folder: it may be a volume, a link or where a shell is.
	if err = e.writeModel(dir, t); err != nil {
		made, failed := os.ReadDir(dir)
		err = errors.Join(err, failed)
		for _, entry := range made {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, entry.Name())))
		}
	}
	return err
}

// writeNewFolder writes a folder that is not there under another name first.
func (e *Encoder) writeNewFolder(dir string, t *table.Table) (err error) {
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	site, err := os.MkdirTemp(parent, "."+filepath.Base(dir)+".writing-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(site))
		}
	}()
	if err := errors.Join(e.writeModel(site, t), os.Chmod(site, 0o755)); err != nil {
		return err
	}
	return os.Rename(site, dir)
}

// writeModel writes the files of WriteFolder.
func (e *Encoder) writeModel(dir string, t *table.Table) error {
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
		to, err := moved(path, e.dir, dir)
		if err != nil {
			return err
		}
		switch path {
		case f.table, f.projection:
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
	to, err := moved(f.table, e.dir, dir)
	if err != nil {
		return err
	}
	saved, err := t.MarshalBinary()
	if err != nil {
		return err
	}
	if err := os.WriteFile(to, saved, 0o644); err != nil || e.learnt.Rows == 0 {
		return err
	}
	if to, err = moved(f.projection, e.dir, dir); err != nil {
		return err
	}
	return writeSafetensors(to, []namedTensor{{projectionTensor, "F32", []uint64{uint64(e.learnt.Rows), uint64(e.learnt.Dim)}, floatBytes(e.learnt.Data)}})
}

// moved is where a file of one folder lies in another.
func moved(path, from, to string) (string, error) {
	name, err := filepath.Rel(from, path)
	return filepath.Join(to, name), err
}

func copyFile(to, from string) error {
	source, err := openRegular(from)
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
	tensors := make([]namedTensor, len(names))
	for i, name := range names {
		tensor := s.tensors[name]
		tensors[i] = namedTensor{name, tensor.DType, tensor.Shape, s.body[tensor.Offsets[0]:tensor.Offsets[1]]}
	}
	return writeSafetensors(to, tensors)
}

// namedTensor is a tensor as it lies in a file.
type namedTensor struct {
	name, dtype string
	shape       []uint64
	data        []byte
}

// writeSafetensors writes a safetensors file, its tensors in the given order.
func writeSafetensors(path string, tensors []namedTensor) error {
	header, end := make(map[string]tensorInfo), uint64(0)
	for _, t := range tensors {
		begin := end
		end += uint64(len(t.data))
		header[t.name] = tensorInfo{t.dtype, t.shape, [2]uint64{begin, end}}
	}
	encoded, err := json.Marshal(header)
	if err != nil {
		return err
	}
	for len(encoded)%8 != 0 { // so that the data is aligned, as the format asks for
		encoded = append(encoded, ' ')
	}
	return writeFile(path, func(w io.Writer) error {
		_, err := w.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(encoded))))
		if err == nil {
			_, err = w.Write(encoded)
		}
		for _, t := range tensors {
			if err == nil {
				_, err = w.Write(t.data)
			}
		}
		return err
	})
}

func floatBytes(values []float32) []byte {
	b := make([]byte, 0, 4*len(values))
	for _, v := range values {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

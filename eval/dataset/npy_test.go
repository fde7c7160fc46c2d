package dataset

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/pare-search/pare/eval"
)

func TestReadNumPy(t *testing.T) {
	sixth := float32(0x1.554p-2) // the float16 next to 1/3
	for name, want := range map[string]struct {
		values []float32
		shape  []int
	}{
		"float32": {[]float32{-1, -0.75, -0.5, -0.25, 0, 0.25}, []int{3, 2}},
		"float16": {[]float32{0, float32(math.Copysign(0, -1)), 1, sixth, 65504, 0x1p-24, -0x1.5p-17, float32(math.Inf(1))}, []int{8}},
	} {
		values, shape, err := ReadNPYFloats(filepath.Join("testdata", name+".npy"))
		if err != nil || !slices.Equal(shape, want.shape) || len(values) != len(want.values) {
			t.Fatalf("%s: shape %v, %d values, error %v", name, shape, len(values), err)
		}
		for i := range values {
			if math.Float32bits(values[i]) != math.Float32bits(want.values[i]) {
				t.Errorf("%s: value %d is %x, want %x", name, i, values[i], want.values[i])
			}
		}
	}
	for name, want := range map[string][]int64{"int32": {0, 1, -2, math.MaxInt32}, "int64v2": {3, math.MinInt64, math.MaxInt64}} {
		if values, err := ReadNPYInts(filepath.Join("testdata", name+".npy")); err != nil || !slices.Equal(values, want) {
			t.Errorf("%s: got %v, want %v, error %v", name, values, want, err)
		}
	}
	for name, parts := range map[string][]string{"fortran": {"fortran_order"}, "bigendian": {`">f4"`, "little-endian"}, "int32": {"expected floats"}} {
		_, _, err := ReadNPYFloats(filepath.Join("testdata", name+".npy"))
		wantError(t, err, ErrFormat, append(parts, name+".npy")...)
	}
	_, err := ReadNPYInts(filepath.Join("testdata", "float32.npy"))
	wantError(t, err, ErrFormat, "one dimension")
	_, err = ReadNPYInts(filepath.Join("testdata", "float16.npy"))
	wantError(t, err, ErrFormat, "expected integers")
}

// Files are those of NumPy to the byte.
func TestWriteNumPy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.npy")
	for name, typ := range map[string]DType{"float32": Float32, "float16": Float16} {
		values, shape, err := ReadNPYFloats(filepath.Join("testdata", name+".npy"))
		if err != nil {
			t.Fatal(err)
		}
		if err := WriteNPYFloats(path, typ, values, shape...); err != nil {
			t.Fatal(err)
		}
		sameFile(t, path, name+".npy")
	}
	if err := WriteNPYInts(path, Int32, []int64{0, 1, -2, math.MaxInt32}); err != nil {
		t.Fatal(err)
	}
	sameFile(t, path, "int32.npy")
	wide := []int64{3, math.MinInt64, math.MaxInt64}
	if err := WriteNPYInts(path, Int64, wide); err != nil {
		t.Fatal(err)
	}
	if values, err := ReadNPYInts(path); err != nil || !slices.Equal(values, wide) {
		t.Errorf("got %v, error %v", values, err)
	}

	wantError(t, WriteNPYInts(path, Int32, wide), ErrFormat, "32 bits", "value 1")
	wantError(t, WriteNPYInts(path, Float32, wide), ErrFormat, "integers")
	wantError(t, WriteNPYFloats(path, Int32, nil, 0), ErrFormat, "floats")
	wantError(t, WriteNPYFloats(path, Float32, make([]float32, 6), 2, 2), ErrFormat, "6 values", "[2 2]")
	wantError(t, WriteNPYFloats(path, Float32, nil), ErrFormat)
	wantError(t, WriteNPYFloats(path, Float32, make([]float32, 1), -1, -1), ErrFormat)
}

func sameFile(t *testing.T, path, reference string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(filepath.Join("testdata", reference))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("not the bytes of %s:\n%q\n%q", reference, got, want)
	}
}

func TestFloat16(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", "rounding.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		var f uint32
		var want uint16
		if _, err := fmt.Sscanf(line, "%x\t%x", &f, &want); err != nil {
			t.Fatal(err)
		}
		if got := float32To16(math.Float32frombits(f)); got != want {
			t.Errorf("%08x rounds to %04x, want %04x", f, got, want)
		}
	}
	for h := range 1 << 16 { // every half-precision number survives
		f := float32To16(float16To32(uint16(h)))
		nan := h&0x7c00 == 0x7c00 && h&0x3ff != 0
		if isNaN := f&0x7fff == 0x7e00; !nan && f != uint16(h) || nan && !isNaN {
			t.Fatalf("%04x becomes %04x", h, f)
		}
	}
}

// npy builds the bytes of an .npy file.
func npy(version byte, header string, values int) []byte {
	b := append([]byte(npyMagic), version, 0)
	if version == 1 {
		b = binary.LittleEndian.AppendUint16(b, uint16(len(header)))
	} else {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(header)))
	}
	return append(append(b, header...), make([]byte, values)...)
}

func TestNPYHeaders(t *testing.T) {
	read := func(data []byte) (*NPYReader, error) {
		return newNPYReader(bytes.NewReader(data), "x.npy", int64(len(data)))
	}
	for header, shape := range map[string][]int{
		"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }":                   {2},
		`{"shape":(2,1),"fortran_order":False,"descr":"<f4"}`:                         {2, 1},
		"  { 'descr' : '<f4' , 'fortran_order' : False , 'shape' : ( 2 , 1 , ) }  \n": {2, 1},
		"{'descr': '<f4', 'fortran_order': False, 'shape': (2), }\n":                  {2},
	} {
		for _, version := range []byte{1, 2} {
			n, err := read(npy(version, header, 8))
			if err != nil || !slices.Equal(n.Shape, shape) || n.Type != Float32 || n.Len() != 2 {
				t.Errorf("%q: %+v, error %v", header, n, err)
			}
		}
	}
	const good = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }"
	for header, part := range map[string]string{
		"":         "dictionary",
		"[]":       "dictionary",
		"{":        "string",
		"{}":       "keys",
		good + "x": "after",
		strings.Replace(good, "'shape': (2,), ", "", 1):                           "keys",
		strings.Replace(good, "}", "'descr': '<f4'}", 1):                          "once",
		strings.Replace(good, "}", "'more': 1}", 1):                               `"more"`,
		strings.Replace(good, "False", "True", 1):                                 "fortran_order",
		strings.Replace(good, "False", "0", 1):                                    "fortran_order",
		strings.Replace(good, "<f4", "<f8", 1):                                    "<f8",
		strings.Replace(good, "<f4", `<f\4`, 1):                                   "string",
		strings.Replace(good, "'<f4'", "[('x', '<f4')]", 1):                       "string",
		strings.Replace(good, "'<f4',", "'<f4'", 1):                               "comma",
		strings.Replace(good, "'descr':", "'descr'", 1):                           "colon",
		strings.Replace(good, "(2,)", "2", 1):                                     "tuple",
		strings.Replace(good, "(2,)", "()", 1):                                    "dimensions",
		strings.Replace(good, "(2,)", "(2, 1, 1)", 1):                             "dimensions",
		strings.Replace(good, "(2,)", "(-2,)", 1):                                 "size",
		strings.Replace(good, "(2,)", "(2L,)", 1):                                 "size",
		strings.Replace(good, "(2,)", "(2 1)", 1):                                 "size",
		strings.Replace(good, "(2,)", "(,)", 1):                                   "size",
		strings.Replace(good, "(2,)", "(2", 1):                                    "size",
		strings.Replace(good, "(2,)", "(3,)", 1):                                  "3 values",
		strings.Replace(good, "(2,)", "(1,)", 1):                                  "1 values",
		strings.Replace(good, "(2,)", "(99999999999999999999,)", 1):               "size",
		strings.Replace(good, "(2,)", fmt.Sprintf("(%d, 4)", math.MaxInt/2), 1):   "too many",
		strings.Replace(good, "(2,)", fmt.Sprintf("(%d, %[1]d)", math.MaxInt), 1): "too many",
	} {
		for _, version := range []byte{1, 2} {
			_, err := read(npy(version, header, 8))
			wantError(t, err, ErrFormat, "x.npy", part)
		}
	}
	whole := npy(1, good, 8)
	for name, data := range map[string][]byte{
		"empty": nil, "magic only": whole[:6], "header cut": whole[:20], "value cut": whole[:len(whole)-1], "value more": append(bytes.Clone(whole), 0),
		"text": []byte("1\tplain text\n"), "version 3": npy(3, good, 8), "long header": npy(2, good+strings.Repeat(" ", maxNPYHeader), 8),
		"long claim": append([]byte(npyMagic), 2, 0, 0xff, 0xff, 0xff, 0xff), "length cut": append([]byte(npyMagic), 2, 0, 1, 0),
	} {
		if _, err := read(data); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestNPYReaderInPieces(t *testing.T) {
	const rows, dim = 1000, 33
	values := make([]float32, rows*dim)
	for i := range values {
		values[i] = float32(i % 2048) // exact in float16
	}
	for _, typ := range []DType{Float32, Float16} {
		path := filepath.Join(t.TempDir(), "x.npy")
		if err := WriteNPYFloats(path, typ, values, rows, dim); err != nil {
			t.Fatal(err)
		}
		n, err := OpenNPY(path)
		if err != nil {
			t.Fatal(err)
		}
		var got []float32
		for size := 0; n.Len() > 0; size += 777 {
			part := make([]float32, min(size, n.Len()))
			if err := n.ReadFloats(part); err != nil {
				t.Fatal(err)
			}
			got = append(got, part...)
		}
		if !slices.Equal(got, values) {
			t.Errorf("%s: values differ", typ)
		}
		wantError(t, n.ReadFloats(make([]float32, 1)), ErrFormat, "found 0")
		wantError(t, n.ReadInts(make([]int64, 0)), ErrFormat, "integers")
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}
}

// embed writes a folder of three documents and one query with two dimensions.
func embed(t testing.TB) string {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	for _, err := range []error{
		WriteNPYFloats(path("docs.npy"), Float16, []float32{1, 2, 3, 4, 5, 6}, 3, 2),
		WriteNPYInts(path("docs_lens.npy"), Int32, []int64{2, 0, 1}),
		WriteNPYInts(path("docs_tokids.npy"), Int32, []int64{101, 7, 8}),
		os.WriteFile(path("doc_ids.txt"), []byte("a\r\nb b\nc\n"), 0o644),
		WriteNPYFloats(path("queries.npy"), Float32, []float32{-1, 0.5}, 1, 2),
		WriteNPYInts(path("queries_lens.npy"), Int64, []int64{1}),
		os.WriteFile(path("qrels.tsv"), []byte(beirQrels), 0o644),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestEmbeddings(t *testing.T) {
	e, err := OpenEmbeddings(embed(t))
	if err != nil {
		t.Fatal(err)
	}
	if e.Dim != 2 || e.Documents.Tokens != 3 || !e.Documents.HasTokenIDs() || e.Queries.HasTokenIDs() || !reflect.DeepEqual(e.Qrels, tinyQrels) {
		t.Errorf("%+v", e)
	}
	wantDocuments := []Embedded{
		{"a", []uint32{101, 7}, []float32{1, 2, 3, 4}}, {"b b", []uint32{}, []float32{}}, {"c", []uint32{8}, []float32{5, 6}},
	}
	for range 2 {
		documents, err := collect(e.Documents.All())
		if err != nil || !reflect.DeepEqual(documents, wantDocuments) {
			t.Errorf("documents %v, error %v", documents, err)
		}
	}
	queries, err := collect(e.Queries.All())
	if err != nil || !reflect.DeepEqual(queries, []Embedded{{"0", nil, []float32{-1, 0.5}}}) {
		t.Errorf("queries %v, error %v", queries, err)
	}
	for range e.Documents.All() {
		break
	}
}

func TestEmbeddingsWithoutExtras(t *testing.T) {
	dir := embed(t)
	for _, name := range []string{"docs_tokids.npy", "doc_ids.txt", "queries.npy", "queries_lens.npy", "qrels.tsv"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	e, err := OpenEmbeddings(dir)
	if err != nil {
		t.Fatal(err)
	}
	if e.Queries != nil || e.Documents.HasTokenIDs() || !slices.Equal(e.Documents.IDs, []string{"0", "1", "2"}) || !reflect.DeepEqual(e.Qrels, eval.Qrels{}) {
		t.Errorf("%+v", e)
	}
}

func TestEmbeddingsRefuse(t *testing.T) {
	ints := func(typ DType, values ...int64) func(string) error {
		return func(path string) error { return WriteNPYInts(path, typ, values) }
	}
	floats := func(count int, shape ...int) func(string) error {
		return func(path string) error { return WriteNPYFloats(path, Float32, make([]float32, count), shape...) }
	}
	text := func(s string) func(string) error {
		return func(path string) error { return os.WriteFile(path, []byte(s), 0o644) }
	}
	for name, tt := range map[string]struct {
		file   string
		write  func(path string) error
		target error
		parts  []string
	}{
		"no vectors":      {"docs.npy", os.Remove, ErrLayout, []string{"docs.npy"}},
		"no lengths":      {"docs_lens.npy", os.Remove, ErrLayout, []string{"docs_lens.npy"}},
		"one dimension":   {"docs.npy", floats(6, 6), ErrFormat, []string{"[6]"}},
		"width zero":      {"docs.npy", floats(0, 3, 0), ErrFormat, []string{"[3 0]"}},
		"integers":        {"docs.npy", ints(Int32, 1, 2), ErrFormat, []string{"docs.npy", "<i4"}},
		"lengths short":   {"docs_lens.npy", ints(Int32, 1, 0, 1), ErrFormat, []string{"2 tokens", "3 vectors"}},
		"lengths long":    {"docs_lens.npy", ints(Int32, 2, 0, 2), ErrFormat, []string{"text 2"}},
		"negative length": {"docs_lens.npy", ints(Int64, 2, -1, 2), ErrFormat, []string{"text 1"}},
		"length overflow": {"docs_lens.npy", ints(Int64, 2, math.MaxInt64, math.MaxInt64), ErrFormat, []string{"text 1"}},
		"token ids short": {"docs_tokids.npy", ints(Int32, 1, 2), ErrFormat, []string{"docs_tokids.npy", "3 integers"}},
		"token ids float": {"docs_tokids.npy", floats(3, 3), ErrFormat, []string{"<f4"}},
		"ids short":       {"doc_ids.txt", text("a\nb\n"), ErrFormat, []string{"doc_ids.txt", "3 ids", "found 2"}},
		"ids twice":       {"doc_ids.txt", text("a\nb\na\n"), ErrFormat, []string{"doc_ids.txt:3", "line 1"}},
		"ids not UTF-8":   {"doc_ids.txt", text("a\n\xff\nc\n"), ErrFormat, []string{"doc_ids.txt:2", "UTF-8"}},
		"query width":     {"queries.npy", floats(3, 1, 3), ErrFormat, []string{"queries.npy", "found 3"}},
		"query lengths":   {"queries_lens.npy", os.Remove, os.ErrNotExist, []string{"queries_lens.npy"}},
		"qrels":           {"qrels.tsv", text("q d x"), ErrFormat, []string{"qrels.tsv:1"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := embed(t)
			if err := tt.write(filepath.Join(dir, tt.file)); err != nil {
				t.Fatal(err)
			}
			_, err := OpenEmbeddings(dir)
			wantError(t, err, tt.target, tt.parts...)
		})
	}

	dir := embed(t)
	if err := WriteNPYInts(filepath.Join(dir, "docs_tokids.npy"), Int64, []int64{1, 2, -1}); err != nil {
		t.Fatal(err)
	}
	e, err := OpenEmbeddings(dir)
	if err != nil {
		t.Fatal(err)
	}
	documents, err := collect(e.Documents.All())
	wantError(t, err, ErrFormat, "docs_tokids.npy", "-1")
	if len(documents) != 2 {
		t.Errorf("%d documents before the error", len(documents))
	}
}

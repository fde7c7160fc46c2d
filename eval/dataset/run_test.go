package dataset

import (
	"bytes"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/pare-search/pare/eval"
)

func TestWriteRun(t *testing.T) {
	run := eval.Run{Tag: "pare", Results: map[string][]eval.Result{
		"q2": {{ID: "b", Score: 1}, {ID: "c", Score: 1 + 1e-12}, {ID: "a", Score: 2.5}},
		"q1": {{ID: "a", Score: -0.1}, {ID: "b", Score: 1e-30}, {ID: "c", Score: math.Inf(-1)}},
		"q3": nil,
	}}
	// 1 and 1+1e-12 are one float32 and so ranked by descending id.
	const want = `q1 Q0 b 1 1e-30 pare
q1 Q0 a 2 -0.1 pare
q1 Q0 c 3 -Inf pare
q2 Q0 a 1 2.5 pare
q2 Q0 c 2 1 pare
q2 Q0 b 3 1 pare
`
	var buf bytes.Buffer
	if err := WriteRun(&buf, run); err != nil {
		t.Fatal(err)
	}
	if buf.String() != want {
		t.Errorf("got\n%swant\n%s", &buf, want)
	}
}

// Scores keep every bit of a float32 through a file.
func TestRunRoundTrip(t *testing.T) {
	run := eval.Run{Tag: "x", Results: map[string][]eval.Result{}}
	for i, bits := range []uint32{
		0, 1, 0x007fffff, 0x00800000, 0x3dcccccd, 0x3f7fffff, 0x3f800000, 0x3f800001, 0x41abcdef, 0x4b800001, 0x7f7fffff, 0x7f800000,
	} {
		for _, f := range []float32{math.Float32frombits(bits), -math.Float32frombits(bits)} {
			id := string(rune('a'+i)) + map[bool]string{true: "-"}[math.Signbit(float64(f))]
			run.Results["q"] = append(run.Results["q"], eval.Result{ID: id, Score: float64(f)})
		}
	}
	for _, name := range []string{"run.trec", "run.trec.gz"} {
		path := filepath.Join(t.TempDir(), name)
		if err := WriteRunFile(path, run); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil || bytes.HasPrefix(data, []byte{0x1f, 0x8b}) != strings.HasSuffix(name, ".gz") {
			t.Errorf("%s: compression not as the name says, error %v", name, err)
		}
		got, err := ReadRunFile(path)
		if err != nil {
			t.Fatal(err)
		}
		want := eval.Rank(run.Results["q"], eval.TiesDescending)
		if len(got.Results["q"]) != len(want) || got.Tag != "x" {
			t.Fatalf("tag %q, %d results, want %d", got.Tag, len(got.Results["q"]), len(want))
		}
		for i, res := range got.Results["q"] {
			if res.ID != want[i].ID || math.Float32bits(float32(res.Score)) != math.Float32bits(float32(want[i].Score)) {
				t.Errorf("rank %d: got %v, want %v", i+1, res, want[i])
			}
		}
	}
}

func TestReadRun(t *testing.T) {
	run, err := ReadRun(strings.NewReader("\ufeffq1 Q0 d2 9 0.5 first\r\n\r\nq2\t0\td1 x 1e-2 other\nq1 Q0 d1 1 7\u00a0 \tfirst\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := eval.Run{Tag: "first", Results: map[string][]eval.Result{"q1": {{ID: "d2", Score: 0.5}, {ID: "d1", Score: 7}}, "q2": {{ID: "d1", Score: 0.01}}}}
	if !reflect.DeepEqual(run, want) {
		t.Errorf("got %v, want %v", run, want)
	}
	for text, parts := range map[string][]string{
		"q1 Q0 d1 1 0.5":        {"line 1", "5 columns"},
		"q1 Q0 d1 1 0.5 a b":    {"line 1", "7 columns"},
		"\nq1 Q0 d1 1 high tag": {"line 2", `"high"`},
		"q1 Q0 d1 1 NaN tag":    {"line 1", "NaN"},
		"q1 Q0 d1 1 1e999 tag":  {"line 1", "1e999"},
		"q1 Q0 d\xff 1 1 tag":   {"line 1", "UTF-8"},
		"q1 Q0 d1 1 1 tag\nq2 Q0 d1 1 1 tag\nq1 Q0 d1 2 1 tag": {"input", `"q1"`, `"d1"`},
	} {
		_, err := ReadRun(strings.NewReader(text))
		wantError(t, err, ErrFormat, parts...)
	}
	_, err = ReadRun(strings.NewReader("q1 Q0 d1 1 1 tag\nq1 Q0 d1 2 1 tag"))
	wantError(t, err, eval.ErrRun)
	_, err = ReadRunFile(filepath.Join(t.TempDir(), "absent"))
	wantError(t, err, os.ErrNotExist)
}

func TestWritersRefuse(t *testing.T) {
	one := func(query, doc string, score float64) map[string][]eval.Result {
		return map[string][]eval.Result{query: {{ID: doc, Score: score}}}
	}
	for name, run := range map[string]eval.Run{
		"no tag": {Results: one("q", "d", 1)}, "tag of two words": {Tag: "a b"}, "tag with a line": {Tag: "a\n"},
		"space": {Tag: "t", Results: one("q", "d 1", 1)}, "no-break space": {Tag: "t", Results: one("q\u00a0", "d", 1)},
		"empty": {Tag: "t", Results: one("", "d", 1)}, "not UTF-8": {Tag: "t", Results: one("q", "\xff", 1)},
		"NaN":   {Tag: "t", Results: one("q", "d", math.NaN())},
		"twice": {Tag: "t", Results: map[string][]eval.Result{"q": {{ID: "d"}, {ID: "d"}}}},
	} {
		path := filepath.Join(t.TempDir(), "run")
		if err := os.WriteFile(path, []byte("kept"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := WriteRunFile(path, run); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: error %v", name, err)
		}
		if data, err := os.ReadFile(path); string(data) != "kept" {
			t.Errorf("%s: the file has changed to %q, error %v", name, data, err)
		}
	}

	for name, qrels := range map[string]eval.Qrels{
		"tab": {"q": {"a\tb": 1}}, "line": {"q\n": {"d": 1}}, "empty": {"q": {"": 1}}, "mark": {"\ufeffq": {"d": 1}},
	} {
		path := filepath.Join(t.TempDir(), "qrels")
		for _, form := range []QrelsForm{TRECQrels, BEIRQrels} {
			if err := WriteQrelsFile(path, qrels, form); !errors.Is(err, ErrFormat) {
				t.Errorf("%s: error %v", name, err)
			}
		}
		if exists(path) {
			t.Errorf("%s: a file was made", name)
		}
	}
	if strconv.IntSize > 32 {
		wide := eval.Qrels{"q": {"d": math.MaxInt}}
		if err := WriteQrels(&bytes.Buffer{}, wide, TRECQrels); !errors.Is(err, ErrFormat) {
			t.Errorf("a grade of more than 32 bits: %v", err)
		}
	}
	spaced := eval.Qrels{"q 1": {"d 1": 1}}
	if err := WriteQrels(&bytes.Buffer{}, spaced, TRECQrels); !errors.Is(err, ErrFormat) {
		t.Errorf("an id with a space in TREC form: %v", err)
	}
	if err := WriteQrels(&bytes.Buffer{}, spaced, BEIRQrels); err != nil {
		t.Errorf("an id with a space in BEIR form: %v", err)
	}

	full := failingWriter{}
	if err := WriteRun(full, eval.Run{Tag: "t", Results: one("q", "d", 1)}); !errors.Is(err, errFull) {
		t.Errorf("run to a full disk: %v", err)
	}
	if err := WriteQrels(full, tinyQrels, TRECQrels); !errors.Is(err, errFull) {
		t.Errorf("qrels to a full disk: %v", err)
	}
}

var errFull = errors.New("disk full")

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errFull }

// A file that cannot be completed leaves what was there before, and nothing
// beside it.
func TestFailedWriteKeepsTheOldFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "run.trec.gz")
	if err := os.WriteFile(path, []byte("before"), 0o644); err != nil {
		t.Fatal(err)
	}
	err := writeFile(path, func(w io.Writer) error {
		if _, err := io.WriteString(w, strings.Repeat("half a file ", 100_000)); err != nil {
			return err
		}
		return errFull
	})
	if !errors.Is(err, errFull) {
		t.Errorf("error %v", err)
	}
	if content, err := os.ReadFile(path); err != nil || string(content) != "before" {
		t.Errorf("the file holds %d bytes, error %v", len(content), err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v, error %v", entries, err)
	}
}

// Links are followed, so that a folder of links stays one.
func TestWritesThroughLinks(t *testing.T) {
	dir := t.TempDir()
	link, target := filepath.Join(dir, "link"), filepath.Join(dir, "target")
	if err := os.Symlink(target, link); err != nil {
		t.Skip(err)
	}
	want := eval.Run{Tag: "t", Results: map[string][]eval.Result{"q": {{ID: "d", Score: 1}}}}
	if err := WriteRunFile(link, want); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadRunFile(target); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("read %v, %v", got, err)
	}
}

func TestWriteQrels(t *testing.T) {
	qrels := eval.Qrels{"q2": {"d2": 1}, "q1": {"d3": 0, "d1": 2}, "q3": {}}
	for form, want := range map[QrelsForm]string{TRECQrels: trecQrels, BEIRQrels: beirQrels} {
		var buf bytes.Buffer
		if err := WriteQrels(&buf, qrels, form); err != nil || buf.String() != want {
			t.Errorf("got %q, want %q, error %v", &buf, want, err)
		}
		path := filepath.Join(t.TempDir(), "qrels.gz")
		if err := WriteQrelsFile(path, qrels, form); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadQrelsFile(path); err != nil || !reflect.DeepEqual(got, tinyQrels) {
			t.Errorf("got %v, error %v", got, err)
		}
	}
}

func TestReadQrels(t *testing.T) {
	for text, want := range map[string]eval.Qrels{
		"":                             {},
		"query-id\tcorpus-id\tscore\n": {},
		beirQrels:                      tinyQrels,
		beirQrels[strings.Index(beirQrels, "\n")+1:]: tinyQrels,
		trecQrels: tinyQrels,
		"query_id iter doc_id relevance\n" + trecQrels: tinyQrels,
		"q1   d1\u00a02 \nq1 d3 0\nq2 d2 +1":           tinyQrels,
		"a q\t0\ta doc\t-2\n":                          {"a q": {"a doc": -2}},
	} {
		if got, err := ReadQrels(strings.NewReader(text)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %v, want %v, error %v", text, got, want, err)
		}
	}
	_, err := ReadQrels(strings.NewReader("q1 d1 1\nquery-id corpus-id score\n"))
	wantError(t, err, ErrFormat, "line 2", "score")
}

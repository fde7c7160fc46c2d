package dataset

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/pare-search/pare/eval"
)

// fuzzLine is short enough for the fuzzer to reach it.
const fuzzLine = 1 << 10

// FuzzDocuments reads one text in all three formats. What is accepted has a
// usable id and valid text; what is refused is an ErrFormat.
func FuzzDocuments(f *testing.F) {
	for _, seed := range []string{jsonDocuments, tsvQueries, sgmlDocuments, "\ufeff{}", "<DOC><DOCNO>1</DOCNO>a <b c</DOC>", "1\t\xff\r\r\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, name := range []string{"x.jsonl", "x.tsv", "x.sgml", "x"} {
			docs, err := collect(parseDocuments(newLineReader(strings.NewReader(text), name, fuzzLine)))
			checkFormat(t, err)
			for _, doc := range docs {
				if checkID(doc.ID) != nil || !utf8.ValidString(doc.Title) || !utf8.ValidString(doc.Text) {
					t.Errorf("%s: accepted %q", name, doc)
				}
			}
		}
	})
}

// FuzzQueries is FuzzDocuments for queries, whose ids are unique.
func FuzzQueries(f *testing.F) {
	for _, seed := range []string{jsonQueries, tsvQueries, sgmlTopics, "<top><num>1<title>a<b</top>", `{"id":1,"query":""}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, name := range []string{"x.jsonl", "x.tsv", "x.txt"} {
			queries, err := parseQueries(newLineReader(strings.NewReader(text), name, fuzzLine))
			checkFormat(t, err)
			seen := map[string]bool{}
			for _, q := range queries {
				if seen[q.ID] || checkID(q.ID) != nil || !utf8.ValidString(q.Text) {
					t.Errorf("%s: accepted %q", name, q)
				}
				seen[q.ID] = true
			}
		}
	})
}

// FuzzQrels writes what it has read, in every form that can hold it, and reads
// it again.
func FuzzQrels(f *testing.F) {
	for _, seed := range []string{beirQrels, trecQrels, "a q\t0\ta d\t-1", "q d 1\r\nq e 0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		qrels, err := parseQrels(newLineReader(strings.NewReader(text), "x", fuzzLine))
		checkFormat(t, err)
		if err != nil {
			return
		}
		for _, form := range []QrelsForm{TRECQrels, BEIRQrels} {
			var buf bytes.Buffer
			if WriteQrels(&buf, qrels, form) != nil {
				continue // an id with white space
			}
			again, err := ReadQrels(&buf)
			if err != nil || !reflect.DeepEqual(again, qrels) {
				t.Errorf("form %d: %v became %v, error %v", form, qrels, again, err)
			}
		}
	})
}

// FuzzRun writes what it has read and reads it again: the ranking is the same.
func FuzzRun(f *testing.F) {
	for _, seed := range []string{"q1 Q0 d1 1 0.5 tag\nq1 Q0 d2 2 -1e-7 tag\n", "q 0 d\t1 Inf x\r\n", "q 0 d 1 0x1p-2 x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		run, err := parseRun(newLineReader(strings.NewReader(text), "x", fuzzLine))
		checkFormat(t, err)
		if err != nil || len(run.Results) == 0 {
			return
		}
		var buf bytes.Buffer
		if err := WriteRun(&buf, run); err != nil {
			t.Fatalf("%v was read but cannot be written: %v", run, err)
		}
		again, err := ReadRun(&buf)
		if err != nil || again.Tag != run.Tag || len(again.Results) != len(run.Results) {
			t.Fatalf("%v became %v, error %v", run, again, err)
		}
		for query, results := range run.Results {
			want, got := eval.Rank(results, eval.TiesDescending), again.Results[query]
			if len(got) != len(want) {
				t.Fatalf("query %q: %v became %v", query, want, got)
			}
			for i := range want {
				if got[i].ID != want[i].ID || math.Float32bits(float32(got[i].Score)) != math.Float32bits(float32(want[i].Score)) {
					t.Errorf("query %q, rank %d: %v became %v", query, i+1, want[i], got[i])
				}
			}
		}
	})
}

// FuzzNPY reads every value of what it accepts, which accounts for every byte.
func FuzzNPY(f *testing.F) {
	const header = "{'descr': '<f2', 'fortran_order': False, 'shape': (2, 1), }\n"
	f.Add(npy(1, header, 4))
	f.Add(npy(2, strings.Replace(header, "<f2", "<i8", 1), 16))
	f.Add(npy(1, strings.Replace(header, "2, 1", "9223372036854775807, 0", 1), 0))
	f.Fuzz(func(t *testing.T, data []byte) {
		n, err := newNPYReader(bytes.NewReader(data), "x.npy", int64(len(data)))
		checkFormat(t, err)
		if err != nil {
			return
		}
		if n.Len()*n.Type.size() > len(data) {
			t.Fatalf("%d values of %s in %d bytes", n.Len(), n.Type, len(data))
		}
		switch n.Type {
		case Float16, Float32:
			err = n.ReadFloats(make([]float32, n.Len()))
		case Int32, Int64:
			err = n.ReadInts(make([]int64, n.Len()))
		}
		if err != nil || n.Len() != 0 {
			t.Errorf("%d values left, error %v", n.Len(), err)
		}
		if rest, err := n.r.ReadByte(); err == nil {
			t.Errorf("byte %d is left over", rest)
		}
	})
}

// FuzzIDs reads files of ids.
func FuzzIDs(f *testing.F) {
	f.Add("a\nb b\r\n\nc")
	f.Add("a\na")
	f.Fuzz(func(t *testing.T, text string) {
		ids, err := parseIDs(newLineReader(strings.NewReader(text), "x", fuzzLine))
		checkFormat(t, err)
		for _, id := range ids {
			if checkID(id) != nil {
				t.Errorf("accepted %q", id)
			}
		}
	})
}

func checkFormat(t *testing.T, err error) {
	t.Helper()
	if err != nil && !errors.Is(err, ErrFormat) {
		t.Errorf("the error does not wrap ErrFormat: %v", err)
	}
}

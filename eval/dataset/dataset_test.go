package dataset

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/pare-search/pare/eval"
	"github.com/pare-search/pare/internal/collections"
)

// folder writes files, compressed where the name ends in .gz.
func folder(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "tiny.v1")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		data := []byte(content)
		if strings.HasSuffix(name, ".gz") {
			data = zipped(t, content)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func zipped(t testing.TB, content string) []byte {
	t.Helper()
	var buf bytes.Buffer
	gz := gzip.NewWriter(&buf)
	if _, err := gz.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := gz.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func collect[T any](seq iter.Seq2[T, error]) ([]T, error) {
	var all []T
	for v, err := range seq {
		if err != nil {
			return all, err
		}
		all = append(all, v)
	}
	return all, nil
}

// wantError checks what an error wraps and names.
func wantError(t *testing.T, err, target error, parts ...string) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Fatalf("got error %v, want %v", err, target)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not name %q: %v", part, err)
		}
	}
}

// The same collection in every layout.
var (
	tinyDocuments = []Document{
		{ID: "d1", Title: "Wing", Text: "lift of a thin wing"},
		{ID: "d2", Text: "drag\tof a body"},
		{ID: "d3", Text: ""},
	}
	tinyQueries = []Query{{"q1", "lift"}, {"q2", "what is drag"}, {"q3", "flow"}}
	tinyQrels   = eval.Qrels{"q1": {"d1": 2, "d3": 0}, "q2": {"d2": 1}}
)

const (
	jsonDocuments = `{"_id": "d1", "title": "Wing", "text": "lift of a thin wing", "metadata": {"year": 1958}}
{"_id": "d2", "title": "", "text": "drag\tof a body"}
{"_id": "d3", "title": null, "text": ""}
`
	jsonQueries = `{"_id": "q1", "text": "lift"}
{"_id": "q2", "text": "what is drag"}
{"_id": "q3", "text": "flow"}
`
	beirQrels  = "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td3\t0\nq2\td2\t1\n"
	tsvQueries = "q1\tlift\nq2\twhat is drag\nq3\tflow\n"
	trecQrels  = "q1 0 d1 2\nq1 0 d3 0\nq2 0 d2 1\n"
	sgmlTopics = `<top>
<num> Number: q1
<title> lift

<desc> Description:
What lifts a wing?
</top>
<top>
<num> Number: q2 <desc> Description: what
is drag
<narr> Narrative: Anything.
</top>
<TOP><NUM>q3</NUM><TITLE>flow</TITLE></TOP>
`
	sgmlDocuments = `<DOC>
<DOCNO> d1 </DOCNO>
<DATE>1958</DATE>
<HEADLINE>
Wing
</HEADLINE>
<TEXT>
lift of <F P=105>a thin</F> wing
</TEXT>
</DOC>

<DOC><DOCNO>d2</DOCNO>drag	of<!-- no title --> a body</DOC><doc>
<docno>d3</docno><text></text></doc>
`
)

func TestLayouts(t *testing.T) {
	for name, tt := range map[string]struct {
		files  map[string]string
		layout Layout
	}{
		"beir":          {map[string]string{"corpus.jsonl": jsonDocuments, "queries.jsonl": jsonQueries, "qrels.tsv": beirQrels}, BEIR},
		"beir original": {map[string]string{"corpus.jsonl": jsonDocuments, "queries.jsonl": jsonQueries, "qrels/test.tsv": beirQrels}, BEIR},
		"beir gzip": {map[string]string{
			"corpus.jsonl.gz": jsonDocuments, "queries.jsonl.gz": jsonQueries, "qrels/test.tsv.gz": beirQrels,
		}, BEIR},
		"msmarco": {map[string]string{
			"collection.tsv.gz": "d1\tWing lift of a thin wing\nd2\tdrag\tof a body\nd3\t\n",
			"queries.tsv":       tsvQueries, "qrels.tsv": strings.ReplaceAll(trecQrels, " ", "\t"),
		}, MSMARCO},
		"trec": {map[string]string{"documents.trec": sgmlDocuments, "topics.txt": sgmlTopics, "qrels.txt": trecQrels}, TREC},
		"trec folder": {map[string]string{
			"docs/a/1.gz": sgmlDocuments[:strings.Index(sgmlDocuments, "<DOC><DOCNO>d2")], "docs/.hidden": "no",
			"docs/b": sgmlDocuments[strings.Index(sgmlDocuments, "<DOC><DOCNO>d2"):], "topics.51-100": sgmlTopics, "qrels.51-100": trecQrels,
		}, TREC},
		"trec json, CRLF, BOM": {map[string]string{
			"docs.txt":    "\ufeff" + strings.ReplaceAll(jsonDocuments, "\n", "\r\n\r\n"),
			"topics.tsv":  "\ufeff\n" + strings.ReplaceAll(tsvQueries, "\n", "\r\n"),
			"qrels.x.txt": "\ufeff" + strings.ReplaceAll(trecQrels, "\n", "\r\n \t\r\n"),
		}, TREC},
	} {
		t.Run(name, func(t *testing.T) {
			dir := folder(t, tt.files)
			c, err := Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			if c.Layout != tt.layout || c.Name != "tiny.v1" || c.Path != dir {
				t.Errorf("layout %q, name %q, path %q", c.Layout, c.Name, c.Path)
			}
			if !reflect.DeepEqual(c.Queries, tinyQueries) || !reflect.DeepEqual(c.Qrels, tinyQrels) {
				t.Errorf("queries %q, qrels %v", c.Queries, c.Qrels)
			}
			if judged := c.Judged(); !reflect.DeepEqual(judged, tinyQueries[:2]) || len(c.Queries) != 3 {
				t.Errorf("judged %q", judged)
			}
			for range 2 { // documents can be read again
				docs, err := collect(c.Documents())
				if err != nil {
					t.Fatal(err)
				}
				if len(docs) != len(tinyDocuments) {
					t.Fatalf("documents %q", docs)
				}
				for i, want := range tinyDocuments {
					got := docs[i]
					body := strings.Join(strings.Fields(got.Body()), " ")
					if got.ID != want.ID || body != strings.Join(strings.Fields(want.Body()), " ") {
						t.Errorf("got %q, want %q", got, want)
					}
					if tt.layout != MSMARCO && got.Title != want.Title {
						t.Errorf("got title %q, want %q", got.Title, want.Title)
					}
				}
			}
			for range c.Documents() { // and the reader may stop
				break
			}
		})
	}
}

func TestBody(t *testing.T) {
	for want, doc := range map[string]Document{
		"a b": {Title: "a", Text: "b"}, "a": {Title: " a"}, "b": {Text: "b\n"}, "": {ID: "1"},
	} {
		if got := doc.Body(); got != want {
			t.Errorf("%q has body %q, want %q", doc, got, want)
		}
	}
}

func TestOpenFile(t *testing.T) {
	dir := folder(t, map[string]string{"a.jsonl": jsonDocuments, "b.tsv.gz": "d1\tx\n", "c.sgml": sgmlDocuments, "d": "d1\tx\n", "empty": ""})
	for name, documents := range map[string]int{"a.jsonl": 3, "b.tsv.gz": 1, "c.sgml": 3, "d": 1, "empty": 0} {
		c, err := Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		docs, err := collect(c.Documents())
		if err != nil || len(docs) != documents || c.Layout != File || len(c.Queries) != 0 || len(c.Qrels) != 0 {
			t.Errorf("%s: %d documents, layout %s, error %v", name, len(docs), c.Layout, err)
		}
		if wantName, _, _ := strings.Cut(name, "."); c.Name != wantName {
			t.Errorf("%s has the name %q", name, c.Name)
		}
		_, err = OpenWith(filepath.Join(dir, name), Options{Split: "dev", Limits: Limits{MaxLine: 100, MaxFile: 1000}})
		wantError(t, err, ErrLayout, "dev")
	}
}

func TestForeignJSON(t *testing.T) {
	dir := folder(t, map[string]string{
		"corpus.jsonl":  `{"id": 7, "contents": "pyserini"}` + "\n" + `{"docid": "8", "title": "t", "text": "tevatron"}`,
		"queries.jsonl": `{"query_id": "1", "query": "tevatron"}` + "\n" + `{"id": -2, "text": "number"}`,
	})
	c, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	docs, err := collect(c.Documents())
	if want := []Document{{"7", "", "pyserini"}, {"8", "t", "tevatron"}}; err != nil || !reflect.DeepEqual(docs, want) {
		t.Errorf("documents %q, error %v", docs, err)
	}
	if want := []Query{{"1", "tevatron"}, {"-2", "number"}}; !reflect.DeepEqual(c.Queries, want) {
		t.Errorf("queries %q", c.Queries)
	}
}

func TestSplits(t *testing.T) {
	const q, j = "q1\tlift\n", "q1 0 d1 1\n"
	for name, tt := range map[string]struct {
		files          []string
		ask            string
		split          string
		queries, qrels string
	}{
		"no qrels":                {[]string{"queries.tsv"}, "", "", "queries.tsv", ""},
		"nothing":                 {nil, "", "", "", ""},
		"test before dev":         {[]string{"queries.tsv", "qrels/dev.tsv", "qrels/test.tsv", "qrels/train.tsv"}, "", "test", "queries.tsv", "qrels/test.tsv"},
		"asked for":               {[]string{"queries.tsv", "qrels/dev.tsv", "qrels/test.tsv"}, "dev", "dev", "queries.tsv", "qrels/dev.tsv"},
		"no name before test":     {[]string{"queries.tsv", "qrels.tsv", "qrels/test.tsv"}, "", "", "queries.tsv", "qrels.tsv"},
		"named beside no name":    {[]string{"queries.tsv", "qrels.tsv", "qrels/test.tsv"}, "test", "test", "queries.tsv", "qrels/test.tsv"},
		"plain before gzip":       {[]string{"queries.tsv.gz", "queries.tsv", "qrels.tsv.gz", "qrels.tsv"}, "", "", "queries.tsv", "qrels.tsv"},
		"ms marco":                {[]string{"queries.dev.tsv", "queries.dev.small.tsv", "queries.eval.tsv", "queries.train.tsv", "qrels.dev.small.tsv", "qrels.train.tsv"}, "", "dev.small", "queries.dev.small.tsv", "qrels.dev.small.tsv"},
		"ms marco train":          {[]string{"queries.dev.tsv", "queries.train.tsv", "qrels.dev.tsv", "qrels.train.tsv"}, "train", "train", "queries.train.tsv", "qrels.train.tsv"},
		"queries without qrels":   {[]string{"queries.dev.tsv", "queries.eval.tsv", "qrels.dev.tsv"}, "eval", "eval", "queries.eval.tsv", ""},
		"the only ones":           {[]string{"topics.robust04.txt", "qrels.robust2004.txt"}, "", "robust2004", "topics.robust04.txt", "qrels.robust2004.txt"},
		"queries lead":            {[]string{"topics.train.txt", "topics.dev.txt"}, "", "dev", "topics.dev.txt", ""},
		"folders are not files":   {[]string{"queries.tsv", "qrels.dev/x", "qrels.tsv", "queries/x"}, "", "", "queries.tsv", "qrels.tsv"},
		"hidden files are nobody": {[]string{"queries.tsv", "qrels/.test.tsv"}, "", "", "queries.tsv", ""},
	} {
		t.Run(name, func(t *testing.T) {
			files := map[string]string{"collection.tsv": "d1\tx\n"}
			for _, f := range tt.files {
				if files[f] = q; strings.HasPrefix(f, "qrels") {
					files[f] = j
				}
			}
			dir := folder(t, files)
			options := DefaultOptions()
			options.Split = tt.ask
			c, err := OpenWith(dir, options)
			if err != nil {
				t.Fatal(err)
			}
			path := func(name string) string {
				if name == "" {
					return ""
				}
				return filepath.Join(dir, filepath.FromSlash(name))
			}
			if c.Split != tt.split || c.QueryFile != path(tt.queries) || c.QrelsFile != path(tt.qrels) {
				t.Errorf("split %q, queries %q, qrels %q", c.Split, c.QueryFile, c.QrelsFile)
			}
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	const corpus = "corpus.jsonl"
	for name, tt := range map[string]struct {
		files  map[string]string
		split  string
		target error
		parts  []string
	}{
		"empty folder":     {map[string]string{}, "", ErrLayout, []string{"corpus.jsonl", "collection.tsv", "documents", "an empty folder"}},
		"other files":      {map[string]string{"notes.md": "", "run.trec": ""}, "", ErrLayout, []string{"corpus.jsonl", "notes.md, run.trec"}},
		"no such split":    {map[string]string{corpus: "", "qrels/test.tsv": "", "qrels.x.tsv": ""}, "dev", ErrLayout, []string{`"dev"`, "qrels/dev.tsv", "test x"}},
		"which split":      {map[string]string{corpus: "", "qrels.a.tsv": "", "qrels.b.tsv": ""}, "", ErrLayout, []string{`["a" "b"]`}},
		"which queries":    {map[string]string{corpus: "", "qrels.a.tsv": "", "queries.b.tsv": "", "queries.c.tsv": ""}, "", ErrLayout, []string{`"a"`, `["b" "c"]`}},
		"query twice":      {map[string]string{corpus: "", "queries.jsonl": jsonQueries + `{"_id": "q1", "text": "x"}`}, "", ErrFormat, []string{"queries.jsonl:4", "q1", "line 1"}},
		"query no text":    {map[string]string{corpus: "", "queries.jsonl": `{"_id": "q1"}`}, "", ErrFormat, []string{"queries.jsonl:1", "q1", `"text"`}},
		"query no id":      {map[string]string{corpus: "", "queries.jsonl": `{"text": "x"}`}, "", ErrFormat, []string{"queries.jsonl:1", `"_id"`}},
		"query no object":  {map[string]string{corpus: "", "queries.jsonl": "\n[]"}, "", ErrFormat, []string{"queries.jsonl:2", "JSON object"}},
		"query two":        {map[string]string{corpus: "", "queries.jsonl": `{"_id":"1","text":""}{"_id":"2","text":""}`}, "", ErrFormat, []string{"queries.jsonl:1"}},
		"query id float":   {map[string]string{corpus: "", "queries.jsonl": `{"_id": 1.5, "text": "x"}`}, "", ErrFormat, []string{"1.5", "whole number"}},
		"query no tab":     {map[string]string{corpus: "", "queries.tsv": "q1\tx\nq2 y\n"}, "", ErrFormat, []string{"queries.tsv:2", "tab"}},
		"query empty id":   {map[string]string{corpus: "", "queries.tsv": "\tx\n"}, "", ErrFormat, []string{"queries.tsv:1", "empty"}},
		"query bad id":     {map[string]string{corpus: "", "queries.tsv": "q\xff\tx\n"}, "", ErrFormat, []string{"queries.tsv:1", "UTF-8"}},
		"topic no end":     {map[string]string{corpus: "", "topics": "<top>\n<num> 1\n"}, "", ErrFormat, []string{"topics:3", "line 1", "</top>"}},
		"topic no num":     {map[string]string{corpus: "", "topics": "<top>\n<title> x\n</top>"}, "", ErrFormat, []string{"topics:3", "<num>"}},
		"topic two nums":   {map[string]string{corpus: "", "topics": "<top><num> 1 2 <title> x</top>"}, "", ErrFormat, []string{"topics:1", "<num>"}},
		"topic no title":   {map[string]string{corpus: "", "topics": "<top><num> 1</top>"}, "", ErrFormat, []string{"topics:1", "<title>"}},
		"topic bad id":     {map[string]string{corpus: "", "topics": "<top><num> \xff<title>x</top>"}, "", ErrFormat, []string{"topics:1", "UTF-8"}},
		"judged twice":     {map[string]string{corpus: "", "qrels.tsv": beirQrels + "q1\td1\t0\n"}, "", ErrFormat, []string{"qrels.tsv:5", "q1", "d1"}},
		"qrels columns":    {map[string]string{corpus: "", "qrels.tsv": "q1 d1\n"}, "", ErrFormat, []string{"qrels.tsv:1", "2 columns"}},
		"qrels fewer":      {map[string]string{corpus: "", "qrels.tsv": trecQrels + "q1 d1 1"}, "", ErrFormat, []string{"qrels.tsv:4", "expected 4 columns"}},
		"qrels grade":      {map[string]string{corpus: "", "qrels.tsv": "q1 d1 1.5"}, "", ErrFormat, []string{"qrels.tsv:1", `"1.5"`}},
		"qrels first line": {map[string]string{corpus: "", "qrels.tsv": "q1 d1 l"}, "", ErrFormat, []string{"qrels.tsv:1", `"l"`}},
		"qrels large":      {map[string]string{corpus: "", "qrels.tsv": "q1 d1 2147483648"}, "", ErrFormat, []string{"qrels.tsv:1"}},
		"qrels empty id":   {map[string]string{corpus: "", "qrels.tsv": "q1\t\t1"}, "", ErrFormat, []string{"qrels.tsv:1", "empty"}},
		"qrels joined":     {map[string]string{corpus: "", "qrels.tsv": "q1\td1\t1\n\ufeffq2\td1\t1"}, "", ErrFormat, []string{"qrels.tsv:2", "byte order mark"}},
	} {
		t.Run(name, func(t *testing.T) {
			options := DefaultOptions()
			options.Split = tt.split
			_, err := OpenWith(folder(t, tt.files), options)
			wantError(t, err, tt.target, tt.parts...)
		})
	}

	_, err := Open(filepath.Join(t.TempDir(), "absent"))
	wantError(t, err, fs.ErrNotExist, "absent")
	if _, err := OpenWith(t.TempDir(), Options{}); err == nil || !strings.Contains(err.Error(), "MaxLine") || !strings.Contains(err.Error(), "MaxFile") {
		t.Errorf("options without limits: %v", err)
	}
}

func TestDocumentsRefuse(t *testing.T) {
	for name, tt := range map[string]struct {
		file, content string
		before        int // documents before the error
		parts         []string
	}{
		"json no id":       {"c.jsonl", jsonDocuments + `{"title": "x", "text": "y"}`, 3, []string{"c.jsonl:4", `"_id"`}},
		"json no text":     {"c.jsonl", `{"_id": "1", "body": "y"}`, 0, []string{"c.jsonl:1", `"text"`}},
		"json broken":      {"c.jsonl", jsonDocuments + "\n" + `{"_id": "1", `, 3, []string{"c.jsonl:5", "JSON"}},
		"json bad id":      {"c.jsonl", `{"_id": "` + "\xff" + `", "text": "y"}`, 0, []string{"UTF-8"}},
		"json type":        {"c.jsonl", `{"_id": "1", "text": ["y"]}`, 0, []string{"c.jsonl:1", "text"}},
		"tsv no tab":       {"c.tsv", "1\tx\n2", 1, []string{"c.tsv:2", "tab"}},
		"sgml text before": {"c.sgml", "<DOC><DOCNO>1</DOCNO></DOC>\nhello <DOC>", 1, []string{"c.sgml:2", "hello"}},
		"sgml text after":  {"c.sgml", "<DOC><DOCNO>1</DOCNO></DOC>\nhello", 1, []string{"c.sgml:2", "hello"}},
		"sgml no end":      {"c.sgml", "<DOC><DOCNO>1</DOCNO></DOC>\n\n<DOC>\n<DOCNO>2</DOCNO>", 1, []string{"c.sgml:5", "line 3", "</DOC>"}},
		"sgml no number":   {"c.sgml", "<DOC>\n<TEXT>x</TEXT>\n</DOC>", 0, []string{"c.sgml:3", "<DOCNO>"}},
		"sgml joined":      {"c.sgml", "<DOC><DOCNO>1</DOCNO>\n<DOC><DOCNO>2</DOCNO></DOC>", 0, []string{"c.sgml:2", "found 2"}},
		"sgml two words":   {"c.sgml", "<DOC><DOCNO>1 2</DOCNO></DOC>", 0, []string{"2 words"}},
		"sgml long":        {"c.sgml", "<DOC>\n" + strings.Repeat("words words\n", 50), 0, []string{"c.sgml:", "longer than 200 bytes"}},
		"long line":        {"c.tsv", "1\tx\n2\t" + strings.Repeat("y", 200), 1, []string{"c.tsv:2", "longer than 200 bytes"}},
		"bomb":             {"c.tsv.gz", "1\tx\n" + strings.Repeat("y", 1<<20), 1, []string{"c.tsv.gz:2", "longer than 200 bytes"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := folder(t, map[string]string{tt.file: tt.content})
			c, err := OpenWith(filepath.Join(dir, tt.file), Options{Limits: Limits{MaxLine: 200, MaxFile: 10_000}})
			if err != nil {
				t.Fatal(err)
			}
			docs, err := collect(c.Documents())
			wantError(t, err, ErrFormat, tt.parts...)
			if len(docs) != tt.before {
				t.Errorf("%d documents before the error, want %d", len(docs), tt.before)
			}
		})
	}
}

func TestBrokenGzip(t *testing.T) {
	whole := zipped(t, strings.Repeat("1\tsome text that is compressed\n", 100))
	flipped := bytes.Clone(whole)
	flipped[len(flipped)-5] ^= 1 // in the checksum
	for name, data := range map[string][]byte{"cut": whole[:len(whole)-9], "flipped": flipped, "not": []byte("1\tplain\n"), "empty": nil} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "c.tsv.gz")
			if err := os.WriteFile(path, data, 0o644); err != nil {
				t.Fatal(err)
			}
			c, err := Open(path)
			if err != nil {
				t.Fatal(err)
			}
			_, err = collect(c.Documents())
			wantError(t, err, ErrFormat, "c.tsv.gz:", "gzip")
		})
	}
}

func TestMaxLine(t *testing.T) {
	line := "1\t" + strings.Repeat("x", 198)
	for _, end := range []string{"", "\n"} {
		dir := folder(t, map[string]string{"c.tsv": line + end})
		for limit, ok := range map[int]bool{199 + len(end): false, 200 + len(end): true} {
			c, err := OpenWith(filepath.Join(dir, "c.tsv"), Options{Limits: Limits{MaxLine: limit, MaxFile: 1 << 20}})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := collect(c.Documents()); (err == nil) != ok {
				t.Errorf("200 bytes and end %q with limit %d: %v", end, limit, err)
			}
		}
	}
	// A line far longer than the buffer arrives whole.
	long := strings.Repeat("0123456789", 30_000)
	c, err := Open(filepath.Join(folder(t, map[string]string{"c.tsv.gz": "1\t" + long + "\r\n2\tx"}), "c.tsv.gz"))
	if err != nil {
		t.Fatal(err)
	}
	docs, err := collect(c.Documents())
	if err != nil || len(docs) != 2 || docs[0].Text != long || docs[1].Text != "x" {
		t.Errorf("%d documents, error %v", len(docs), err)
	}
}

// Files of many short lines must not fill the memory either, and a file at its
// limit is whole.
func TestMaxFile(t *testing.T) {
	files := map[string]string{"corpus/a.tsv": strings.Repeat("d\ttext\n", 1000)}
	for i := range 50 {
		files["queries.tsv.gz"] += fmt.Sprintf("%02d\tx\n", i)
		files["qrels.txt.gz"] += fmt.Sprintf("1 0 d%02d 1\n", i)
		files["run.txt.gz"] += fmt.Sprintf("1 Q0 d%02d 1 1 t\n", i)
	}
	dir := folder(t, files)
	for name, read := range map[string]func(Limits) error{
		"queries.tsv.gz": func(l Limits) error {
			_, err := OpenWith(folder(t, map[string]string{
				"corpus/a.tsv": files["corpus/a.tsv"], "queries.tsv.gz": files["queries.tsv.gz"],
			}), Options{Limits: l})
			return err
		},
		"qrels.txt.gz": func(l Limits) error {
			_, err := ReadQrelsFileWith(filepath.Join(dir, "qrels.txt.gz"), l)
			return err
		},
		"run.txt.gz": func(l Limits) error {
			_, err := ReadRunFileWith(filepath.Join(dir, "run.txt.gz"), l)
			return err
		},
	} {
		size := int64(len(files[name]))
		if err := read(Limits{MaxLine: 100, MaxFile: size}); err != nil {
			t.Errorf("%s at its limit: %v", name, err)
		}
		wantError(t, read(Limits{MaxLine: 100, MaxFile: size - 1}), ErrFormat, name+":", "more than "+fmt.Sprint(size-1)+" bytes")
		if err := read(Limits{MaxLine: 100}); err == nil || !strings.Contains(err.Error(), "MaxFile") {
			t.Errorf("%s without a limit: %v", name, err)
		}
	}
	// Documents are streamed, whatever their number.
	c, err := OpenWith(filepath.Join(dir, "corpus", "a.tsv"), Options{Limits: Limits{MaxLine: 100, MaxFile: 10}})
	if err != nil {
		t.Fatal(err)
	}
	if docs, err := collect(c.Documents()); err != nil || len(docs) != 1000 {
		t.Errorf("%d documents, %v", len(docs), err)
	}
}

func TestInvalidUTF8(t *testing.T) {
	dir := folder(t, map[string]string{
		"docs/1.tsv":   "1\tna\xefve\n",
		"docs/2.jsonl": `{"_id": "2", "text": "na` + "\xef" + `ve"}`,
		"docs/3":       "<DOC><DOCNO>3</DOCNO><TITLE>AT&amp;T</TITLE><TEXT>na\xefve</TEXT></DOC>",
	})
	c, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	docs, err := collect(c.Documents())
	if err != nil || len(docs) != 3 {
		t.Fatalf("%d documents, error %v", len(docs), err)
	}
	for _, doc := range docs {
		if doc.Text != "na\ufffdve" {
			t.Errorf("document %s: %q", doc.ID, doc.Text)
		}
	}
	if docs[2].Title != "AT&T" {
		t.Errorf("title %q", docs[2].Title)
	}
}

func TestSharedCollections(t *testing.T) {
	data := collections.Dir(t)
	for _, tt := range []struct {
		name                                  string
		documents, empty, queries, judgements int
	}{
		{"cranfield", 1400, 2, 225, 1837},
		{"npl", 11429, 0, 93, 2083},
		{"cisi", 1460, 0, 76, 3114},
		{"docs30k", 30000, 0, 250, 250},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Open(filepath.Join(data, tt.name))
			if errors.Is(err, fs.ErrNotExist) {
				t.Skip(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			documents, empty := 0, 0
			for doc, err := range c.Documents() {
				if err != nil {
					t.Fatal(err)
				}
				if documents++; doc.Body() == "" {
					empty++
				}
			}
			judged, judgements := len(c.Judged()), c.Qrels.Judgements()
			if documents != tt.documents || empty != tt.empty || judged != tt.queries || judgements != tt.judgements {
				t.Errorf("%d documents, %d empty, %d judged queries, %d judgements, want %+v", documents, empty, judged, judgements, tt)
			}
			if c.Name != tt.name || c.Layout != BEIR || c.Split != "" {
				t.Errorf("name %q, layout %q, split %q", c.Name, c.Layout, c.Split)
			}
		})
	}
}

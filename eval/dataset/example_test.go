package dataset_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/pare-search/pare/eval"
	"github.com/pare-search/pare/eval/dataset"
)

// A folder in BEIR layout; queries and judgements may be missing.
func ExampleOpen() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for name, content := range map[string]string{
		"corpus.jsonl":  `{"_id": "d1", "title": "Wings", "text": "The lift of a thin wing."}` + "\n" + `{"_id": "d2", "text": "The drag of a body."}`,
		"queries.jsonl": `{"_id": "q1", "text": "what lifts a wing"}`,
		"qrels.tsv":     "query-id\tcorpus-id\tscore\nq1\td1\t2\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			log.Fatal(err)
		}
	}

	c, err := dataset.Open(dir)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(c.Layout, len(c.Judged()), "judged queries,", c.Qrels.Judgements(), "judgements")
	for doc, err := range c.Documents() {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s: %s\n", doc.ID, doc.Body())
	}
	// Output:
	// BEIR 1 judged queries, 1 judgements
	// d1: Wings The lift of a thin wing.
	// d2: The drag of a body.
}

// A run and its judgements, as trec_eval takes them.
func ExampleReadRun() {
	run, err := dataset.ReadRun(strings.NewReader("q1 Q0 d2 1 0.9 mine\nq1 Q0 d1 2 0.7 mine\n"))
	if err != nil {
		log.Fatal(err)
	}
	qrels, err := dataset.ReadQrels(strings.NewReader("q1 0 d1 1\n"))
	if err != nil {
		log.Fatal(err)
	}
	measure, err := eval.ParseMeasure("RR@10")
	if err != nil {
		log.Fatal(err)
	}
	mean, _ := eval.Evaluate(qrels, run, []eval.Measure{measure}).Mean(measure)
	fmt.Println(run.Tag, measure, mean)
	// Output: mine RR@10 0.5
}

// Results are ranked by score, then by descending id.
func ExampleWriteRun() {
	run := eval.Run{Tag: "icf-4", Results: map[string][]eval.Result{
		"q1": {{ID: "d1", Score: 7.25}, {ID: "d2", Score: 11}, {ID: "d3", Score: 7.25}},
	}}
	if err := dataset.WriteRun(os.Stdout, run); err != nil {
		log.Fatal(err)
	}
	// Output:
	// q1 Q0 d2 1 11 icf-4
	// q1 Q0 d3 2 7.25 icf-4
	// q1 Q0 d1 3 7.25 icf-4
}

func ExampleWriteQrels() {
	qrels := eval.Qrels{"q1": {"d7": 1, "d2": 0}}
	if err := dataset.WriteQrels(os.Stdout, qrels, dataset.TRECQrels); err != nil {
		log.Fatal(err)
	}
	// Output:
	// q1 0 d2 0
	// q1 0 d7 1
}

// Token vectors that another program has written with NumPy.
func ExampleOpenEmbeddings() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	// Three tokens of two values: two of the first document, one of the second.
	if err := dataset.WriteNPYFloats(filepath.Join(dir, "docs.npy"), dataset.Float16, []float32{1, 0, 0, 1, 0.5, -0.5}, 3, 2); err != nil {
		log.Fatal(err)
	}
	if err := dataset.WriteNPYInts(filepath.Join(dir, "docs_lens.npy"), dataset.Int32, []int64{2, 1}); err != nil {
		log.Fatal(err)
	}

	e, err := dataset.OpenEmbeddings(dir)
	if err != nil {
		log.Fatal(err)
	}
	for doc, err := range e.Documents.All() {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(doc.ID, len(doc.Vectors)/e.Dim, "tokens", doc.Vectors)
	}
	// Output:
	// 0 2 tokens [1 0 0 1]
	// 1 1 tokens [0.5 -0.5]
}

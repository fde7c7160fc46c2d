package corpus

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func randomDocuments(words int) [][]uint32 {
	rng := rand.New(rand.NewPCG(3, 4))
	docs := make([][]uint32, 40)
	for i := range docs {
		for range rng.IntN(30) {
			word := uint32(rng.IntN(words))
			if rng.IntN(10) == 0 {
				word = none
			}
			docs[i] = append(docs[i], word)
		}
	}
	return docs
}

func TestNeighboursAgainstDoubleLoop(t *testing.T) {
	const words, window = 25, 5
	docs := randomDocuments(words)

	var n [words][words]float64
	var total [words]float64
	for _, doc := range docs {
		for i, w := range doc {
			for j, c := range doc {
				if i == j || max(i-j, j-i) > window || w == none || c == none {
					continue
				}
				n[w][c] += 1 / math.Abs(float64(i-j))
				total[w] += 1 / math.Abs(float64(i-j))
			}
		}
	}
	var smoothed, norm float64
	for _, v := range total {
		smoothed += math.Pow(v, 0.75)
	}
	var want [words][words]float64
	for w := range words {
		for c := range words {
			if n[w][c] > 0 {
				joint := n[w][c] / total[w]
				want[w][c] = max(0, math.Log(joint/(math.Pow(total[c], 0.75)/smoothed)))
				norm += want[w][c] * want[w][c]
			}
		}
	}

	b, err := neighbourBlock(t.Context(), slices.All(docs), words, window)
	if err != nil {
		t.Fatal(err)
	}
	var got, transposed [words][words]float64
	for i := range words {
		for _, e := range b.rows[i] {
			got[i][e.column] = b.scale * float64(e.value)
		}
		for _, e := range b.columns[i] {
			transposed[e.column][i] = b.scale * float64(e.value)
		}
	}
	for w := range words {
		for c := range words {
			if math.Abs(got[w][c]-want[w][c]/math.Sqrt(norm)) > 1e-6 {
				t.Errorf("%d near %d: got %v, want %v", c, w, got[w][c], want[w][c]/math.Sqrt(norm))
			}
			if math.Abs(got[w][c]-transposed[w][c]) > 1e-7 {
				t.Errorf("%d near %d: columns have %v, rows %v", c, w, transposed[w][c], got[w][c])
			}
		}
	}
}

func TestDocumentsAgainstPlainLoop(t *testing.T) {
	const words = 25
	docs := randomDocuments(words)
	vocab := vocabulary{texts: uint64(len(docs)), words: make([]string, words), df: make([]uint32, words)}
	for w := range uint32(words) {
		for _, doc := range docs {
			if slices.Contains(doc, w) {
				vocab.df[w]++
			}
		}
	}
	b := documentBlock(slices.All(docs), vocab)
	nonEmpty := 0
	for j, doc := range docs {
		var want [words]float64
		var sum float64
		for w := range uint32(words) {
			tf := 0
			for _, x := range doc {
				if x == w {
					tf++
				}
			}
			if tf > 0 {
				df := float64(vocab.df[w])
				want[w] = (1 + math.Log(float64(tf))) * math.Log(1+(float64(len(docs))-df+0.5)/(df+0.5))
				sum += want[w] * want[w]
			}
		}
		if sum > 0 {
			nonEmpty++
		}
		for _, e := range b.columns[j] {
			if math.Abs(float64(e.value)-want[e.column]/math.Sqrt(sum)) > 1e-6 {
				t.Errorf("document %d, word %d: got %v", j, e.column, e.value)
			}
			want[e.column] = 0
		}
		for w, left := range want {
			if left != 0 {
				t.Errorf("document %d lacks word %d", j, w)
			}
		}
	}
	// Columns of length 1 make the Frobenius norm the root of their number.
	if math.Abs(b.scale-1/math.Sqrt(float64(nonEmpty))) > 1e-6 {
		t.Errorf("scale is %v for %d documents", b.scale, nonEmpty)
	}
}

func TestDictionaryStaysBounded(t *testing.T) {
	d := dictionary{ids: map[string]uint32{}, limit: 100}
	rng := rand.New(rand.NewPCG(5, 6))
	const texts = 5000
	for text := range texts {
		d.count("common", text)
		d.count("common", text) // once per text
		for range 20 {
			d.count(string(rune(0x4e00+rng.IntN(20000))), text)
		}
		if d.full() {
			d.compact()
		}
		if len(d.words) > d.limit || len(d.ids) != len(d.words) {
			t.Fatalf("text %d: %d words, %d ids", text, len(d.words), len(d.ids))
		}
		for word, id := range d.ids {
			if d.words[id] != word {
				t.Fatalf("text %d: %q is %d, which is %q", text, word, id, d.words[id])
			}
		}
	}
	if got := d.df[d.ids["common"]]; got != texts {
		t.Errorf("common word in %d texts, want %d", got, texts)
	}
}

func TestSampleIsUniformAndBounded(t *testing.T) {
	const runs, documents, budget = 400, 50, 10 * minDocumentCost
	var kept [documents]int
	for seed := range uint64(runs) {
		s := newSample(budget, seed)
		for i := range uint32(documents) {
			s.offer([]uint32{i})
			s.offer(nil)
		}
		n := 0
		for _, doc := range s.documents() {
			kept[doc[0]]++
			n++
		}
		if n != 10 {
			t.Fatalf("%d documents in the sample, want 10", n)
		}
	}
	for i, n := range kept { // binomial: mean 80, standard deviation 8
		if n < 40 || n > 120 {
			t.Errorf("document %d was kept %d times of %d, want about %d", i, n, runs, runs/5)
		}
	}
}

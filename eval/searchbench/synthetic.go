package searchbench

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/eval/dataset"
	"github.com/pare-search/pare/eval/precomputed"
	"github.com/pare-search/pare/index"
	"github.com/pare-search/pare/retriever"
	"github.com/pare-search/pare/simd"
)

// synthesizer makes documents of the tokens of real ones. A document takes each
// of its tokens from one of two real documents, which gives it their lengths,
// topics and frequencies of tokens, and moves every vector a little: the longer
// Noise is against the vector, the less documents of the same origin are alike.
//
// Document i is always the same, whatever is made before it.
type synthesizer struct {
	texts  []encoder.Tokens
	dim    int
	noise  float32
	normal []float32 // a supply of normal random numbers
	seed   uint64
}

// normals is how many random numbers the vectors' noise is cut from. Drawing
// them anew for each component would take longer than all the rest.
const normals = 1 << 18

// newSynthesizer reads documents drawn evenly, of at most limit vectors.
func newSynthesizer(e *dataset.Embeddings, limit int, noise float64, seed uint64) (*synthesizer, error) {
	s := &synthesizer{dim: e.Dim, noise: float32(noise / math.Sqrt(float64(e.Dim))), normal: make([]float32, normals+simd.MaxDim), seed: seed}
	random := rand.New(rand.NewPCG(seed, 0))
	for i := range s.normal {
		s.normal[i] = float32(random.NormFloat64())
	}
	share := float64(limit) / float64(max(e.Documents.Tokens, 1))
	rows := 0
	for document, err := range precomputed.Documents(e, nil).All {
		if err != nil {
			return nil, err
		}
		n := document.Tokens.Vectors.Rows
		if n == 0 || random.Float64() >= share {
			continue
		}
		if rows += n; rows > limit {
			break
		}
		s.texts = append(s.texts, document.Tokens)
	}
	if len(s.texts) == 0 {
		return nil, fmt.Errorf("%w: %s: no document has at most %d vectors", ErrInvalid, e.Path, limit)
	}
	return s, nil
}

// length returns the number of vectors of document i, without making it.
func (s *synthesizer) length(i int) int {
	_, first, _ := s.parents(i)
	return first.Vectors.Rows
}

// parents returns the two documents that document i is made of, and the random
// numbers to make it with.
func (s *synthesizer) parents(i int) (random *rand.Rand, first, second encoder.Tokens) {
	random = rand.New(rand.NewPCG(s.seed, uint64(i)+1))
	return random, s.texts[random.IntN(len(s.texts))], s.texts[random.IntN(len(s.texts))]
}

func (s *synthesizer) document(i int) index.Document {
	random, first, second := s.parents(i)
	tokens := encoder.Tokens{Vectors: simd.NewMatrix(first.Vectors.Rows, s.dim)}
	if first.IDs != nil {
		tokens.IDs = make([]uint32, tokens.Vectors.Rows)
	}
	for row := range tokens.Vectors.Rows {
		from, at := first, row
		if random.IntN(2) == 1 {
			from, at = second, random.IntN(second.Vectors.Rows)
		}
		if tokens.IDs != nil {
			tokens.IDs[row] = from.IDs[at]
		}
		s.move(tokens.Vectors.Row(row), from.Vectors.Row(at), random.IntN(normals))
	}
	return index.Document{ID: strconv.Itoa(i), Tokens: tokens}
}

// move writes the vector, moved by noise and of its old length, to dst.
func (s *synthesizer) move(dst, vector []float32, at int) {
	length := math.Sqrt(float64(simd.Dot(vector, vector)))
	scale := s.noise * float32(length)
	for d, x := range vector {
		dst[d] = x + scale*s.normal[at+d]
	}
	now := math.Sqrt(float64(simd.Dot(dst, dst)))
	if now == 0 {
		return
	}
	for d := range dst {
		dst[d] *= float32(length / now)
	}
}

// documents are the first count documents.
func (s *synthesizer) documents(count int) retriever.Embeddings {
	d := retriever.Embeddings{Dim: s.dim, Documents: count}
	for i := range count {
		d.Vectors += s.length(i)
	}
	d.All = func(yield func(index.Document, error) bool) {
		for first := 0; first < count; first += batchDocuments {
			batch := make([]index.Document, min(batchDocuments, count-first))
			s.fill(batch, first)
			for _, document := range batch {
				if !yield(document, nil) {
					return
				}
			}
		}
	}
	return d
}

// fill makes documents on all processors.
func (s *synthesizer) fill(batch []index.Document, first int) {
	var group sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for worker := range workers {
		group.Go(func() {
			for i := worker; i < len(batch); i += workers {
				batch[i] = s.document(first + i)
			}
		})
	}
	group.Wait()
}

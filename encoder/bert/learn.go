package bert

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"unicode/utf8"

	"gonum.org/v1/gonum/mat"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/internal/reservoir"
	"github.com/pare-search/pare/simd"
	"github.com/pare-search/pare/simd/gemm"
)

// The sample that a projection is learnt from.
const (
	sampledTexts   = 8192
	sampledBytes   = 8 << 10 // of a text, more than a document's length of pieces
	sampledVectors = 200_000

	uncutBytes = sampledBytes - utf8.UTFMax // a text of fewer was not cut
)

// heldValues is how many values of hidden states Learn holds for
// LearnOptions.Keep, 128 MiB of them.
const heldValues = 1 << 25

// ProjectionFile is the file beside the weights that holds a projection learnt before, if
// there is one: safetensors with one tensor, "projection", [Dim x hidden size].
const ProjectionFile = "projection.safetensors"

const projectionTensor = "projection"

// readProjection returns the projection in a file, an empty one if there is none.
func readProjection(path string) (simd.Matrix, error) {
	s, err := openSafetensors(path)
	if errors.Is(err, fs.ErrNotExist) {
		return simd.Matrix{}, nil
	}
	if err != nil {
		return simd.Matrix{}, err
	}
	defer s.Close()
	shape, values, err := s.Tensor(projectionTensor)
	if err != nil {
		return simd.Matrix{}, fmt.Errorf("%s: %w", path, err)
	}
	if len(shape) != 2 {
		return simd.Matrix{}, fmt.Errorf("%w: %s: a projection of %d", ErrModel, path, shape)
	}
	return simd.Matrix{Rows: shape[0], Dim: shape[1], Data: values}, nil
}

// LearnOptions say who is told what while a projection is learnt. Both
// functions may be nil and are called by one goroutine at a time.
type LearnOptions struct {
	// Progress is told how many vectors there are of how many.
	Progress func(done, total int)
	// Keep is given texts and their tokens when the projection is known, as
	// EncodeDocuments would return them, so that they need not be encoded
	// again: as many of the texts as were held for it.
	Keep func(text string, tokens encoder.Tokens)
}

// NeedsProjection reports whether the encoder must learn a projection before it
// can encode. Models made for late interaction have their own.
func (e *Encoder) NeedsProjection() bool { return e.projects && e.projection == nil }

// Learn returns an encoder like e with a projection learnt on texts: the
// eigenvectors of the largest eigenvalues of the second moments of the texts'
// token vectors, each divided by the fourth root of its eigenvalue, which
// whitens half way. At most 8,192 texts, drawn evenly, and 200,000 of their
// vectors are used.
//
// The sequence is read once. Errors are those of the sequence, of ctx, or wrap
// ErrModel when there are no vectors.
func (e *Encoder) Learn(ctx context.Context, texts iter.Seq2[string, error], options LearnOptions) (*Encoder, error) {
	if !e.projects {
		return nil, fmt.Errorf("%w: a %s model of %d dimensions takes no projection", ErrModel, e.layout, e.dim)
	}
	random := rand.New(rand.NewPCG(e.options.Seed, 0))
	sample, err := drawTexts(ctx, texts, random)
	if err != nil {
		return nil, err
	}
	moments := newMoments(e.config.Hidden)
	held, err := e.addVectors(ctx, sample, moments, options)
	if err != nil {
		return nil, err
	}
	projection, err := moments.projection(e.dim)
	if err != nil {
		return nil, err
	}
	learnt := e.withProjection(projection)
	for _, h := range held {
		options.Keep(h.text, learnt.finish(&e.document, h.sequence, h.states))
	}
	return learnt, nil
}

// heldText is a text that is held for LearnOptions.Keep.
type heldText struct {
	text     string
	sequence sequence
	states   simd.Matrix // of length 1, of the pieces that get a vector
}

// drawTexts draws texts evenly and puts them in random order.
func drawTexts(ctx context.Context, texts iter.Seq2[string, error], random *rand.Rand) ([]string, error) {
	sample := reservoir.New[string](sampledTexts, random)
	for text, err := range texts {
		if err := cmp.Or(err, ctx.Err()); err != nil {
			return nil, err
		}
		sample.Offer(func() string { return cut(text) })
	}
	drawn := sample.Items
	random.Shuffle(len(drawn), func(i, j int) { drawn[i], drawn[j] = drawn[j], drawn[i] })
	return drawn, nil
}

// cut returns the beginning of a long text, whole characters of it, in memory
// of its own so that the text need not be kept.
func cut(text string) string {
	if len(text) <= sampledBytes {
		return text
	}
	n := sampledBytes
	for n > uncutBytes && !utf8.RuneStart(text[n]) {
		n--
	}
	return strings.Clone(text[:n])
}

// learnBatch is how many texts are encoded together.
const learnBatch = 256

// addVectors encodes texts until there are enough vectors. It returns those that
// are held.
func (e *Encoder) addVectors(ctx context.Context, texts []string, m *moments, options LearnOptions) ([]heldText, error) {
	total, left := 0, sampledVectors
	sequences := e.sequences(&e.document, texts)
	for _, s := range sequences {
		total += s.vectors(&e.document)
	}
	total = min(total, sampledVectors)
	if options.Progress != nil {
		options.Progress(0, total)
	}
	var held []heldText
	room := heldValues
	for first := 0; first < len(texts) && left > 0; first += learnBatch {
		batch := sequences[first:min(first+learnBatch, len(texts))]
		states := make([]simd.Matrix, len(batch))
		err := e.forward(ctx, batch, e.workers, func(i int, hidden simd.Matrix) {
			states[i] = batch[i].kept(&e.document, hidden)
			states[i].Normalize()
		})
		if err != nil {
			return nil, err
		}
		for i, s := range states {
			rows := min(s.Rows, left)
			m.add(s.Slice(0, rows), e.workers)
			left -= rows
			text := texts[first+i]
			if options.Keep != nil && len(s.Data) <= room && len(text) < uncutBytes {
				room -= len(s.Data)
				held = append(held, heldText{text, batch[i], s})
			}
		}
		if options.Progress != nil {
			options.Progress(min(sampledVectors-left, total), total)
		}
	}
	m.flush(e.workers)
	return held, nil
}

// momentRows is how many rows are multiplied in float32 before the products are
// added up in float64.
const momentRows = 256

// moments adds up the outer products of rows with themselves.
type moments struct {
	dim, count int
	sums       []float64 // [dim x dim]
	columns    gemm.Rows // the waiting rows, transposed: [dim x momentRows]
	waiting    int
}

func newMoments(dim int) *moments {
	return &moments{
		dim:     dim,
		sums:    make([]float64, dim*dim),
		columns: gemm.Rows{Data: make([]float32, gemm.TileRows(dim)*momentRows), Count: dim, Stride: momentRows},
	}
}

func (m *moments) add(x simd.Matrix, workers int) {
	for i := range x.Rows {
		for d, v := range x.Row(i) {
			m.columns.Data[d*momentRows+m.waiting] = v
		}
		m.count++
		if m.waiting++; m.waiting == momentRows {
			m.flush(workers)
		}
	}
}

// flush adds the waiting rows' products: their transpose times themselves.
func (m *moments) flush(workers int) {
	if m.waiting == 0 {
		return
	}
	w := gemm.Pack(m.columns.Data[:m.dim*momentRows], m.dim, momentRows, nil)
	var running sync.WaitGroup
	for worker := range workers {
		running.Go(func() {
			out := gemm.Rows{Data: make([]float32, m.dim*gemm.Panel), Count: m.dim, Stride: gemm.Panel}
			for panel := worker; panel < w.Panels(); panel += workers {
				w.Multiply(out, m.columns, panel)
				first := panel * gemm.Panel
				for i := range m.dim {
					sums := m.sums[i*m.dim+first : (i+1)*m.dim]
					for j := range min(len(sums), gemm.Panel) {
						sums[j] += float64(out.Data[i*gemm.Panel+j])
					}
				}
			}
		})
	}
	running.Wait()
	clear(m.columns.Data)
	m.waiting = 0
}

// projection returns [dim x m.dim]: the eigenvectors, largest eigenvalue first,
// divided by the fourth roots of the eigenvalues. The largest component of each
// is positive.
func (m *moments) projection(dim int) (simd.Matrix, error) {
	if m.count == 0 {
		return simd.Matrix{}, fmt.Errorf("%w: there are no vectors to learn a projection from", ErrModel)
	}
	mean := mat.NewSymDense(m.dim, nil)
	for i := range m.dim {
		for j := i; j < m.dim; j++ {
			mean.SetSym(i, j, (m.sums[i*m.dim+j]+m.sums[j*m.dim+i])/2/float64(m.count))
		}
	}
	var eigen mat.EigenSym
	if !eigen.Factorize(mean, true) {
		return simd.Matrix{}, fmt.Errorf("%w: the eigenvectors of the token vectors do not converge", ErrModel)
	}
	values := eigen.Values(nil) // ascending
	var vectors mat.Dense
	eigen.VectorsTo(&vectors)
	p := simd.NewMatrix(dim, m.dim)
	for i := range dim {
		column := m.dim - 1 - i
		// Where there are fewer vectors than dimensions the rest are zero.
		if values[column] <= 1e-12*values[m.dim-1] {
			continue
		}
		scale, largest := math.Pow(values[column], -0.25), 0.0
		for d := range m.dim {
			if v := vectors.At(d, column); math.Abs(v) > math.Abs(largest) {
				largest = v
			}
		}
		if largest < 0 {
			scale = -scale
		}
		for d := range m.dim {
			p.Row(i)[d] = float32(scale * vectors.At(d, column))
		}
	}
	return p, nil
}

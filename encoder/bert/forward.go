package bert

import (
	"context"
	"math"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/pare-search/pare/simd"
	"github.com/pare-search/pare/simd/gemm"
)

// Forward computes the last hidden states of texts, given as token ids, and
// hands them to out: a matrix of [tokens x Hidden] for text i, that is valid
// until out returns. out is called once for every text, in any order, and from
// several goroutines at the same time when there are several workers.
//
// attended gives for each text how many tokens, from the first, all of its
// tokens attend to: the others' states are computed but change nothing else. nil
// is all.
//
// Workers compute groups of texts; where there are fewer groups than workers,
// several compute one group together. A text's states do not depend on the
// other texts or on the number of workers.
//
// Errors wrap ErrTokens, before any text is computed, or are those of ctx,
// after which some texts are missing.
func (m *model) Forward(ctx context.Context, texts [][]uint32, attended []int, workers int, out func(i int, hidden simd.Matrix)) error {
	if err := m.checkTokens(texts, attended); err != nil {
		return err
	}
	workers = max(workers, 1)
	groups := batches(texts, workers)
	if len(groups) == 0 {
		return ctx.Err()
	}
	parts := max(workers/len(groups), 1)
	var next atomic.Int64
	var running sync.WaitGroup
	work := func() {
		for ctx.Err() == nil {
			g := int(next.Add(1)) - 1
			if g >= len(groups) {
				return
			}
			m.compute(ctx, texts, attended, groups[g], parts, out)
		}
	}
	for range min(workers, len(groups)) - 1 {
		running.Go(work)
	}
	work()
	running.Wait()
	return ctx.Err()
}

// batch is one group of texts on its way through the layers. All parts run the
// same steps, each on its share, and wait for each other where a step needs
// what the others have made.
type batch struct {
	*model
	*workspace
	ctx     context.Context
	texts   []text
	parts   int
	barrier barrier
	stopped bool
}

// text is one text of a batch.
type text struct {
	ids      []uint32
	first    int // its row
	attended int
}

// compute runs one group of texts.
func (m *model) compute(ctx context.Context, texts [][]uint32, attended []int, group []int, parts int, out func(int, simd.Matrix)) {
	b := &batch{model: m, ctx: ctx, parts: parts, barrier: barrier{parts: int32(parts)}}
	tokens, longest := 0, 0
	for _, i := range group {
		t := text{texts[i], tokens, len(texts[i])}
		if attended != nil {
			t.attended = attended[i]
		}
		b.texts = append(b.texts, t)
		tokens += len(t.ids)
		longest = max(longest, len(t.ids))
	}
	b.workspace = m.workspace(tokens, longest, parts)
	defer m.pool.Put(b.workspace)
	var running sync.WaitGroup
	for part := 1; part < parts; part++ {
		running.Go(func() { b.run(part) })
	}
	b.run(0)
	running.Wait()
	if b.stopped {
		return
	}
	for j, i := range group {
		out(i, b.hidden(b.texts[j]))
	}
}

// run is the forward pass: embeddings, then in every layer attention and two
// linear layers, each added to its input and normalised.
func (b *batch) run(part int) {
	b.embed(part)
	b.barrier.wait()
	for i := range b.layers {
		l := &b.layers[i]
		if part == 0 {
			b.stopped = b.ctx.Err() != nil
		}
		b.project(part, l)
		b.barrier.wait()
		if b.stopped {
			return
		}
		b.attend(part)
		b.barrier.wait()
		for first := 0; first < b.x.Count; first += blockRows {
			x := b.x.From(first, min(first+blockRows, b.x.Count))
			b.dense(part, l.output, b.sums, b.context.From(first, first+x.Count), nil)
			b.barrier.wait()
			b.normalize(part, x, l.outputNorm)
			b.barrier.wait()
			b.dense(part, l.up, b.inner, x, b.activation)
			b.barrier.wait()
			b.dense(part, l.down, b.sums, b.inner.From(0, x.Count), nil)
			b.barrier.wait()
			b.normalize(part, x, l.downNorm)
			b.barrier.wait()
		}
	}
}

// embed writes the sum of every token's embeddings, normalised.
func (b *batch) embed(part int) {
	hidden := b.cfg.Hidden
	for _, t := range b.texts {
		lo, hi := b.share(part, len(t.ids))
		for i := lo; i < hi; i++ {
			word := b.words[int(t.ids[i])*hidden:][:hidden]
			gemm.AddNorm(b.x.Data[(t.first+i)*b.x.Stride:][:hidden], word, b.positions[i*hidden:][:hidden],
				b.inputNorm.gamma, b.inputNorm.beta, float32(b.cfg.Epsilon))
		}
	}
}

// project makes the queries, keys and values of all tokens.
func (b *batch) project(part int, l *layer) {
	perHead := b.headWidth / gemm.Panel
	perMatrix := b.cfg.Heads * perHead
	lo, hi := b.share(part, l.qkv.panels())
	for first := 0; first < b.x.Count; first += blockRows {
		x := b.x.From(first, min(first+blockRows, b.x.Count))
		in := l.qkv.prepare(x, b.workspace.parts[part].bytes)
		for p := lo; p < hi; p++ {
			var dst gemm.Rows
			matrix, panel := p/perMatrix, p%perMatrix
			head, column := panel/perHead, panel%perHead*gemm.Panel
			switch matrix {
			case 0:
				dst = b.head(b.queries, head).Columns(column)
			case 1:
				dst = b.head(b.keys, head).Columns(column)
			default:
				dst = b.panel(panel)
			}
			l.qkv.multiply(dst.From(first, first+x.Count), in, p)
		}
	}
}

// head returns the queries or keys of a head.
func (b *batch) head(of []float32, head int) gemm.Rows {
	return gemm.Rows{Data: of[head*b.tokens*b.headWidth:], Count: b.tokens, Stride: b.headWidth}
}

// panel returns a panel of the values.
func (b *batch) panel(i int) gemm.Rows {
	return gemm.Rows{Data: b.values[i*b.tokens*gemm.Panel:], Count: b.tokens, Stride: gemm.Panel}
}

// attend makes every token's context: for each head, the mean of the values of
// the text's tokens, weighted by the softmax of its query's products with their
// keys.
func (b *batch) attend(part int) {
	lo, hi := b.share(part, len(b.texts)*b.cfg.Heads)
	for i := lo; i < hi; i++ {
		b.attendHead(b.texts[i/b.cfg.Heads], i%b.cfg.Heads, &b.workspace.parts[part])
	}
}

func (b *batch) attendHead(t text, head int, s *scratch) {
	width := gemm.RoundUp(t.attended)
	keys := b.head(b.keys, head).From(t.first, t.first+t.attended)
	for k := 0; k < width; k += gemm.Panel {
		gemm.Transpose(s.keys[k*b.headWidth:], keys.From(k, t.attended), b.headWidth)
	}
	var zero [gemm.Panel]float32
	scale := float32(1 / math.Sqrt(float64(b.cfg.Hidden/b.cfg.Heads)))
	last := t.first + len(t.ids)
	for first := t.first; first < last; first += attentionRows {
		queries := b.head(b.queries, head).From(first, min(first+attentionRows, last))
		scores := gemm.Rows{Data: s.scores, Count: queries.Count, Stride: width}
		for k := 0; k < width; k += gemm.Panel {
			gemm.Multiply(scores.Columns(k), queries, s.keys[k*b.headWidth:], b.headWidth, &zero)
		}
		gemm.Softmax(scores, t.attended, scale)
		context := b.context.From(first, first+queries.Count)
		for column := head * b.headWidth; column < (head+1)*b.headWidth; column += gemm.Panel {
			values := b.panel(column/gemm.Panel).From(t.first, last)
			gemm.Multiply(context.Columns(column), scores, values.Data, t.attended, &zero)
		}
	}
}

// dense applies a linear layer to a block of rows, and then f to its outputs.
func (b *batch) dense(part int, d dense, dst, rows gemm.Rows, f func(gemm.Rows)) {
	in := d.prepare(rows, b.workspace.parts[part].bytes)
	dst = dst.From(0, rows.Count)
	lo, hi := b.share(part, d.panels())
	for p := lo; p < hi; p++ {
		columns := dst.Columns(p * gemm.Panel)
		d.multiply(columns, in, p)
		if f != nil {
			f(columns)
		}
	}
}

// normalize adds the sums of a block to its rows.
func (b *batch) normalize(part int, x gemm.Rows, n layerNorm) {
	lo, hi := b.share(part, x.Count)
	for i := lo; i < hi; i++ {
		row := x.Data[i*x.Stride:][:b.cfg.Hidden]
		gemm.AddNorm(row, row, b.sums.Data[i*b.sums.Stride:][:b.cfg.Hidden], n.gamma, n.beta, float32(b.cfg.Epsilon))
	}
}

// share returns the part's share of n things.
func (b *batch) share(part, n int) (lo, hi int) {
	return part * n / b.parts, (part + 1) * n / b.parts
}

// hidden returns the rows of a text without what lies between them.
func (b *batch) hidden(t text) simd.Matrix {
	dim, rows := b.cfg.Hidden, len(t.ids)
	m := simd.Matrix{Rows: rows, Dim: dim, Data: b.x.Data[t.first*b.x.Stride:]}
	if b.x.Stride > dim {
		m.Data = b.context.Data
		for i := range rows {
			copy(m.Data[i*dim:], b.x.Data[(t.first+i)*b.x.Stride:][:dim])
		}
	}
	m.Data = m.Data[: rows*dim : rows*dim]
	return m
}

// barrier lets goroutines wait for each other. They wait in a loop: a layer of
// a single query takes a few hundred microseconds in five steps, and putting a
// goroutine to sleep and waking it takes tens.
type barrier struct {
	parts   int32
	arrived atomic.Int32
	passed  atomic.Int32
}

func (b *barrier) wait() {
	if b.parts == 1 {
		return
	}
	turn := b.passed.Load()
	if b.arrived.Add(1) == b.parts {
		b.arrived.Store(0)
		b.passed.Add(1)
		return
	}
	for b.passed.Load() == turn {
		runtime.Gosched()
	}
}

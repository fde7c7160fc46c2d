package bert

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/pare-search/pare/encoder/table"
	"github.com/pare-search/pare/simd/gemm"
)

// ModelOptions says how a model computes.
type ModelOptions struct {
	// Int8 multiplies with weights of 8 bits instead of float32: each output of
	// a layer has a scale, and so has each token's input. Layers take a quarter
	// of the memory. It is 2.5 times as fast with AVX-512, 1.3 times with AVX2
	// and slower in plain Go. With all-MiniLM-L6-v2 the cosine of a token's
	// vector with the one of float32 is 0.998 on average, and nDCG@10 in 128
	// dimensions is 0.522, 0.505 and 0.412 on Cranfield, NPL and CISI, where
	// float32 has 0.520, 0.501 and 0.414.
	Int8 bool
	// Words, if not nil, holds the embeddings of word pieces; the tensor may then
	// be missing.
	Words *table.Table
}

// tensors is where weights come from. Names are those of a plain BertModel.
type tensors interface {
	Tensor(name string) (shape []int, data []float32, err error)
}

// model is a BERT encoder. It is immutable but for a pool of memory, and safe
// for concurrent use.
type model struct {
	cfg        Config
	words      words
	positions  []float32 // [Positions x Hidden], the type embedding of 0 added
	inputNorm  layerNorm
	layers     []layer
	activation func(gemm.Rows)
	headWidth  int // of a head, rounded up to whole panels

	pool sync.Pool // of *batch
}

// layer is one transformer layer.
type layer struct {
	qkv        dense // queries, keys and values of all heads
	output     dense
	outputNorm layerNorm
	up, down   dense
	downNorm   layerNorm
}

// layerNorm is what layer normalisation multiplies with and adds.
type layerNorm struct{ gamma, beta []float32 }

// dense is a linear layer, one of the two.
type dense struct {
	float *gemm.Weights
	bytes *gemm.Int8Weights
}

// newModel reads and packs the weights of a model. Word embeddings are kept as
// they are: the data must not change afterwards. Errors wrap ErrModel for
// tensors that are missing or have another shape than the config says, and
// ErrUnsupported for widths that the kernels do not have.
func newModel(cfg Config, t tensors, opts ModelOptions) (*model, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Hidden%8 != 0 {
		return nil, fmt.Errorf("%w: hidden_size %d is no multiple of 8", ErrUnsupported, cfg.Hidden)
	}
	m := &model{cfg: cfg, headWidth: gemm.RoundUp(cfg.Hidden / cfg.Heads)}
	switch cfg.Activation {
	case "gelu":
		m.activation = gemm.GELU
	case "gelu_new", "gelu_pytorch_tanh":
		m.activation = gemm.GELUTanh
	case "relu":
		m.activation = gemm.ReLU
	default:
		return nil, fmt.Errorf("%w: activation %q", ErrUnsupported, cfg.Activation)
	}
	l := loader{tensors: t, cfg: cfg, int8: opts.Int8}
	if opts.Words == nil {
		m.words.rows = l.read(wordsTensor, cfg.Vocabulary, cfg.Hidden)
	} else if err := cfg.fits(opts.Words); err != nil {
		return nil, err
	}
	m.words.table = opts.Words
	m.positions = l.positions()
	m.inputNorm = l.norm("embeddings.LayerNorm")
	for i := range cfg.Layers {
		if len(l.faults) > 0 {
			break // all layers lack the same
		}
		m.layers = append(m.layers, l.layer(fmt.Sprintf("encoder.layer.%d.", i), m.headWidth))
	}
	if len(l.faults) > 0 {
		return nil, errors.Join(l.faults...)
	}
	return m, nil
}

// loader reads tensors and gathers what is wrong with them.
type loader struct {
	tensors
	cfg    Config
	int8   bool
	faults []error
}

// read returns a tensor's data, zeros if it is not as wanted.
func (l *loader) read(name string, shape ...int) []float32 {
	size := 1
	for _, n := range shape {
		size *= n
	}
	got, data, err := l.Tensor(name)
	switch {
	case err != nil:
		l.faults = append(l.faults, err)
	case !slices.Equal(got, shape) || len(data) != size:
		l.faults = append(l.faults, fmt.Errorf("%w: tensor %q is %d, want %d", ErrModel, name, got, shape))
	default:
		return data
	}
	return nil
}

func (l *loader) positions() []float32 {
	positions := slices.Clone(l.read("embeddings.position_embeddings.weight", l.cfg.Positions, l.cfg.Hidden))
	types := l.read("embeddings.token_type_embeddings.weight", l.cfg.TypeVocabulary, l.cfg.Hidden)
	if len(l.faults) == 0 {
		for i := range positions {
			positions[i] += types[i%l.cfg.Hidden]
		}
	}
	return positions
}

func (l *loader) norm(name string) layerNorm {
	return layerNorm{l.read(name+".weight", l.cfg.Hidden), l.read(name+".bias", l.cfg.Hidden)}
}

func (l *loader) layer(prefix string, headWidth int) layer {
	hidden, inner := l.cfg.Hidden, l.cfg.Intermediate
	var n layer
	n.outputNorm = l.norm(prefix + "attention.output.LayerNorm")
	n.downNorm = l.norm(prefix + "output.LayerNorm")
	n.qkv = l.qkv(prefix+"attention.self.", headWidth)
	n.output = l.output(prefix+"attention.output.dense", headWidth)
	n.up = l.dense(prefix+"intermediate.dense", inner, hidden)
	n.down = l.dense(prefix+"output.dense", hidden, inner)
	return n
}

func (l *loader) dense(name string, columns, inner int) dense {
	w, bias := l.read(name+".weight", columns, inner), l.read(name+".bias", columns)
	return l.pack(w, columns, inner, bias)
}

// qkv joins three linear layers. The outputs of each head get whole panels:
// those beyond its width are zero, and so add nothing to products of queries
// and keys.
func (l *loader) qkv(prefix string, headWidth int) dense {
	hidden := l.cfg.Hidden
	var parts [3]struct{ w, bias []float32 }
	for i, name := range []string{"query", "key", "value"} {
		parts[i].w, parts[i].bias = l.read(prefix+name+".weight", hidden, hidden), l.read(prefix+name+".bias", hidden)
	}
	if len(l.faults) > 0 {
		return dense{} // nor is there memory to be made for sizes that are only claimed
	}
	width := hidden / l.cfg.Heads
	columns := len(parts) * l.cfg.Heads * headWidth
	w, bias := make([]float32, columns*hidden), make([]float32, columns)
	for i, part := range parts {
		for h := range l.cfg.Heads {
			at := (i*l.cfg.Heads + h) * headWidth
			copy(w[at*hidden:], part.w[h*width*hidden:(h+1)*width*hidden])
			copy(bias[at:], part.bias[h*width:(h+1)*width])
		}
	}
	return l.pack(w, columns, hidden, bias)
}

// output is the layer behind attention, whose inputs are as wide as the outputs
// of qkv.
func (l *loader) output(name string, headWidth int) dense {
	hidden := l.cfg.Hidden
	width, inner := hidden/l.cfg.Heads, l.cfg.Heads*headWidth
	from, bias := l.read(name+".weight", hidden, hidden), l.read(name+".bias", hidden)
	if len(l.faults) > 0 || width == headWidth {
		return l.pack(from, hidden, inner, bias)
	}
	w := make([]float32, hidden*inner)
	for row := range hidden {
		for h := range l.cfg.Heads {
			copy(w[row*inner+h*headWidth:], from[row*hidden+h*width:row*hidden+(h+1)*width])
		}
	}
	return l.pack(w, hidden, inner, bias)
}

func (l *loader) pack(w []float32, columns, inner int, bias []float32) dense {
	switch {
	case len(l.faults) > 0:
		return dense{}
	case l.int8:
		return dense{bytes: gemm.PackInt8(w, columns, inner, bias)}
	}
	return dense{float: gemm.Pack(w, columns, inner, bias)}
}

// panels is the number of panels of outputs.
func (d dense) panels() int {
	if d.bytes != nil {
		return d.bytes.Panels()
	}
	return d.float.Panels()
}

// input is what a dense layer multiplies, quantised where it needs that.
type input struct {
	rows  gemm.Rows
	bytes gemm.Bytes
}

// prepare makes rows the input of the layer, with memory that q lends.
func (d dense) prepare(rows gemm.Rows, q gemm.Bytes) input {
	if d.bytes == nil {
		return input{rows: rows}
	}
	q.Stride = d.bytes.Inner()
	q.Quantize(rows)
	return input{rows, q}
}

// multiply writes the outputs of one panel to dst.
func (d dense) multiply(dst gemm.Rows, in input, panel int) {
	if d.bytes != nil {
		d.bytes.Multiply(dst, in.bytes, in.rows.Count, panel)
		return
	}
	d.float.Multiply(dst, in.rows, panel)
}

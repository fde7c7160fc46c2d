package bert

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"

	"github.com/pare-search/pare/simd"
	"github.com/pare-search/pare/simd/gemm"
)

// headConfig is what is read of a Dense module's config.json.
type headConfig struct {
	In         int     `json:"in_features"`
	Out        int     `json:"out_features"`
	Bias       *bool   `json:"bias"`
	Activation *string `json:"activation_function"`
	Residual   bool    `json:"use_residual"`

	weights string // its file; "" is the model's own
}

// headActivations are the classes of Dense modules' activation functions; nil
// changes nothing.
var headActivations = map[string]func(float32) float32{
	"torch.nn.modules.linear.Identity":    nil,
	"torch.nn.modules.activation.Tanh":    func(x float32) float32 { return float32(math.Tanh(float64(x))) },
	"torch.nn.modules.activation.ReLU":    func(x float32) float32 { return max(x, 0) },
	"torch.nn.modules.activation.GELU":    func(x float32) float32 { return x * float32(math.Erfc(-float64(x)/math.Sqrt2)/2) },
	"torch.nn.modules.activation.SiLU":    func(x float32) float32 { return x / float32(1+math.Exp(-float64(x))) },
	"torch.nn.modules.activation.Sigmoid": func(x float32) float32 { return 1 / float32(1+math.Exp(-float64(x))) },
}

// defaultActivation is that of a Dense module whose configuration names none.
const defaultActivation = "torch.nn.modules.activation.Tanh"

// readHeadConfig reads the folder of a Dense module.
func readHeadConfig(dir string) (headConfig, error) {
	path := filepath.Join(dir, "config.json")
	var c headConfig
	if err := readOptional(path, &c); err != nil {
		return c, err
	}
	if c.In < 1 || c.In > maxWidth || c.Out < 1 || c.Out > maxWidth {
		return c, fmt.Errorf("%w: %s: %d to %d features", ErrModel, path, c.In, c.Out)
	}
	if _, known := headActivations[or(c.Activation, defaultActivation)]; !known {
		return c, fmt.Errorf("%w: %s: activation_function is %s", ErrUnsupported, path, *c.Activation)
	}
	var err error
	c.weights, err = findWeights(dir)
	return c, err
}

// head is a linear layer behind the transformer, and what may follow it.
type head struct {
	out        int
	linear     *gemm.Weights
	activation func(float32) float32 // nil for none
	residual   bool                  // the input is added to the output,
	adapted    *gemm.Weights         // through this where the widths differ
}

// loadHead reads the weights of a head for vectors of so many values. The
// model's own file holds Stanford ColBERT's "linear.weight".
func loadHead(c headConfig, own *safetensors, width int) (*head, error) {
	source := own
	if c.weights != "" {
		var err error
		if source, err = openSafetensors(c.weights); err != nil {
			return nil, err
		}
		defer source.Close()
	}
	h, err := readHead(c, source, width)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", source.path, err)
	}
	return h, nil
}

func readHead(c headConfig, source tensors, width int) (*head, error) {
	if c.weights == "" {
		var err error
		if c, err = ownHead(source, width); err != nil {
			return nil, err
		}
	}
	if c.In != width {
		return nil, fmt.Errorf("%w: a Dense module takes %d features and gets %d", ErrModel, c.In, width)
	}
	l := loader{tensors: source}
	linear, bias, adapted := l.read("linear.weight", c.Out, c.In), []float32(nil), []float32(nil)
	if or(c.Bias, true) {
		bias = l.read("linear.bias", c.Out)
	}
	if c.Residual && c.In != c.Out {
		adapted = l.read("residual.weight", c.Out, c.In)
	}
	if len(l.faults) > 0 {
		return nil, errors.Join(l.faults...)
	}
	h := &head{
		out:        c.Out,
		linear:     gemm.Pack(linear, c.Out, c.In, bias),
		activation: headActivations[or(c.Activation, defaultActivation)],
		residual:   c.Residual,
	}
	if adapted != nil {
		h.adapted = gemm.Pack(adapted, c.Out, c.In, nil)
	}
	return h, nil
}

// ownHead is what a config.json would say of a head that has none: it is
// linear, and only the tensor tells its width.
func ownHead(source tensors, width int) (headConfig, error) {
	shape, _, err := source.Tensor("linear.weight")
	if err != nil {
		return headConfig{}, err
	}
	if len(shape) != 2 || shape[0] > maxWidth {
		return headConfig{}, fmt.Errorf("%w: tensor \"linear.weight\" is %d, want [1 to %d %d]", ErrModel, shape, maxWidth, width)
	}
	bias, activation := false, "torch.nn.modules.linear.Identity"
	return headConfig{In: width, Out: shape[0], Bias: &bias, Activation: &activation}, nil
}

// apply returns the head's output for every row.
func (h *head) apply(x simd.Matrix) simd.Matrix {
	y := multiply(x, h.linear, h.out)
	if h.activation != nil {
		for i, v := range y.Data {
			y.Data[i] = h.activation(v)
		}
	}
	if h.residual {
		added := x
		if h.adapted != nil {
			added = multiply(x, h.adapted, h.out)
		}
		for i, v := range added.Data[:len(y.Data)] {
			y.Data[i] += v
		}
	}
	return y
}

// multiply returns x times packed weights of so many columns.
func multiply(x simd.Matrix, w *gemm.Weights, columns int) simd.Matrix {
	in := gemm.Rows{Data: make([]float32, gemm.TileRows(x.Rows)*x.Dim), Count: x.Rows, Stride: x.Dim}
	copy(in.Data, x.Data)
	width := w.Panels() * gemm.Panel
	out := gemm.Rows{Data: make([]float32, x.Rows*width), Count: x.Rows, Stride: width}
	for panel := range w.Panels() {
		w.Multiply(out.Columns(panel*gemm.Panel), in, panel)
	}
	if width == columns {
		return simd.Matrix{Rows: x.Rows, Dim: columns, Data: out.Data}
	}
	y := simd.NewMatrix(x.Rows, columns)
	for i := range x.Rows {
		copy(y.Row(i), out.Data[i*width:])
	}
	return y
}

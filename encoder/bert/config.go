package bert

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/pare-search/pare/simd/gemm"
)

// Config is the shape of a BERT model.
type Config struct {
	Hidden, Layers, Heads, Intermediate   int
	Vocabulary, Positions, TypeVocabulary int
	Epsilon                               float64 // of LayerNorm
	Activation                            string  // one of Activations
}

// Activations lists the activation functions that are supported: "gelu" is the
// exact one, the next two are its approximation by a hyperbolic tangent.
func Activations() []string { return []string{"gelu", "gelu_new", "gelu_pytorch_tanh", "relu"} }

// configJSON is what is read of a config.json. Pointers tell what is missing.
type configJSON struct {
	Architectures         []string `json:"architectures"`
	ModelType             string   `json:"model_type"`
	HiddenSize            int      `json:"hidden_size"`
	NumHiddenLayers       int      `json:"num_hidden_layers"`
	NumAttentionHeads     int      `json:"num_attention_heads"`
	IntermediateSize      int      `json:"intermediate_size"`
	VocabSize             int      `json:"vocab_size"`
	MaxPositionEmbeddings int      `json:"max_position_embeddings"`
	TypeVocabSize         *int     `json:"type_vocab_size"`
	LayerNormEps          *float64 `json:"layer_norm_eps"`
	HiddenAct             *string  `json:"hidden_act"`
	PositionEmbeddingType *string  `json:"position_embedding_type"`
	IsDecoder             bool     `json:"is_decoder"`
}

// Limits of a Config, so that no product of two of them overflows.
const (
	maxWidth  = 1 << 16
	maxLayers = 1 << 10

	// minHeadWidth bounds what is lost to rounding a head up to whole panels:
	// it takes at most four times the memory.
	minHeadWidth = gemm.Panel / 4
)

// loadConfig reads the config.json in a folder.
func loadConfig(dir string) (Config, error) {
	path := filepath.Join(dir, "config.json")
	data, err := readSmallFile(path, maxJSONBytes)
	if err != nil {
		return Config{}, err
	}
	c, err := parseConfig(data)
	if err != nil {
		return Config{}, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// parseConfig reads the bytes of a config.json. Errors wrap ErrModel, or
// ErrUnsupported with the field for models that are not BERT.
func parseConfig(data []byte) (Config, error) {
	var file configJSON
	if err := json.Unmarshal(data, &file); err != nil {
		return Config{}, fmt.Errorf("%w: config: %w", ErrModel, err)
	}
	c := Config{
		Hidden: file.HiddenSize, Layers: file.NumHiddenLayers, Heads: file.NumAttentionHeads, Intermediate: file.IntermediateSize,
		Vocabulary: file.VocabSize, Positions: file.MaxPositionEmbeddings, TypeVocabulary: 2,
		Epsilon: 1e-12, Activation: "gelu", // transformers' defaults
	}
	if file.TypeVocabSize != nil {
		c.TypeVocabulary = *file.TypeVocabSize
	}
	if file.LayerNormEps != nil {
		c.Epsilon = *file.LayerNormEps
	}
	if file.HiddenAct != nil {
		c.Activation = *file.HiddenAct
	}
	if err := file.supported(c); err != nil {
		return Config{}, err
	}
	return c, c.Validate()
}

// supported refuses what is no BERT encoder.
func (f *configJSON) supported(c Config) error {
	var faults []error
	refuse := func(field string, got, want any) {
		faults = append(faults, fmt.Errorf("%w: config: %s is %v, want %v", ErrUnsupported, field, got, want))
	}
	if f.ModelType != "bert" {
		refuse("model_type", fmt.Sprintf("%q (architectures %q)", f.ModelType, f.Architectures), `"bert"`)
		return errors.Join(faults...)
	}
	if f.PositionEmbeddingType != nil && *f.PositionEmbeddingType != "absolute" {
		refuse("position_embedding_type", *f.PositionEmbeddingType, "absolute")
	}
	if f.IsDecoder {
		refuse("is_decoder", true, false)
	}
	if !slices.Contains(Activations(), c.Activation) {
		refuse("hidden_act", c.Activation, fmt.Sprintf("one of %q", Activations()))
	}
	return errors.Join(faults...)
}

// Validate reports every size that makes no sense, with ErrModel, and heads that
// are too narrow, with ErrUnsupported.
func (c Config) Validate() error {
	var faults []error
	within := func(field string, value, limit int) {
		if value < 1 || value > limit {
			faults = append(faults, fmt.Errorf("%w: config: %s is %d, want 1 to %d", ErrModel, field, value, limit))
		}
	}
	within("hidden_size", c.Hidden, maxWidth)
	within("num_hidden_layers", c.Layers, maxLayers)
	within("num_attention_heads", c.Heads, maxWidth)
	within("intermediate_size", c.Intermediate, maxWidth)
	within("vocab_size", c.Vocabulary, maxVocabulary)
	within("max_position_embeddings", c.Positions, maxWidth)
	within("type_vocab_size", c.TypeVocabulary, maxWidth)
	if c.Heads > 0 && c.Hidden%c.Heads != 0 {
		faults = append(faults, fmt.Errorf("%w: config: %d heads do not divide hidden_size %d", ErrModel, c.Heads, c.Hidden))
	}
	if c.Heads > 0 && c.Hidden/c.Heads < minHeadWidth {
		faults = append(faults, fmt.Errorf("%w: config: %d heads of %d values, want %d or more", ErrUnsupported, c.Heads, c.Hidden/c.Heads, minHeadWidth))
	}
	if !(c.Epsilon >= 0 && c.Epsilon < 1) {
		faults = append(faults, fmt.Errorf("%w: config: layer_norm_eps is %v", ErrModel, c.Epsilon))
	}
	return errors.Join(faults...)
}

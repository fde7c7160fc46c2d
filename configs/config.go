package configs

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pare-search/pare/encoder/corpus"
	"github.com/pare-search/pare/encoder/remote"
	"github.com/pare-search/pare/encoder/table"
	"github.com/pare-search/pare/eval"
	"github.com/pare-search/pare/index"
	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/index/docpruner"
	"github.com/pare-search/pare/querypruner"
)

// Config holds every setting of Pare. A key is the path of mapstructure names,
// such as "search.k"; the doc tags are what users read.
type Config struct {
	Encoder Encoder `mapstructure:"encoder" doc:"How texts become token vectors."`
	Service Service `mapstructure:"service" doc:"The service that encodes, if the encoder is its address. Its key comes from the environment: PARE_API_KEY."`
	Codec   Codec   `mapstructure:"codec" doc:"How token vectors become bytes."`
	Index   Index   `mapstructure:"index" doc:"What the index stores."`
	Search  Search  `mapstructure:"search" doc:"How a query finds documents."`
	Eval    Eval    `mapstructure:"eval" doc:"How settings are compared."`
}

// Corpus is the value of encoder.kind that is no folder: the encoder that is
// trained on the collection itself.
const Corpus = "corpus"

// Encoder is the section encoder of Config.
type Encoder struct {
	Kind      string `mapstructure:"kind" doc:"encoder: corpus (trained on the collection itself), the folder of a BERT model, or the address of a service"`
	Language  string `mapstructure:"language" doc:"language of stems and stop words; empty for neither"`
	Dim       int    `mapstructure:"dim" doc:"dimensions of a token vector: a multiple of 8, at most 1024; most services have a width of their own"`
	SplitCode bool   `mapstructure:"split_code" doc:"split camelCase and snake_case identifiers into words"`
	Seed      uint64 `mapstructure:"seed" doc:"seed of the training"`
	Attention int    `mapstructure:"attention" doc:"0 mixes a word's vector with those of its neighbours, a power from 1 to 16 with those of all words of the text by their likeness"`

	QueryLength    int  `mapstructure:"query_length" doc:"word pieces at which a model cuts a query; 0 for the model's own"`
	DocumentLength int  `mapstructure:"document_length" doc:"word pieces at which a model cuts a document; 0 for the model's own"`
	Quantize       bool `mapstructure:"quantize" doc:"compute a model with weights of 8 bits: faster, a little less exact"`

	Table string `mapstructure:"table" doc:"compress the encoder's embedding matrix when an index is built: a method and a factor, as opq:16x; empty for no"`
}

// Service is the section service of Config.
type Service struct {
	Format         string `mapstructure:"format" doc:"what the service speaks: next-plaid, jina, vllm or pylate"`
	Model          string `mapstructure:"model" doc:"model that the service is asked for; next-plaid has one only"`
	QueryPrefix    string `mapstructure:"query_prefix" doc:"put before every query, for vllm"`
	DocumentPrefix string `mapstructure:"document_prefix" doc:"put before every document, for vllm"`
}

// Codec is the section codec of Config.
type Codec struct {
	Kind   string `mapstructure:"kind" doc:"stored form of a vector: float32, int8, residual4, residual2, residual1 or banded"`
	Refine bool   `mapstructure:"refine" doc:"store 8 more bits per dimension, by which the best documents are scored again"`

	CodeBytes float64 `mapstructure:"code_bytes" doc:"mean bytes of a vector's codes with kind banded, which gives them to the words where they help most"`

	VectorsPerCell  int    `mapstructure:"vectors_per_cell" doc:"mean number of vectors in a cell, which sets the number of cells"`
	Cells           int    `mapstructure:"cells" doc:"number of cells; 0 derives it from vectors_per_cell"`
	TrainingVectors int    `mapstructure:"training_vectors" doc:"vectors that the codec is trained on; a cell wants some 40 of them, so that more make more cells of a large collection, and take more memory"`
	Seed            uint64 `mapstructure:"seed" doc:"seed of the sample and the k-means that place the cells"`
}

// Index is the section index of Config.
type Index struct {
	Prune     string `mapstructure:"prune" doc:"which vectors of a document are stored, such as ward:2, voronoi:50%, idf:100 or voronoi:67%+ward:2; none prunes none"`
	StoreText bool   `mapstructure:"store_text" doc:"keep the texts, compressed, for snippets and highlights"`
	SegmentMB int    `mapstructure:"segment_mb" doc:"size in MB at which a segment is written and a new one begun"`
	Merge     bool   `mapstructure:"merge" doc:"merge segments in the background when the index is changed"`
	Retrain   bool   `mapstructure:"retrain" doc:"place the cells anew, and code all vectors again, when the vectors have doubled or drifted"`
}

// Search is the section search of Config.
type Search struct {
	K     int    `mapstructure:"k" doc:"number of documents returned"`
	Prune string `mapstructure:"prune" doc:"which query tokens look for candidates: strategy:number, or all"`
	Plan  string `mapstructure:"plan" doc:"how candidates are found: auto, exhaustive (score every document), interaction (rank every document by its cells) or probe (look into cells)"`

	Budget      int     `mapstructure:"budget" doc:"document tokens that all probing query tokens look at together, spent where they promise most"`
	MarginShare float64 `mapstructure:"margin_share" doc:"with a budget: how much a cell must stand out among a token's cells, 0 to 1"`
	RarityPower float64 `mapstructure:"rarity_power" doc:"with a budget: exponent of a cell's rarity, 0 for none"`
	RankPower   float64 `mapstructure:"rank_power" doc:"with a budget: exponent of a cell's rank among a token's cells, by which its worth is divided, 0 for none"`
	Neighbors   int     `mapstructure:"neighbors" doc:"document tokens that each probing query token looks at (k' of the literature), in place of the budget; 0 for the budget"`

	Cells int     `mapstructure:"cells" doc:"cells that a query token looks into at most; 0 for no limit"`
	Peak  float64 `mapstructure:"peak" doc:"share by which a token's nearest cell must be closer than its 64th nearest, or the token does not look, 0 to 1"`

	Depth     int     `mapstructure:"depth" doc:"candidates that are scored, the best by the cells of their tokens; 0 chooses 256 or 4 k"`
	Reveal    string  `mapstructure:"reveal" doc:"how much of the candidates' scores is computed: all, bounded (less where bounds allow it, same results) or estimated (less where more would probably not matter)"`
	FirstRows int     `mapstructure:"first_rows" doc:"with bounded or estimated: query tokens that are compared first; 0 for a third"`
	Alpha     float64 `mapstructure:"alpha" doc:"with estimated: standard deviations that a candidate may fall short by"`

	Refine int `mapstructure:"refine" doc:"best documents that are scored again by their refinements, where the index has them; 0 for none"`

	Workers int `mapstructure:"workers" doc:"goroutines that rank and score the candidates of one search; 0 is one, best where many queries run at once"`
}

// Eval is the section eval of Config.
type Eval struct {
	Measures []string `mapstructure:"measures" doc:"measures, named as ir_measures names them"`
	Prune    []string `mapstructure:"prune" doc:"query prunings that are compared with the unpruned query"`
	Margin   float64  `mapstructure:"margin" doc:"loss regarded as none, as a share of the unpruned score"`
	Seed     uint64   `mapstructure:"seed" doc:"seed of the bootstrap"`
	Workers  int      `mapstructure:"workers" doc:"queries run at once; 0 is one per CPU"`
	FileMB   int      `mapstructure:"file_mb" doc:"largest file of queries, judgements or results that is read, in MB after decompression"`
}

// Default returns the settings used where nothing else is said.
func Default() Config {
	return Config{
		Encoder: Encoder{Kind: Corpus, Language: "english", Dim: 128, SplitCode: true, Seed: 1},
		Service: Service{Format: string(remote.NextPlaid)},
		Codec:   Codec{Kind: "residual2", CodeBytes: 9, VectorsPerCell: 128, TrainingVectors: 1 << 18, Seed: 1},
		Index:   Index{Prune: "none", StoreText: true, SegmentMB: 64, Merge: true, Retrain: true},
		Search:  Search{K: 10, Prune: "all", Plan: "auto", Budget: 4000, MarginShare: 0.5, RarityPower: 1, RankPower: 0.5, Reveal: "all", Alpha: 3, Refine: 32},
		Eval: Eval{
			Measures: []string{"RR@10", "nDCG@10", "R@100"},
			Prune:    []string{"all", "icf:2", "icf:4", "first:4", "random:4"},
			Margin:   0.02,
			Seed:     1,
			FileMB:   2048,
		},
	}
}

// Validate reports every setting that no package could work with, each as an
// *Error that wraps ErrValue, joined into one error.
func (c Config) Validate() error {
	var faults []error
	check := func(ok bool, key, format string, args ...any) {
		if !ok {
			problem := fmt.Sprintf(format, args...)
			faults = append(faults, &Error{Key: key, Err: fmt.Errorf("%w: %s", ErrValue, problem)})
		}
	}
	oneOf := func(key, value string, allowed ...string) {
		check(slices.Contains(allowed, value), key, "want %s, got %q", strings.Join(allowed, ", "), value)
	}
	atLeast := func(key string, value, least int) {
		check(value >= least, key, "want at least %d, got %d", least, value)
	}
	between := func(key string, value, least, most int) {
		check(value >= least && value <= most, key, "want %d to %d, got %d", least, most, value)
	}
	parsed := func(key string, err error) {
		if err != nil {
			faults = append(faults, &Error{Key: key, Err: fmt.Errorf("%w: %w", ErrValue, err)})
		}
	}
	pruners := func(key string, specs ...string) {
		for _, spec := range specs {
			_, err := querypruner.Parse(spec)
			parsed(key, err)
		}
	}

	check(c.Encoder.Kind != "", "encoder.kind", "want %s, the folder of a model or the address of a service", Corpus)
	if c.Encoder.Language != "" {
		oneOf("encoder.language", c.Encoder.Language, corpus.Languages()...)
	}
	check(c.Encoder.Dim >= 8 && c.Encoder.Dim <= 1024 && c.Encoder.Dim%8 == 0,
		"encoder.dim", "want a multiple of 8 from 8 to 1024, got %d", c.Encoder.Dim)
	between("encoder.attention", c.Encoder.Attention, 0, 16)
	oneOf("service.format", c.Service.Format, serviceFormats()...)
	atLeast("encoder.query_length", c.Encoder.QueryLength, 0)
	atLeast("encoder.document_length", c.Encoder.DocumentLength, 0)
	if c.Encoder.Table != "" {
		_, err := table.ParseSpec(c.Encoder.Table)
		parsed("encoder.table", err)
	}
	oneOf("codec.kind", c.Codec.Kind, codecKinds()...)
	atLeast("codec.vectors_per_cell", c.Codec.VectorsPerCell, 1)
	check(c.Codec.CodeBytes >= 0 && c.Codec.CodeBytes <= 1024, "codec.code_bytes", "want 0 to 1024, got %v", c.Codec.CodeBytes)
	atLeast("codec.training_vectors", c.Codec.TrainingVectors, 1)
	between("codec.cells", c.Codec.Cells, 0, codec.MaxCells)
	_, err := docpruner.Parse(c.Index.Prune)
	parsed("index.prune", err)
	between("index.segment_mb", c.Index.SegmentMB, 1, 2047)
	atLeast("search.k", c.Search.K, 1)
	pruners("search.prune", c.Search.Prune)
	oneOf("search.plan", c.Search.Plan, index.Auto.String(), index.Exhaustive.String(), index.Interaction.String(), index.Probe.String())
	atLeast("search.budget", c.Search.Budget, 1)
	atLeast("search.neighbors", c.Search.Neighbors, 0)
	atLeast("search.depth", c.Search.Depth, 0)
	oneOf("search.reveal", c.Search.Reveal, index.RevealAll.String(), index.RevealBounded.String(), index.RevealEstimated.String())
	atLeast("search.first_rows", c.Search.FirstRows, 0)
	check(c.Search.Alpha >= 0, "search.alpha", "want at least 0, got %v", c.Search.Alpha)
	atLeast("search.refine", c.Search.Refine, 0)
	atLeast("search.workers", c.Search.Workers, 0)
	check(c.Search.MarginShare >= 0 && c.Search.MarginShare <= 1, "search.margin_share", "want a share from 0 to 1, got %v", c.Search.MarginShare)
	check(c.Search.RarityPower >= 0 && c.Search.RarityPower <= 8, "search.rarity_power", "want 0 to 8, got %v", c.Search.RarityPower)
	check(c.Search.RankPower >= 0 && c.Search.RankPower <= 8, "search.rank_power", "want 0 to 8, got %v", c.Search.RankPower)
	atLeast("search.cells", c.Search.Cells, 0)
	check(c.Search.Peak >= 0 && c.Search.Peak <= 1, "search.peak", "want a share from 0 to 1, got %v", c.Search.Peak)
	check(len(c.Eval.Measures) > 0, "eval.measures", "want at least one")
	for _, name := range c.Eval.Measures {
		_, err := eval.ParseMeasure(name)
		parsed("eval.measures", err)
	}
	check(len(c.Eval.Prune) > 0, "eval.prune", "want at least one")
	pruners("eval.prune", c.Eval.Prune...)
	check(c.Eval.Margin > 0 && c.Eval.Margin < 1, "eval.margin", "want a share between 0 and 1, got %v", c.Eval.Margin)
	atLeast("eval.workers", c.Eval.Workers, 0)
	between("eval.file_mb", c.Eval.FileMB, 1, 1<<30)
	return errors.Join(faults...)
}

// serviceFormats returns the names that service.format may have.
func serviceFormats() []string {
	var names []string
	for _, format := range remote.Formats() {
		names = append(names, string(format))
	}
	return names
}

// codecKinds returns the names that codec.kind may have.
func codecKinds() []string {
	names := make([]string, len(codec.Kinds))
	for i, kind := range codec.Kinds {
		names[i] = kind.String()
	}
	return names
}

package configs

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/pare-search/pare/encoder/bert"
	"github.com/pare-search/pare/encoder/corpus"
	"github.com/pare-search/pare/encoder/remote"
	"github.com/pare-search/pare/eval/dataset"
	"github.com/pare-search/pare/eval/sweep"
	"github.com/pare-search/pare/index"
	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/index/docpruner"
	"github.com/pare-search/pare/querypruner"
	"github.com/pare-search/pare/retriever"
)

// With returns c with the assignments of a setting, valid. The errors are those
// of Load.
func (c Config) With(setting sweep.Setting) (Config, error) {
	var faults []error
	for _, a := range setting {
		k, err := lookup(a.Key)
		var value any
		if err == nil {
			value, err = fromText(k, a.Value)
		}
		if err != nil {
			faults = append(faults, withOrigin(err, a.Key, ""))
			continue
		}
		reflect.ValueOf(&c).Elem().FieldByIndex(k.field).Set(reflect.ValueOf(value))
	}
	if err := errors.Join(faults...); err != nil {
		return c, err
	}
	return c, c.Validate()
}

// Reduce returns the assignments of a setting by which it differs from c, in the
// form in which all that mean the same are equal. The errors are those of With.
func (c Config) Reduce(setting sweep.Setting) (sweep.Setting, error) {
	changed, err := c.With(setting)
	if err != nil {
		return nil, err
	}
	var reduced sweep.Setting
	for _, k := range Keys() {
		value := k.Value(changed)
		if reflect.DeepEqual(value, k.Value(c)) {
			continue
		}
		text := fmt.Sprint(value)
		if list, ok := value.([]string); ok {
			text = strings.Join(list, ",")
		}
		reduced = reduced.With(k.Name, text)
	}
	return reduced, nil
}

// Options returns the options to build an index and to search it with, as
// sweep.Bench asks for them.
func (c Config) Options(setting sweep.Setting) (retriever.BuildOptions, retriever.Options, error) {
	c, err := c.With(setting)
	if err != nil {
		return retriever.BuildOptions{}, retriever.Options{}, err
	}
	build, err := c.BuildOptions()
	if err != nil {
		return build, retriever.Options{}, err
	}
	search, err := c.SearchOptions()
	return build, search, err
}

// CorpusOptions returns the options to train the default encoder with.
func (c Config) CorpusOptions() corpus.Options {
	options := corpus.DefaultOptions()
	options.Dim = c.Encoder.Dim
	options.Language = c.Encoder.Language
	options.SplitCode = c.Encoder.SplitCode
	options.Seed = c.Encoder.Seed
	options.Attention = c.Encoder.Attention
	return options
}

// Model returns the folder of the model that encodes, "" for the default
// encoder and for services, and how it is used.
func (c Config) Model() (dir string, options bert.Options) {
	options = bert.DefaultOptions()
	options.Dim = c.Encoder.Dim
	options.QueryLength = c.Encoder.QueryLength
	options.DocumentLength = c.Encoder.DocumentLength
	options.Int8 = c.Encoder.Quantize
	options.Seed = c.Encoder.Seed
	if _, isService := c.RemoteService(); c.Encoder.Kind != Corpus && !isService {
		dir = c.Encoder.Kind
	}
	return dir, options
}

// RemoteService returns the service that encodes; found is false when none does.
// Its width is 0, to be asked for, unless it can be chosen.
func (c Config) RemoteService() (service remote.Service, found bool) {
	if !strings.HasPrefix(c.Encoder.Kind, "http://") && !strings.HasPrefix(c.Encoder.Kind, "https://") {
		return service, false
	}
	service = remote.Service{
		Format:         remote.Format(c.Service.Format),
		URL:            c.Encoder.Kind,
		Model:          c.Service.Model,
		QueryPrefix:    c.Service.QueryPrefix,
		DocumentPrefix: c.Service.DocumentPrefix,
	}
	if service.Format == remote.Jina {
		service.Dim = c.Encoder.Dim
	}
	return service, true
}

// Limits returns the limits of the files that are read for an evaluation.
func (c Config) Limits() dataset.Limits {
	limits := dataset.DefaultLimits()
	limits.MaxFile = int64(c.Eval.FileMB) << 20
	return limits
}

// BuildOptions returns the options to build an index with, all but a model's
// encoder, which the caller opens. A Config that came from Load has no error here.
func (c Config) BuildOptions() (retriever.BuildOptions, error) {
	kind, err := codec.ParseKind(c.Codec.Kind)
	if err != nil {
		return retriever.BuildOptions{}, err
	}
	options := retriever.DefaultBuildOptions()
	if options.Pruner, err = docpruner.Parse(c.Index.Prune); err != nil {
		return retriever.BuildOptions{}, err
	}
	options.Corpus = c.CorpusOptions()
	options.Seed = c.Codec.Seed
	options.Index.Dim = c.Encoder.Dim
	options.Index.StoreText = c.Index.StoreText
	options.Index.SegmentBytes = c.Index.SegmentMB << 20
	options.Index.Merge.Manual = !c.Index.Merge
	if !c.Index.Retrain {
		options.Index.Merge.Growth, options.Index.Merge.Drift = 0, 0
	}
	options.Index.Refine = c.Codec.Refine
	options.Index.Codec.Kind = kind
	options.Index.Codec.CodeBytes = c.Codec.CodeBytes
	options.Index.Codec.Cells = c.Codec.Cells
	options.Index.Codec.VectorsPerCell = c.Codec.VectorsPerCell
	options.Index.TrainingVectors = c.Codec.TrainingVectors
	options.Index.Codec.Seed = c.Codec.Seed
	return options, options.Validate()
}

// SearchOptions returns the options to search with. A Config that came from
// Load has no error here.
func (c Config) SearchOptions() (retriever.Options, error) {
	pruner, err := querypruner.Parse(c.Search.Prune)
	if err != nil {
		return retriever.Options{}, err
	}
	plan, err := index.ParsePlan(c.Search.Plan)
	if err != nil {
		return retriever.Options{}, err
	}
	reveal, err := index.ParseReveal(c.Search.Reveal)
	if err != nil {
		return retriever.Options{}, err
	}
	options := retriever.DefaultOptions()
	options.Pruner = pruner
	options.Search.K = c.Search.K
	options.Search.Plan = plan
	options.Search.Neighbors = c.Search.Neighbors
	options.Search.Budget = c.Search.Budget
	options.Search.MarginShare = c.Search.MarginShare
	options.Search.RarityPower = c.Search.RarityPower
	options.Search.RankPower = c.Search.RankPower
	options.Search.Cells = c.Search.Cells
	options.Search.Peak = c.Search.Peak
	options.Search.Reveal = reveal
	options.Search.FirstRows = c.Search.FirstRows
	options.Search.Alpha = c.Search.Alpha
	options.Search.Depth = c.Search.Depth
	options.Search.Refine = c.Search.Refine
	options.Search.Workers = c.Search.Workers
	return options, options.Validate()
}

package sweep

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/eval"
	"github.com/pare-search/pare/retriever"
)

// ErrSetting reports a setting that cannot be measured.
var ErrSetting = errors.New("sweep: bad setting")

// Bench measures settings on the queries of one collection. Sweeps over grids
// and tuners both stand on it: what "a setting" is and what it costs and finds
// is said here and nowhere else. A Bench is used by one goroutine at a time.
type Bench struct {
	// Queries are asked, judged or not.
	Queries []Query
	// Options turns a setting into options, as Config.Options of package configs
	// does.
	Options func(Setting) (retriever.BuildOptions, retriever.Options, error)
	// Build makes the index of the collection in a folder that does not exist and
	// opens it for searching. It is nil where Index is given.
	Build func(ctx context.Context, dir string, options retriever.BuildOptions) (*retriever.Retriever, error)
	// Index, if not nil, is searched whatever the setting; settings that shape
	// the index are refused.
	Index *retriever.Retriever
	// Dir is where indexes are built, each in a folder of its own; "" is the folder
	// for temporary files. An index is removed as soon as its settings have been
	// measured, unless Keep is set: then it serves again, until Close.
	Dir  string
	Keep bool

	kept map[string]keptIndex // by the assignments that shape it
}

// keptIndex is an index that was built, and what closes and removes it.
type keptIndex struct {
	retriever *retriever.Retriever
	remove    func() error
}

// Close closes and removes the indexes that were kept.
func (b *Bench) Close() error {
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(b.kept)) {
		faults = append(faults, b.kept[name].remove())
	}
	b.kept = nil
	return errors.Join(faults...)
}

// Measured is what a setting found and what it cost.
type Measured struct {
	Setting Setting
	Answers []Answer // in the order of the queries; their times exclude encoding
	Index   IndexSize
	// Fingerprint and Documents are those of the index.
	Fingerprint string
	Documents   int
}

// Measure asks all queries of all settings and hands on what each of them found
// and cost, settings that share an index together, the indexes in the order in
// which the settings first name them. A depth of 0 leaves the number of results
// to the setting. Queries are encoded once per index. Measure stops at the first
// error, that of done included.
func (b *Bench) Measure(ctx context.Context, settings []Setting, options AskOptions, done func(Measured) error) error {
	return b.MeasureQueries(ctx, settings, b.Queries, options, done)
}

// MeasureQueries is Measure for other queries than those of the bench.
func (b *Bench) MeasureQueries(ctx context.Context, settings []Setting, queries []Query, options AskOptions, done func(Measured) error) error {
	var names []string
	groups := make(map[string][]Setting)
	for _, s := range settings {
		name := s.Index().String()
		if groups[name] == nil {
			names = append(names, name)
		}
		groups[name] = append(groups[name], s)
	}
	for _, name := range names {
		if err := b.group(ctx, groups[name], queries, options, done); err != nil {
			return err
		}
	}
	return nil
}

// group measures settings that share an index.
func (b *Bench) group(ctx context.Context, settings []Setting, queries []Query, options AskOptions, done func(Measured) error) (err error) {
	systems := make([]System, len(settings))
	r, closeIndex, err := b.open(ctx, settings[0])
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeIndex()) }()
	encoded, err := encode(ctx, r, queries)
	if err != nil {
		return err
	}
	for i, s := range settings {
		_, search, err := b.Options(s)
		if err != nil {
			return fmt.Errorf("%w: %s: %w", ErrSetting, s, err)
		}
		systems[i] = preEncoded(s.String(), r, encoded, search)
	}
	info, err := r.Snapshot().Inspect()
	if err != nil {
		return err
	}
	size := IndexSize{Bytes: info.Bytes, BytesPerToken: info.BytesPerToken, Vectors: info.Vectors}
	answers, err := Ask(ctx, systems, queries, options)
	if err != nil {
		return err
	}
	for i, s := range settings {
		if err := done(Measured{s, answers[i], size, r.Snapshot().Fingerprint(), r.Snapshot().LiveDocuments()}); err != nil {
			return err
		}
	}
	return nil
}

// open returns the index of a setting and what gives it back.
func (b *Bench) open(ctx context.Context, s Setting) (*retriever.Retriever, func() error, error) {
	if b.Index != nil {
		if shaping := s.Index(); len(shaping) > 0 {
			return nil, nil, fmt.Errorf("%w: %s shapes the index, which is given", ErrSetting, shaping)
		}
		return b.Index, func() error { return nil }, nil
	}
	name := s.Index().String()
	if kept, ok := b.kept[name]; ok {
		return kept.retriever, func() error { return nil }, nil
	}
	build, _, err := b.Options(s)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %s: %w", ErrSetting, s, err)
	}
	parent, err := os.MkdirTemp(b.Dir, "index-")
	if err != nil {
		return nil, nil, err
	}
	r, err := b.Build(ctx, filepath.Join(parent, "index"), build)
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(parent))
	}
	remove := func() error { return errors.Join(r.Close(), os.RemoveAll(parent)) }
	if !b.Keep {
		return r, remove, nil
	}
	if b.kept == nil {
		b.kept = make(map[string]keptIndex)
	}
	b.kept[name] = keptIndex{r, remove}
	return r, func() error { return nil }, nil
}

// encode encodes queries, by their texts.
func encode(ctx context.Context, r *retriever.Retriever, queries []Query) (map[string]encoder.Tokens, error) {
	encoded := make(map[string]encoder.Tokens, len(queries))
	for _, q := range queries {
		if _, done := encoded[q.Text]; done {
			continue
		}
		tokens, err := r.Encoder().EncodeQuery(ctx, q.Text)
		if err != nil {
			return nil, fmt.Errorf("query %q: %w", q.ID, err)
		}
		encoded[q.Text] = tokens
	}
	return encoded, nil
}

// preEncoded is the system Pare for queries that are encoded.
func preEncoded(name string, r *retriever.Retriever, encoded map[string]encoder.Tokens, options retriever.Options) System {
	return System{name, func(ctx context.Context, query string, k int) ([]eval.Result, Work, error) {
		options := options
		if k > 0 {
			options.Search.K = k
		}
		results, err := r.SearchTokens(ctx, encoded[query], options)
		if err != nil {
			return nil, Work{}, err
		}
		ranking, work := read(r, results)
		return ranking, work, nil
	}}
}

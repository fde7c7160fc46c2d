package parebleve

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/blevesearch/bleve/v2/search/query"

	"github.com/pare-search/pare/index"
	"github.com/pare-search/pare/querypruner"
)

// Queries of this package have a JSON form, for services that take bleve's
// search requests as JSON. It is that of a custom score query, the only kind
// that bleve lets others define:
//
//	{"custom_score": {
//	  "query":  {"match": "wings", "field": "title"},
//	  "maxsim": {"field": "body", "text": "how do wings stall", "window": 100}}}
//
// With a window the best hits of the query are scored, see Rescore. Without one
// all documents that the query matches are searched, see SetFilter; a query that
// is missing, null or matches all makes no difference. The other members of
// "maxsim" may be left out: boost, matches, pruning, as querypruner.Parse reads
// it, and the settings of the search, see searchJSON, each of which takes the
// place of that in Options.Search. Members of another name are an error.
//
//	{"custom_score": {"rrf": {"queries": [{…}, {…}], "window": 100}}}
//
// is a Fusion. bleve has room for one parser of custom score queries. That of
// this package passes on what is not its own to the parser that was there
// before; a program that sets its own after that must do the same.
func init() {
	others := query.CustomScoreQueryParser
	query.CustomScoreQueryParser = func(data []byte) (query.Query, error) {
		q, err := parseQuery(data)
		if q == nil && err == nil {
			if others != nil {
				return others(data)
			}
			err = fmt.Errorf("%w: custom_score has neither maxsim nor rrf", ErrQuery)
		}
		return q, err
	}
}

// customScore is the JSON form.
type customScore struct {
	Custom struct {
		Query  json.RawMessage `json:"query,omitempty"`
		MaxSim *maxSimJSON     `json:"maxsim,omitempty"`
		Fusion *fusionJSON     `json:"rrf,omitempty"`
	} `json:"custom_score"`
}

type maxSimJSON struct {
	Field   string   `json:"field"`
	Text    string   `json:"text"`
	Boost   *float64 `json:"boost,omitempty"`
	Window  *int     `json:"window,omitempty"`
	Matches int      `json:"matches,omitempty"`
	Pruning *string  `json:"pruning,omitempty"`
	searchJSON
}

// searchJSON are settings of a search, those of index.SearchOptions, as far as
// they are given.
type searchJSON struct {
	Plan        *string  `json:"plan,omitempty"`
	Neighbors   *int     `json:"neighbors,omitempty"`
	Budget      *int     `json:"budget,omitempty"`
	MarginShare *float64 `json:"margin_share,omitempty"`
	RarityPower *float64 `json:"rarity_power,omitempty"`
	RankPower   *float64 `json:"rank_power,omitempty"`
	Cells       *int     `json:"cells,omitempty"`
	Peak        *float64 `json:"peak,omitempty"`
	Reveal      *string  `json:"reveal,omitempty"`
	FirstRows   *int     `json:"first_rows,omitempty"`
	Alpha       *float64 `json:"alpha,omitempty"`
	Depth       *int     `json:"depth,omitempty"`
	Refine      *int     `json:"refine,omitempty"`
	Workers     *int     `json:"workers,omitempty"`
}

// apply changes the settings that are given.
func (j searchJSON) apply(options *index.SearchOptions) error {
	if j.Plan != nil {
		plan, err := index.ParsePlan(*j.Plan)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrQuery, err)
		}
		options.Plan = plan
	}
	if j.Reveal != nil {
		reveal, err := index.ParseReveal(*j.Reveal)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrQuery, err)
		}
		options.Reveal = reveal
	}
	for _, n := range []struct {
		set    *int
		option *int
	}{
		{j.Neighbors, &options.Neighbors},
		{j.Budget, &options.Budget},
		{j.Cells, &options.Cells},
		{j.FirstRows, &options.FirstRows},
		{j.Depth, &options.Depth},
		{j.Refine, &options.Refine},
		{j.Workers, &options.Workers},
	} {
		if n.set != nil {
			*n.option = *n.set
		}
	}
	for _, x := range []struct {
		set    *float64
		option *float64
	}{
		{j.MarginShare, &options.MarginShare},
		{j.RarityPower, &options.RarityPower},
		{j.RankPower, &options.RankPower},
		{j.Peak, &options.Peak},
		{j.Alpha, &options.Alpha},
	} {
		if x.set != nil {
			*x.option = *x.set
		}
	}
	return nil
}

type fusionJSON struct {
	Queries []json.RawMessage `json:"queries"`
	Window  int               `json:"window"`
	Boost   *float64          `json:"boost,omitempty"`
}

// parseQuery returns nil if the query is not one of this package.
func parseQuery(data []byte) (query.Query, error) {
	var whose struct {
		Custom map[string]json.RawMessage `json:"custom_score"`
	}
	if err := json.Unmarshal(data, &whose); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrQuery, err)
	}
	_, maxSim := whose.Custom["maxsim"]
	_, fusion := whose.Custom["rrf"]
	if !maxSim && !fusion {
		return nil, nil
	}
	var c customScore
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&c); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrQuery, err)
	}
	inner := c.Custom.Query
	if string(inner) == "null" {
		inner = nil
	}
	switch {
	case maxSim && fusion:
		return nil, fmt.Errorf("%w: custom_score has both maxsim and rrf", ErrQuery)
	case c.Custom.MaxSim != nil:
		return c.Custom.MaxSim.query(inner)
	case c.Custom.Fusion == nil:
		return nil, fmt.Errorf("%w: maxsim or rrf is null", ErrQuery)
	case inner != nil:
		return nil, fmt.Errorf("%w: rrf has queries of its own, custom_score has another one", ErrQuery)
	}
	return c.Custom.Fusion.query()
}

func (j *maxSimJSON) query(inner json.RawMessage) (query.Query, error) {
	q := NewQuery(j.Field, j.Text)
	if j.Boost != nil {
		q.boost = *j.Boost
	}
	q.matches, q.tuned = j.Matches, j.searchJSON
	switch {
	case inner != nil:
		parsed, err := query.ParseQuery(inner)
		if err != nil {
			return nil, err
		}
		_, all := parsed.(*query.MatchAllQuery)
		switch {
		case j.Window != nil:
			q.Window(parsed, *j.Window)
		case !all:
			q.SetFilter(parsed)
		}
	case j.Window != nil:
		return nil, fmt.Errorf("%w: a window without a query", ErrQuery)
	}
	if j.Pruning != nil {
		p, err := querypruner.Parse(*j.Pruning)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrQuery, err)
		}
		q.SetPruning(p)
	}
	return q, q.Validate()
}

// MarshalJSON returns the JSON form. A query cannot have both a window and a
// filter there.
func (q *Query) MarshalJSON() ([]byte, error) {
	var c customScore
	inner := q.filter
	if q.child != nil {
		if q.filter != nil {
			return nil, fmt.Errorf("%w: no JSON form for a window with a filter", ErrQuery)
		}
		inner = q.child
	}
	if inner != nil {
		var err error
		if c.Custom.Query, err = json.Marshal(inner); err != nil {
			return nil, err
		}
	}
	j := &maxSimJSON{Field: q.field, Text: q.text, Matches: q.matches, searchJSON: q.tuned}
	if q.child != nil {
		j.Window = &q.window
	}
	if q.boost != 1 {
		j.Boost = &q.boost
	}
	if q.pruner != nil {
		text := q.pruner.String()
		j.Pruning = &text
	}
	if s := q.search; s != nil {
		plan, reveal := s.Plan.String(), s.Reveal.String()
		j.searchJSON = searchJSON{
			Plan: &plan, Neighbors: &s.Neighbors, Budget: &s.Budget,
			MarginShare: &s.MarginShare, RarityPower: &s.RarityPower, RankPower: &s.RankPower, Cells: &s.Cells, Peak: &s.Peak,
			Reveal: &reveal, FirstRows: &s.FirstRows, Alpha: &s.Alpha, Depth: &s.Depth, Refine: &s.Refine, Workers: &s.Workers,
		}
	}
	c.Custom.MaxSim = j
	return json.Marshal(c)
}

func (j *fusionJSON) query() (query.Query, error) {
	var queries []query.Query
	for _, data := range j.Queries {
		q, err := query.ParseQuery(data)
		if err != nil {
			return nil, err
		}
		queries = append(queries, q)
	}
	f := Fuse(j.Window, queries...)
	if j.Boost != nil {
		f.SetBoost(*j.Boost)
	}
	return f, f.Validate()
}

// MarshalJSON returns the JSON form.
func (f *Fusion) MarshalJSON() ([]byte, error) {
	j := &fusionJSON{Window: f.window}
	for _, q := range f.queries {
		data, err := json.Marshal(q)
		if err != nil {
			return nil, err
		}
		j.Queries = append(j.Queries, data)
	}
	if f.boost != 1 {
		j.Boost = &f.boost
	}
	var c customScore
	c.Custom.Fusion = j
	return json.Marshal(c)
}

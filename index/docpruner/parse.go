package docpruner

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

var strategyNames = [...]string{
	StopWords:   "stopwords",
	IDF:         "idf",
	DocumentIDF: "docidf",
	First:       "first",
	Random:      "random",
	Norm:        "norm",
	Ward:        "ward",
	Voronoi:     "voronoi",
}

// none is the short form of a pruner without steps.
const none = "none"

// String returns the strategy's name as Parse reads it.
func (s Strategy) String() string {
	if s > 0 && int(s) < len(strategyNames) {
		return strategyNames[s]
	}
	return fmt.Sprintf("strategy(%d)", uint8(s))
}

// Parse reads a pruner from its short form:
//
//	none                every vector is stored
//	stopwords:english   all but those of stop words
//	stopwords:20%       all but those of token ids in over 20 % of the documents
//	idf:100             all but those of the 100 token ids in the most documents
//	docidf:10           without the 10 of each document whose ids are in the most
//	first:50 random:50  the 50 leading vectors, 50 vectors at random
//	first:50%           half of each document, rounded up
//	norm:0.5            vectors at least that long
//	ward:2              of two vectors on average one, by merging similar ones
//	voronoi:50%         half of all, those that are the best match most clearly
//
// Options follow with a plus sign. Of ward they are protect=N for the N leading
// vectors to be left alone, rows to compare vectors as the reference
// implementation does, and raw not to lengthen means; of voronoi each to keep the
// share of every document, directions=N, and queries or tokens for directions of
// query or of document vectors. seed=N may stand with any step. Another strategy
// behind a plus sign is another step:
//
//	voronoi:50%+tokens+ward:2+protect=1
func Parse(spec string) (Pruner, error) {
	var p Pruner
	for i, part := range strings.Split(strings.TrimSpace(spec), "+") {
		name, value, hasValue := strings.Cut(part, ":")
		strategy := slices.Index(strategyNames[1:], name) + 1
		var err error
		switch {
		case part == none && i == 0:
			continue
		case strategy > 0:
			p.Steps = append(p.Steps, Step{Strategy: Strategy(strategy)})
			if hasValue {
				err = p.Steps[len(p.Steps)-1].setValue(value)
			}
		case i == 0:
			err = fmt.Errorf("%w: unknown strategy %q, want one of %s, %s", ErrInvalid, name, none, strings.Join(strategyNames[1:], ", "))
		default:
			err = p.set(part)
		}
		if err != nil {
			return Pruner{}, fmt.Errorf("%w in %q", err, spec)
		}
	}
	if err := p.Validate(); err != nil {
		return Pruner{}, fmt.Errorf("%w in %q", err, spec)
	}
	return p, nil
}

// setValue sets what stands behind the strategy's name.
func (s *Step) setValue(text string) (err error) {
	isShare := strings.HasSuffix(text, "%")
	switch s.Strategy {
	case IDF, DocumentIDF:
		s.Count, err = strconv.Atoi(text)
	case Norm:
		s.Length, err = strconv.ParseFloat(text, 64)
	case Ward:
		s.Factor, err = strconv.ParseFloat(text, 64)
	case First, Random:
		if isShare {
			return s.setShare(text)
		}
		s.Keep.Count, err = strconv.Atoi(text)
	case StopWords:
		if isShare {
			return s.setShare(text)
		}
		s.Language = text
	default:
		return s.setShare(text)
	}
	if err != nil {
		return fmt.Errorf("%w: %s: %q is not a number it takes", ErrInvalid, s.Strategy, text)
	}
	return nil
}

// setShare sets the share to keep.
func (s *Step) setShare(text string) (err error) {
	share, isShare := strings.CutSuffix(text, "%")
	// Dividing by 100 in decimal makes the share exactly the one meant.
	s.Keep.Share, err = strconv.ParseFloat(share+"e-2", 64)
	if err != nil || !isShare || !(s.Keep.Share > 0 && s.Keep.Share <= 1) {
		return fmt.Errorf("%w: %s: share %q is not above 0 and at most 100 %%", ErrInvalid, s.Strategy, text)
	}
	return nil
}

// set sets an option of the pruner or of its last step.
func (p *Pruner) set(option string) error {
	name, value, _ := strings.Cut(option, "=")
	var last Step
	if len(p.Steps) > 0 {
		last = p.Steps[len(p.Steps)-1]
	}
	var err error
	switch {
	case name == "seed":
		p.Seed, err = strconv.ParseUint(value, 10, 64)
	case last.Strategy == Ward && name == "protect":
		last.Protect, err = strconv.Atoi(value)
	case last.Strategy == Ward && option == "rows":
		last.Rows = true
	case last.Strategy == Ward && option == "raw":
		last.Raw = true
	case last.Strategy == Voronoi && name == "directions":
		last.Directions, err = strconv.Atoi(value)
	case last.Strategy == Voronoi && option == "each":
		last.Each = true
	case last.Strategy == Voronoi && option == "queries":
		last.Source = QueryVectors
	case last.Strategy == Voronoi && option == "tokens":
		last.Source = DocumentVectors
	default:
		return fmt.Errorf("%w: %q is neither a strategy nor an option of what stands before it", ErrInvalid, option)
	}
	if err != nil {
		return fmt.Errorf("%w: %q is no whole number in %q", ErrInvalid, value, option)
	}
	if len(p.Steps) > 0 {
		p.Steps[len(p.Steps)-1] = last
	}
	return nil
}

// String returns the form that Parse reads back.
func (p Pruner) String() string {
	parts := make([]string, 0, len(p.Steps)+1)
	for _, s := range p.Steps {
		parts = append(parts, s.String())
	}
	if len(parts) == 0 {
		parts = append(parts, none)
	}
	if p.Seed != 0 {
		parts = append(parts, fmt.Sprintf("seed=%d", p.Seed))
	}
	return strings.Join(parts, "+")
}

// String returns the form that Parse reads back, as a pruner of one step.
func (s Step) String() string {
	var b strings.Builder
	b.WriteString(s.Strategy.String())
	switch {
	case s.Strategy == IDF || s.Strategy == DocumentIDF:
		fmt.Fprintf(&b, ":%d", s.Count)
	case s.Strategy == Norm:
		fmt.Fprintf(&b, ":%s", decimal(s.Length))
	case s.Strategy == Ward:
		fmt.Fprintf(&b, ":%s", decimal(s.Factor))
	case s.Strategy == StopWords && s.Language != "":
		fmt.Fprintf(&b, ":%s", s.Language)
	case s.Keep.Count > 0:
		fmt.Fprintf(&b, ":%d", s.Keep.Count)
	case s.Keep.Share > 0:
		fmt.Fprintf(&b, ":%s%%", percent(s.Keep.Share))
	}
	option := func(given bool, format string, args ...any) {
		if given {
			fmt.Fprintf(&b, "+"+format, args...)
		}
	}
	option(s.Protect > 0, "protect=%d", s.Protect)
	option(s.Rows, "rows")
	option(s.Raw, "raw")
	option(s.Each, "each")
	option(s.Source == QueryVectors, "queries")
	option(s.Source == DocumentVectors, "tokens")
	option(s.Directions > 0, "directions=%d", s.Directions)
	return b.String()
}

func decimal(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }

// percent writes a share between 0 and 1 in percent, by moving the decimal
// point: a multiplication by 100 would turn 0.07 into 7.000000000000001.
func percent(share float64) string {
	whole, fraction, _ := strings.Cut(decimal(share), ".")
	fraction += "00"
	whole = strings.TrimLeft(whole+fraction[:2], "0")
	fraction = strings.TrimRight(fraction[2:], "0")
	if whole == "" {
		whole = "0"
	}
	if fraction == "" {
		return whole
	}
	return whole + "." + fraction
}

// MarshalText returns the short form.
func (p Pruner) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads the short form.
func (p *Pruner) UnmarshalText(text []byte) (err error) {
	*p, err = Parse(string(text))
	return err
}

package querypruner

import (
	"fmt"
	"strconv"
	"strings"
)

var strategyNames = [...]string{
	KeepAll:       "all",
	ICF:           "icf",
	IDF:           "idf",
	First:         "first",
	Random:        "random",
	Population:    "population",
	DropSpecials:  "nospecials",
	DropStopWords: "nostopwords",
}

// String returns the strategy's name as Parse reads it.
func (s Strategy) String() string {
	if int(s) < len(strategyNames) {
		return strategyNames[s]
	}
	return fmt.Sprintf("strategy(%d)", uint8(s))
}

// Parse reads a pruner from its short form:
//
//	all                 every row looks for candidates
//	icf:4  idf:4        the 4 rarest rows by collection or document frequency
//	first:4  random:4   the 4 leading rows, 4 rows at random
//	population:4        the 4 rows whose nearest cells are smallest
//	icf:50%             half of the rows, rounded up
//	nospecials          all rows but special tokens
//	nostopwords:20%     all rows but those in over 20 % of the documents
//
// Options follow with a plus sign: dropunseen, seed=N and scorekept, as in
// icf:4+dropunseen.
func Parse(spec string) (Pruner, error) {
	head, options, _ := strings.Cut(strings.TrimSpace(spec), "+")
	name, keep, hasKeep := strings.Cut(head, ":")
	p, err := parseStrategy(name)
	if err != nil {
		return Pruner{}, err
	}
	if hasKeep {
		if p.Keep, err = parseKeep(keep); err != nil {
			return Pruner{}, fmt.Errorf("%w in %q", err, spec)
		}
		if p.Strategy == KeepAll || p.Strategy == DropSpecials {
			return Pruner{}, fmt.Errorf("%w: %s takes no number, in %q", ErrInvalid, name, spec)
		}
	}
	if options != "" {
		for option := range strings.SplitSeq(options, "+") {
			if err := p.set(option); err != nil {
				return Pruner{}, fmt.Errorf("%w in %q", err, spec)
			}
		}
	}
	if err := p.Validate(); err != nil {
		return Pruner{}, fmt.Errorf("%w in %q", err, spec)
	}
	return p, nil
}

func parseStrategy(name string) (Pruner, error) {
	for s, known := range strategyNames {
		if name == known {
			return Pruner{Strategy: Strategy(s)}, nil
		}
	}
	return Pruner{}, fmt.Errorf("%w: unknown strategy %q, want one of %s",
		ErrInvalid, name, strings.Join(strategyNames[:], ", "))
}

func parseKeep(text string) (Keep, error) {
	if percent, ok := strings.CutSuffix(text, "%"); ok {
		share, err := strconv.ParseFloat(percent, 64)
		if err != nil || !(share > 0 && share <= 100) {
			return Keep{}, fmt.Errorf("%w: share %q is not between 0 and 100 %%", ErrInvalid, text)
		}
		return Keep{Share: share / 100}, nil
	}
	count, err := strconv.Atoi(text)
	if err != nil || count < 1 {
		return Keep{}, fmt.Errorf("%w: %q is not a positive number of rows", ErrInvalid, text)
	}
	return Keep{Count: count}, nil
}

func (p *Pruner) set(option string) error {
	name, value, _ := strings.Cut(option, "=")
	switch name {
	case "dropunseen":
		p.DropUnseen = true
	case "scorekept":
		p.ScoreKept = true
	case "seed":
		seed, err := strconv.ParseUint(value, 10, 64)
		if err != nil {
			return fmt.Errorf("%w: seed %q is no whole number", ErrInvalid, value)
		}
		p.Seed = seed
	default:
		return fmt.Errorf("%w: unknown option %q, want dropunseen, scorekept or seed=N", ErrInvalid, option)
	}
	return nil
}

// String returns the form that Parse reads back. Special token ids have no
// short form and are left out.
func (p Pruner) String() string {
	var b strings.Builder
	b.WriteString(p.Strategy.String())
	switch {
	case p.Keep.Count > 0:
		fmt.Fprintf(&b, ":%d", p.Keep.Count)
	case p.Keep.Share > 0:
		fmt.Fprintf(&b, ":%s%%", strconv.FormatFloat(p.Keep.Share*100, 'g', 10, 64))
	}
	if p.DropUnseen {
		b.WriteString("+dropunseen")
	}
	if p.ScoreKept {
		b.WriteString("+scorekept")
	}
	if p.Seed != 0 {
		fmt.Fprintf(&b, "+seed=%d", p.Seed)
	}
	return b.String()
}

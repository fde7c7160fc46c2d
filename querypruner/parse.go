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
	head, options, hasOptions := strings.Cut(strings.TrimSpace(spec), "+")
	name, keep, hasKeep := strings.Cut(head, ":")
	p, err := parseStrategy(name)
	if err != nil {
		return Pruner{}, err
	}
	if hasKeep {
		if p.Keep, err = parseKeep(keep); err != nil {
			return Pruner{}, fmt.Errorf("%w in %q", err, spec)
		}
		if !p.Strategy.ranks() && p.Strategy != DropStopWords {
			return Pruner{}, fmt.Errorf("%w: %s takes no number, in %q", ErrInvalid, name, spec)
		}
	}
	if hasOptions {
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
		// Dividing by 100 in decimal makes the share exactly the one meant.
		share, err := strconv.ParseFloat(percent+"e-2", 64)
		if err != nil || !(share > 0 && share <= 1) {
			return Keep{}, fmt.Errorf("%w: share %q is not above 0 and at most 100 %%", ErrInvalid, text)
		}
		return Keep{Share: share}, nil
	}
	count, err := strconv.Atoi(text)
	if err != nil || count < 1 {
		return Keep{}, fmt.Errorf("%w: %q is not a positive number of rows", ErrInvalid, text)
	}
	return Keep{Count: count}, nil
}

func (p *Pruner) set(option string) error {
	value, isSeed := strings.CutPrefix(option, "seed=")
	switch {
	case option == "dropunseen":
		p.DropUnseen = true
	case option == "scorekept":
		p.ScoreKept = true
	case isSeed:
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
// short form and are left out, and so is Keep where the strategy takes none.
func (p Pruner) String() string {
	var b strings.Builder
	b.WriteString(p.Strategy.String())
	switch {
	case p.Strategy.ranks() && p.Keep.Count > 0:
		fmt.Fprintf(&b, ":%d", p.Keep.Count)
	case p.Strategy.ranks() || p.Strategy == DropStopWords:
		fmt.Fprintf(&b, ":%s%%", percent(p.Keep.Share))
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

// percent writes a share between 0 and 1 in percent, by moving the decimal
// point: a multiplication by 100 would turn 0.07 into 7.000000000000001.
func percent(share float64) string {
	whole, fraction, _ := strings.Cut(strconv.FormatFloat(share, 'f', -1, 64), ".")
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

package querypruner

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Parse reads a pruner from its short form: a strategy and how many rows it
// keeps,
//
//	all                 every row looks for candidates
//	icf:4  idf:4        the 4 rarest rows by collection or document frequency
//	first:4  random:4   the 4 leading rows, 4 rows at random
//	population:4        the 4 rows whose nearest cells are smallest
//	icf:50%             half of the rows, rounded up
//
// and steps and options, each after a plus sign, as in icf:8+mass:0.8:
//
//	mass:0.8             as many rows of a strategy as hold 0.8 of the importance
//	cost:5000            as many as are expected to read 5,000 postings
//	nospecials           all rows but special tokens
//	nostopwords:20%      all rows but those in over 20 % of the documents
//	nostopwords:english  all rows but the stop words of a language
//	dropunseen           all rows but those of tokens the collection does not have
//	weigh:idf            rows count by inverse document frequency
//	weigh:masks          masks count for the tokens next to them
//	merge:0.7            rows with a cosine of at least 0.7 look as their sum
//	scorekept            rows that do not look do not score
//	tokenrarity          rows look by the rarity of their tokens, not of cells
//	seed:7               another order of random
//	special:101/102      ids of special tokens
//	mask:103             ids of masks
//
// The strategy all may be left out.
func Parse(spec string) (Pruner, error) {
	var p Pruner
	seen := make(map[string]bool)
	for i, word := range strings.Split(strings.TrimSpace(spec), "+") {
		name, value, hasValue := strings.Cut(word, ":")
		strategy := slices.Index(strategyNames[:], name)
		at := slices.IndexFunc(parts, func(part part) bool { return part.name == name })
		var err error
		switch {
		case strategy >= 0 && i == 0:
			p.Strategy = Strategy(strategy)
			if hasValue {
				p.Keep, err = parseKeep(value)
			}
		case at < 0 && i == 0:
			err = fmt.Errorf("%w: unknown strategy %q, want one of %s", ErrInvalid, name, strings.Join(names(), ", "))
		case at < 0:
			err = fmt.Errorf("%w: unknown option %q, want one of %s", ErrInvalid, word, strings.Join(names()[len(strategyNames):], ", "))
		case seen[name]:
			err = fmt.Errorf("%w: %s twice", ErrInvalid, name)
		default:
			seen[name] = true
			err = parts[at].parse(&p, value, hasValue)
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

// names lists what the short form may begin with, strategies first.
func names() []string {
	all := slices.Clone(strategyNames[:])
	for _, part := range parts {
		all = append(all, part.name)
	}
	return all
}

// part is a step or an option of the short form, "name" or "name:value".
type part struct {
	name string
	// set reads the value; it is nil for a part without one, which flag then
	// points to.
	set  func(p *Pruner, value string) error
	flag func(p *Pruner) *bool
	// value writes what set reads, "" where the part is not there.
	value func(p *Pruner) string
}

func (part part) parse(p *Pruner, value string, hasValue bool) error {
	switch {
	case part.flag == nil && value == "":
		return fmt.Errorf("%w: %s needs a value after a colon", ErrInvalid, part.name)
	case part.flag == nil:
		return part.set(p, value)
	case hasValue:
		return fmt.Errorf("%w: %s takes no value", ErrInvalid, part.name)
	}
	*part.flag(p) = true
	return nil
}

// parts are in the order in which String writes them.
var parts = []part{
	{
		name:  "mass",
		set:   func(p *Pruner, value string) (err error) { p.Keep.Mass, err = parseFraction(value); return err },
		value: func(p *Pruner) string { return formatFraction(p.Keep.Mass) },
	},
	{
		name:  "cost",
		set:   func(p *Pruner, value string) (err error) { p.Keep.Cost, err = parseCount(value); return err },
		value: func(p *Pruner) string { return formatCount(p.Keep.Cost) },
	},
	{name: "nospecials", flag: func(p *Pruner) *bool { return &p.Drop.Specials }},
	{name: "nostopwords", set: (*Pruner).setStopWords, value: (*Pruner).stopWords},
	{name: "dropunseen", flag: func(p *Pruner) *bool { return &p.Drop.Unseen }},
	{
		name: "weigh",
		set: func(p *Pruner, value string) error {
			i := slices.Index(weightNames[:], value)
			if i < 0 {
				return fmt.Errorf("%w: unknown weights %q, want one of %s", ErrInvalid, value, strings.Join(weightNames[:], ", "))
			}
			p.Weights = Weights(i)
			return nil
		},
		value: func(p *Pruner) string {
			if p.Weights == Unweighted {
				return ""
			}
			return p.Weights.String()
		},
	},
	{
		name:  "merge",
		set:   func(p *Pruner, value string) (err error) { p.Merge, err = parseFraction(value); return err },
		value: func(p *Pruner) string { return formatFraction(p.Merge) },
	},
	{name: "scorekept", flag: func(p *Pruner) *bool { return &p.ScoreKept }},
	{name: "tokenrarity", flag: func(p *Pruner) *bool { return &p.TokenRarity }},
	{
		name: "seed",
		set: func(p *Pruner, value string) (err error) {
			if p.Seed, err = strconv.ParseUint(value, 10, 64); err != nil {
				return fmt.Errorf("%w: seed %q is no whole number", ErrInvalid, value)
			}
			return nil
		},
		value: func(p *Pruner) string {
			if p.Seed == 0 {
				return ""
			}
			return strconv.FormatUint(p.Seed, 10)
		},
	},
	{
		name:  "special",
		set:   func(p *Pruner, value string) (err error) { p.Vocabulary.Special, err = parseIDs(value); return err },
		value: func(p *Pruner) string { return formatIDs(p.Vocabulary.Special) },
	},
	{
		name:  "mask",
		set:   func(p *Pruner, value string) (err error) { p.Vocabulary.Masks, err = parseIDs(value); return err },
		value: func(p *Pruner) string { return formatIDs(p.Vocabulary.Masks) },
	},
}

// String returns the form that Parse reads back. Stop words' ids have no short
// form and are left out.
func (p Pruner) String() string {
	var words []string
	switch strategy := p.Strategy.String(); {
	case p.Strategy != KeepAll && p.Keep.Count > 0:
		words = append(words, strategy+":"+strconv.Itoa(p.Keep.Count))
	case p.Strategy != KeepAll && p.Keep.Share > 0:
		words = append(words, strategy+":"+formatShare(p.Keep.Share))
	default:
		words = append(words, strategy)
	}
	for _, part := range parts {
		switch {
		case part.flag != nil:
			if *part.flag(&p) {
				words = append(words, part.name)
			}
		default:
			if value := part.value(&p); value != "" {
				words = append(words, part.name+":"+value)
			}
		}
	}
	if p.Strategy == KeepAll && len(words) > 1 {
		words = words[1:]
	}
	return strings.Join(words, "+")
}

func parseKeep(text string) (Keep, error) {
	if strings.HasSuffix(text, "%") {
		share, err := parseShare(text)
		return Keep{Share: share}, err
	}
	count, err := strconv.Atoi(text)
	if err != nil || count < 1 {
		return Keep{}, fmt.Errorf("%w: %q is not a positive number of rows", ErrInvalid, text)
	}
	return Keep{Count: count}, nil
}

func (p *Pruner) setStopWords(value string) (err error) {
	if strings.HasSuffix(value, "%") {
		p.Drop.StopShare, err = parseShare(value)
		return err
	}
	if strings.Trim(value, "abcdefghijklmnopqrstuvwxyz") != "" {
		return fmt.Errorf("%w: stop words %q, want a share of the documents, such as 20%%, or a language", ErrInvalid, value)
	}
	p.Drop.StopWords = value
	return nil
}

func (p *Pruner) stopWords() string {
	if p.Drop.StopWords != "" {
		return p.Drop.StopWords
	}
	return formatShare(p.Drop.StopShare)
}

func parseCount(text string) (int, error) {
	count, err := strconv.Atoi(text)
	if err != nil || count < 1 {
		return 0, fmt.Errorf("%w: %q is not a positive number", ErrInvalid, text)
	}
	return count, nil
}

func formatCount(count int) string {
	if count == 0 {
		return ""
	}
	return strconv.Itoa(count)
}

func parseFraction(text string) (float64, error) {
	fraction, err := strconv.ParseFloat(text, 64)
	if err != nil || !(fraction > 0 && fraction <= 1) {
		return 0, fmt.Errorf("%w: %q is not above 0 and at most 1", ErrInvalid, text)
	}
	return fraction, nil
}

func formatFraction(fraction float64) string {
	if fraction == 0 {
		return ""
	}
	return strconv.FormatFloat(fraction, 'g', -1, 64)
}

// parseShare reads percents.
func parseShare(text string) (float64, error) {
	percent, ok := strings.CutSuffix(text, "%")
	// Dividing by 100 in decimal makes the share exactly the one meant.
	share, err := strconv.ParseFloat(percent+"e-2", 64)
	if !ok || err != nil || !(share > 0 && share <= 1) {
		return 0, fmt.Errorf("%w: share %q is not above 0 and at most 100 %%", ErrInvalid, text)
	}
	return share, nil
}

// formatShare writes a share between 0 and 1 in percent, "" for 0, by moving the
// decimal point: a multiplication by 100 would turn 0.07 into 7.000000000000001.
func formatShare(share float64) string {
	if share == 0 {
		return ""
	}
	whole, fraction, _ := strings.Cut(strconv.FormatFloat(share, 'f', -1, 64), ".")
	fraction += "00"
	whole = strings.TrimLeft(whole+fraction[:2], "0")
	fraction = strings.TrimRight(fraction[2:], "0")
	if whole == "" {
		whole = "0"
	}
	if fraction != "" {
		whole += "." + fraction
	}
	return whole + "%"
}

func parseIDs(text string) ([]uint32, error) {
	var ids []uint32
	for word := range strings.SplitSeq(text, "/") {
		id, err := strconv.ParseUint(word, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("%w: token id %q is no number of 32 bits, want ids such as 101/102", ErrInvalid, word)
		}
		ids = append(ids, uint32(id))
	}
	return ids, nil
}

func formatIDs(ids []uint32) string {
	words := make([]string, len(ids))
	for i, id := range ids {
		words[i] = strconv.FormatUint(uint64(id), 10)
	}
	return strings.Join(words, "/")
}

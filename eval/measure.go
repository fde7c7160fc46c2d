package eval

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Measure is one effectiveness measure with its parameters. It is comparable,
// reads and writes itself as text, and is made by ParseMeasure; the zero value
// measures nothing.
type Measure struct {
	kind   kind
	cutoff int // ranks looked at, 0 for all
	rel    int // lowest relevant grade, 0 where the measure has none
}

type kind uint8

const (
	none kind = iota
	ndcg
	reciprocalRank
	averagePrecision
	precision
	recall
	success
	rPrecision
	judged
	numRet
	numRel
)

// need says whether a parameter may or must be given.
type need uint8

const (
	never need = iota
	optional
	required
)

// family describes the measures of one kind.
type family struct {
	kind       kind
	name       string
	cutoff     need
	rel        bool // takes a relevance level
	defaultRel int
	aliases    []string // other names in ir_measures and in trec_eval, lower case
}

var families = []family{
	{ndcg, "nDCG", optional, false, 0, []string{"ndcg", "ndcg_cut"}},
	{reciprocalRank, "RR", optional, true, 1, []string{"mrr", "recip_rank"}},
	{averagePrecision, "AP", optional, true, 1, []string{"map", "map_cut"}},
	{precision, "P", required, true, 1, []string{"precision"}},
	{recall, "R", required, true, 1, []string{"recall"}},
	{success, "Success", required, true, 1, nil},
	{rPrecision, "Rprec", never, true, 1, nil},
	{judged, "Judged", optional, false, 0, nil},
	{numRet, "NumRet", never, true, 0, []string{"num_ret"}},
	{numRel, "NumRel", never, true, 1, []string{"num_rel"}},
}

// known is the list of measures printed with an error.
const known = "nDCG[@k], RR[@k], AP[@k], P@k, R@k, Success@k, Rprec, Judged[@k], NumRet, NumRel; " +
	"a relevance level as in P(rel=2)@5 for all but nDCG and Judged"

// ErrMeasure reports a measure name that is not understood.
var ErrMeasure = errors.New("eval: unknown measure")

// ParseMeasure reads a measure name as ir_measures writes it: "nDCG@10",
// "RR@10" (or "MRR@10"), "AP(rel=2)", "R@100", "P(rel=2)@5", "Success@5",
// "Rprec", "Judged@10", "NumRet". The names of trec_eval are understood too:
// "ndcg_cut_10", "recip_rank", "map", "map_cut_1000", "recall_100", "P_5",
// "success_5", "num_ret", "num_rel_ret". Upper and lower case are the same.
// The error wraps ErrMeasure and lists what exists.
func ParseMeasure(name string) (Measure, error) {
	fail := func(reason string) (Measure, error) {
		return Measure{}, fmt.Errorf("%w %q: %s (known: %s)", ErrMeasure, name, reason, known)
	}
	rest := strings.ToLower(strings.TrimSpace(name))
	switch rest {
	case "num_rel_ret", "numrelret":
		return Measure{kind: numRet, rel: 1}, nil
	}
	rest, cutText, hasCut := strings.Cut(rest, "@")
	rest, params, hasParams := strings.Cut(rest, "(")
	if hasParams && !strings.HasSuffix(params, ")") {
		return fail("parameters end with )")
	}
	if !hasCut && !hasParams {
		// trec_eval writes a cut-off as recall_100 or, asking for it, recall.100.
		if i := strings.LastIndexAny(rest, "_."); i > 0 && isDigits(rest[i+1:]) {
			rest, cutText, hasCut = rest[:i], rest[i+1:], true
		}
	}
	fam, ok := findFamily(rest)
	if !ok {
		return fail("no such name")
	}

	m := Measure{kind: fam.kind, rel: fam.defaultRel}
	switch {
	case hasCut && fam.cutoff == never:
		return fail("takes no cut-off")
	case !hasCut && (fam.cutoff == required || strings.HasSuffix(rest, "_cut")):
		return fail("needs a cut-off, as in " + fam.name + "@10")
	case hasCut:
		cut, err := parsePositive(cutText)
		if err != nil {
			return fail("the cut-off " + err.Error())
		}
		m.cutoff = cut
	}
	if hasParams {
		key, value, _ := strings.Cut(strings.TrimSuffix(params, ")"), "=")
		if strings.TrimSpace(key) != "rel" || !fam.rel {
			return fail("takes no such parameter")
		}
		rel, err := parsePositive(strings.TrimSpace(value))
		if err != nil {
			return fail("rel " + err.Error())
		}
		m.rel = rel
	}
	return m, nil
}

// ParseMeasures reads several names, in the given order.
func ParseMeasures(names ...string) ([]Measure, error) {
	measures := make([]Measure, len(names))
	var errs []error
	for i, name := range names {
		m, err := ParseMeasure(name)
		measures[i] = m
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return measures, nil
}

func findFamily(name string) (family, bool) {
	for _, f := range families {
		if name == strings.ToLower(f.name) {
			return f, true
		}
		for _, alias := range f.aliases {
			if name == alias {
				return f, true
			}
		}
	}
	return family{}, false
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

func parsePositive(s string) (int, error) {
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil || n < 1 || !isDigits(s) {
		return 0, errors.New("is a whole number from 1")
	}
	return int(n), nil
}

// String returns the canonical name, as ir_measures writes it.
func (m Measure) String() string {
	if m.kind == none {
		return "none"
	}
	// families is ordered as the kinds are.
	fam := families[m.kind-1]
	var b strings.Builder
	b.WriteString(fam.name)
	if m.rel != fam.defaultRel {
		fmt.Fprintf(&b, "(rel=%d)", m.rel)
	}
	if m.cutoff > 0 {
		fmt.Fprintf(&b, "@%d", m.cutoff)
	}
	return b.String()
}

// Cutoff returns the number of ranks the measure looks at, 0 for all.
func (m Measure) Cutoff() int { return m.cutoff }

// MarshalText returns the canonical name.
func (m Measure) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads a name as ParseMeasure does.
func (m *Measure) UnmarshalText(text []byte) error {
	parsed, err := ParseMeasure(string(text))
	if err != nil {
		return err
	}
	*m = parsed
	return nil
}

// isTotal says whether the measure is a count that is added up over queries.
func (m Measure) isTotal() bool { return m.kind == numRet || m.kind == numRel }

package docpruner

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	steps := func(steps ...Step) Pruner { return Pruner{Steps: steps} }
	for spec, want := range map[string]Pruner{
		"none":                   {},
		" none ":                 {},
		"none+seed=3":            {Seed: 3},
		"stopwords:english":      steps(Step{Strategy: StopWords, Language: "english"}),
		"stopwords:7%":           steps(Step{Strategy: StopWords, Keep: Keep{Share: 0.07}}),
		"idf:100":                steps(Step{Strategy: IDF, Count: 100}),
		"docidf:10":              steps(Step{Strategy: DocumentIDF, Count: 10}),
		"first:50":               steps(Step{Strategy: First, Keep: Keep{Count: 50}}),
		"first:50%":              steps(Step{Strategy: First, Keep: Keep{Share: 0.5}}),
		"random:33.3%+seed=9":    {Steps: []Step{{Strategy: Random, Keep: Keep{Share: 0.333}}}, Seed: 9},
		"norm:0.5":               steps(Step{Strategy: Norm, Length: 0.5}),
		"ward:2":                 steps(Step{Strategy: Ward, Factor: 2}),
		"ward:1.5+protect=1":     steps(Step{Strategy: Ward, Factor: 1.5, Protect: 1}),
		"ward:3+rows+raw":        steps(Step{Strategy: Ward, Factor: 3, Rows: true, Raw: true}),
		"voronoi:50%":            steps(Step{Strategy: Voronoi, Keep: Keep{Share: 0.5}}),
		"voronoi:50%+each":       steps(Step{Strategy: Voronoi, Keep: Keep{Share: 0.5}, Each: true}),
		"voronoi:100%+queries":   steps(Step{Strategy: Voronoi, Keep: Keep{Share: 1}, Source: QueryVectors}),
		"idf:10+ward:2+seed=4":   {Steps: []Step{{Strategy: IDF, Count: 10}, {Strategy: Ward, Factor: 2}}, Seed: 4},
		"voronoi:0.5%+tokens":    steps(Step{Strategy: Voronoi, Keep: Keep{Share: 0.005}, Source: DocumentVectors}),
		"voronoi:50%+ward:2+raw": steps(Step{Strategy: Voronoi, Keep: Keep{Share: 0.5}}, Step{Strategy: Ward, Factor: 2, Raw: true}),
		"first:9+voronoi:50%+directions=64+ward:2+protect=3": steps(Step{Strategy: First, Keep: Keep{Count: 9}},
			Step{Strategy: Voronoi, Keep: Keep{Share: 0.5}, Directions: 64}, Step{Strategy: Ward, Factor: 2, Protect: 3}),
	} {
		got, err := Parse(spec)
		if err != nil {
			t.Errorf("%q: %v", spec, err)
			continue
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q is %+v, want %+v", spec, got, want)
		}
		if written := got.String(); written != strings.TrimSpace(spec) {
			t.Errorf("%q is written %q", spec, written)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for spec, says := range map[string]string{
		"":                             `unknown strategy "", want one of none, stopwords, idf, docidf, first, random, norm, ward, voronoi`,
		"Ward:2":                       `unknown strategy "Ward"`,
		"none:2":                       `unknown strategy "none"`,
		"stopwords":                    `stopwords: needs a language, or a share of the documents`,
		"stopwords:a:b":                `stopwords: language "a:b"`,
		"idf":                          `idf: needs a number to drop, not 0 in "idf"`,
		"idf:x":                        `idf: "x" is not a number it takes`,
		"idf:10%":                      `idf: "10%" is not a number it takes`,
		"docidf:-1":                    `docidf: needs a number to drop, not -1`,
		"first":                        `first: needs a number or share`,
		"first:0":                      `first: needs a number or share`,
		"first:-2":                     `first: cannot keep -2 vectors`,
		"random:0%":                    `random: share "0%" is not above 0 and at most 100 %`,
		"random:NaN%":                  `random: share "NaN%" is not`,
		"norm:0":                       `norm: length 0 is not above 0`,
		"norm:Inf":                     `norm: length +Inf is not above 0`,
		"ward":                         `ward: factor 0 is not at least 1`,
		"ward:0.5":                     `ward: factor 0.5 is not at least 1`,
		"ward:NaN":                     `ward: factor NaN is not at least 1`,
		"ward:2+protect=-1":            `ward: cannot protect -1 vectors`,
		"ward:2+protect=x":             `"x" is no whole number in "protect=x"`,
		"ward:2+tokens":                `"tokens" is neither a strategy nor an option of what stands before it`,
		"voronoi":                      `voronoi: needs a share of the vectors to keep`,
		"voronoi:50":                   `voronoi: share "50" is not above 0`,
		"voronoi:50%+raw":              `"raw" is neither a strategy nor an option`,
		"none+rows":                    `"rows" is neither`,
		"stopwords:200%":               `stopwords: share "200%" is not above 0`,
		"ward:2+none":                  `"none" is neither`,
		"ward:2+seed=":                 `"" is no whole number in "seed="`,
		"ward:2++raw":                  `"" is neither`,
		"voronoi:5%+directions=100000": `voronoi: 100000 directions, want at most 65536`,
		strings.Repeat("voronoi:5%+", 32) + "voronoi:5%": `voronoi: 67584 directions in all steps, want at most 65536`,
	} {
		_, err := Parse(spec)
		if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: error %v, want ErrInvalid that says %s", spec, err, says)
		}
	}
}

// FuzzParse: what is read is valid, and read again from what it is written as.
func FuzzParse(f *testing.F) {
	for _, spec := range []string{
		"none", "stopwords:english+seed=3", "first:50%", "random:33.3%+seed=9", "norm:0.5", "ward:1.5+protect=1+rows+raw",
		"voronoi:67%+tokens+directions=64+each+ward:2", "idf:10+docidf:3", "first:1e-1%", "ward:0x1p4", "norm:NaN", "none+none",
	} {
		f.Add(spec)
	}
	f.Fuzz(func(t *testing.T, spec string) {
		p, err := Parse(spec)
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Fatalf("%q: %v", spec, err)
			}
			return
		}
		if err := p.Validate(); err != nil {
			t.Fatalf("%q: %v", spec, err)
		}
		if again, err := Parse(p.String()); err != nil || !reflect.DeepEqual(again, p) {
			t.Fatalf("%q is %+v, but its form %q is %+v, %v", spec, p, p, again, err)
		}
	})
}

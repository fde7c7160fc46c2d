package querypruner_test

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/pare-search/pare/querypruner"
)

func TestParse(t *testing.T) {
	for spec, want := range map[string]querypruner.Pruner{
		"all":             {},
		" all ":           {},
		"icf:4":           {Strategy: querypruner.ICF, Keep: keep(4)},
		"idf:32":          {Strategy: querypruner.IDF, Keep: keep(32)},
		"first:1":         {Strategy: querypruner.First, Keep: keep(1)},
		"random:3+seed:9": {Strategy: querypruner.Random, Keep: keep(3), Seed: 9},
		"population:50%":  {Strategy: querypruner.Population, Keep: share(0.5)},
		"icf:33.3%":       {Strategy: querypruner.ICF, Keep: share(0.333)},
		"icf:100%":        {Strategy: querypruner.ICF, Keep: share(1)},
		"icf:7%":          {Strategy: querypruner.ICF, Keep: share(0.07)},
		"nospecials":      {Drop: querypruner.Drop{Specials: true}},
		"nostopwords:20%": {Drop: querypruner.Drop{StopShare: 0.2}},
		"all+scorekept":   {ScoreKept: true},
		"scorekept":       {ScoreKept: true},
		"icf:4+scorekept+seed:18446744073709551615+dropunseen": {
			Strategy: querypruner.ICF, Keep: keep(4), ScoreKept: true, Drop: querypruner.Drop{Unseen: true}, Seed: 1<<64 - 1,
		},
		"icf+mass:0.8":             {Strategy: querypruner.ICF, Keep: querypruner.Keep{Mass: 0.8}},
		"idf:8+mass:.8+cost:5000":  {Strategy: querypruner.IDF, Keep: querypruner.Keep{Count: 8, Mass: 0.8, Cost: 5000}},
		"nostopwords:english":      {Drop: querypruner.Drop{StopWords: "english"}},
		"merge:0.7+nospecials":     {Merge: 0.7, Drop: querypruner.Drop{Specials: true}},
		"weigh:idf+tokenrarity":    {Weights: querypruner.IDFWeights, TokenRarity: true},
		"all+weigh:masks+mask:103": {Weights: querypruner.MaskCounts, Vocabulary: querypruner.Vocabulary{Masks: []uint32{103}}},
		"nospecials+special:101/102": {
			Drop: querypruner.Drop{Specials: true}, Vocabulary: querypruner.Vocabulary{Special: []uint32{101, 102}},
		},
	} {
		got, err := querypruner.Parse(spec)
		if err != nil {
			t.Errorf("%q: %v", spec, err)
			continue
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q is %+v, want %+v", spec, got, want)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for spec, says := range map[string]string{
		"":                          `unknown strategy "", want one of all, icf, idf, first, random, population, mass, cost, nospecials, nostopwords`,
		"ICF:4":                     `unknown strategy "ICF"`,
		"icf":                       `icf needs a number, share, mass or cost of the rows to keep in "icf"`,
		"icf:":                      `"" is not a positive number of rows in "icf:"`,
		"icf:0":                     `"0" is not a positive number of rows`,
		"icf:-1":                    `"-1" is not a positive number of rows`,
		"icf:1.5":                   `"1.5" is not a positive number of rows`,
		"icf:4:5":                   `"4:5" is not a positive number of rows`,
		"icf:0%":                    `share "0%" is not above 0 and at most 100 %`,
		"icf:101%":                  `share "101%" is not`,
		"icf:%":                     `share "%" is not`,
		"icf:NaN%":                  `share "NaN%" is not`,
		"icf:x%":                    `share "x%" is not`,
		"all:3":                     `all keeps all rows, however many in "all:3"`,
		"mass:0.8":                  `all keeps all rows, however many in "mass:0.8"`,
		"nospecials:3":              `nospecials takes no value`,
		"nostopwords":               `nostopwords needs a value`,
		"nostopwords:3":             `stop words "3", want a share of the documents, such as 20%, or a language`,
		"icf:4+":                    `unknown option "", want one of mass, cost,`,
		"icf:4+sed:1":               `unknown option "sed:1"`,
		"icf:4+idf:1":               `unknown option "idf:1"`,
		"icf:4+dropunseen:":         `dropunseen takes no value`,
		"icf:4+seed":                `seed needs a value`,
		"icf:4+seed:-1":             `seed "-1" is no whole number in "icf:4+seed:-1"`,
		"icf+mass:2":                `"2" is not above 0 and at most 1`,
		"icf+mass:NaN":              `"NaN" is not above 0`,
		"icf+cost:0":                `"0" is not a positive number`,
		"icf:2+merge:0.5+merge:0.6": `merge twice`,
		"merge:1.5":                 `"1.5" is not above 0 and at most 1`,
		"weigh:bm25":                `unknown weights "bm25", want one of none, idf, masks`,
		"mask:x":                    `token id "x" is no number of 32 bits`,
		"special:1/4294967296":      `token id "4294967296" is no number`,
	} {
		_, err := querypruner.Parse(spec)
		if !errors.Is(err, querypruner.ErrInvalid) {
			t.Errorf("%q: error %v, want ErrInvalid", spec, err)
			continue
		}
		if !strings.Contains(err.Error(), says) {
			t.Errorf("%q: error %q, want it to say %q", spec, err, says)
		}
	}
}

// TestString checks the written form and that it keeps every setting.
func TestString(t *testing.T) {
	for want, p := range map[string]querypruner.Pruner{
		"all":             {},
		"icf:4":           {Strategy: querypruner.ICF, Keep: querypruner.Keep{Count: 4, Share: 0.5}},
		"icf:7%":          {Strategy: querypruner.ICF, Keep: share(0.07)},
		"icf:100%":        {Strategy: querypruner.ICF, Keep: share(1)},
		"icf:50%":         {Strategy: querypruner.ICF, Keep: share(0.5)},
		"icf:0.001%":      {Strategy: querypruner.ICF, Keep: share(0.00001)},
		"icf:12.5%":       {Strategy: querypruner.ICF, Keep: share(0.125)},
		"nostopwords:20%": {Drop: querypruner.Drop{StopShare: 0.2}},
		"random:2+dropunseen+scorekept+seed:5": {
			Strategy: querypruner.Random, Keep: keep(2), Seed: 5, Drop: querypruner.Drop{Unseen: true}, ScoreKept: true,
		},
		"icf+mass:0.8+cost:50+weigh:idf+merge:0.7": {
			Strategy: querypruner.ICF, Keep: querypruner.Keep{Mass: 0.8, Cost: 50}, Merge: 0.7, Weights: querypruner.IDFWeights,
		},
		"strategy(77)": {Strategy: 77},
	} {
		if got := p.String(); got != want {
			t.Errorf("%+v is %q, want %q", p, got, want)
		}
	}
	random := rand.New(rand.NewPCG(5, 6))
	for range 5000 {
		p := randomPruner(random)
		got, err := querypruner.Parse(p.String())
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, p) {
			t.Fatalf("%q reads as %+v, want %+v", p, got, p)
		}
	}
}

// FuzzParse checks that what Parse accepts is valid and survives String.
func FuzzParse(f *testing.F) {
	for _, p := range valid {
		f.Add(p.String())
	}
	for _, spec := range []string{"icf:4+dropunseen", "icf:1e-1%", "icf:0x1p%", "icf:+5%", "icf:.5%", "a:b%+c:d", "icf:1_0%", "icf+mass:1e-9", "weigh:none", "mask:1/1"} {
		f.Add(spec)
	}
	f.Fuzz(func(t *testing.T, spec string) {
		p, err := querypruner.Parse(spec)
		if err != nil {
			if !errors.Is(err, querypruner.ErrInvalid) {
				t.Fatalf("%q: error %v does not wrap ErrInvalid", spec, err)
			}
			return
		}
		if err := p.Validate(); err != nil {
			t.Fatalf("%q: %v", spec, err)
		}
		again, err := querypruner.Parse(p.String())
		if err != nil {
			t.Fatalf("%q, written as %q: %v", spec, p, err)
		}
		if !reflect.DeepEqual(again, p) {
			t.Fatalf("%q is %+v, but its form %q is %+v", spec, p, p, again)
		}
	})
}

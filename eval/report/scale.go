package report

import (
	"math"
	"strconv"
)

// scale maps values to a length from 0 to 1, evenly or by their logarithms.
type scale struct {
	lo, hi float64
	log    bool
	ticks  []float64 // ascending, from lo to hi or inside
}

// linear returns an even scale that holds all values, begins and ends on a tick
// and has about so many steps of 1, 2 or 5 times a power of ten.
func linear(values []float64, steps int) scale {
	lo, hi := limits(values)
	if lo == hi {
		lo, hi = lo-max(math.Abs(lo)*0.05, 0.01), hi+max(math.Abs(hi)*0.05, 0.01)
	}
	step := niceStep((hi - lo) / float64(steps))
	first, last := math.Floor(lo/step+1e-9), math.Ceil(hi/step-1e-9)
	s := scale{lo: first * step, hi: last * step}
	for i := first; i <= last; i++ {
		s.ticks = append(s.ticks, clean(i*step, step))
	}
	s.lo, s.hi = s.ticks[0], s.ticks[len(s.ticks)-1]
	return s
}

// logarithmic returns a scale that holds all values, which are above zero, with a
// little room. Ticks are at 1, 2 and 5 times powers of ten, or at powers of ten alone
// where the former would be more than eight.
func logarithmic(values []float64) scale {
	lo, hi := limits(values)
	s := scale{lo: lo / 1.15, hi: hi * 1.15, log: true}
	for _, factors := range [][]float64{{1, 1.5, 2, 3, 4, 5, 6, 8}, {1, 2, 5}, {1}} {
		s.ticks = s.ticks[:0]
		for e := math.Floor(math.Log10(s.lo)); e <= math.Ceil(math.Log10(s.hi)); e++ {
			for _, f := range factors {
				// Parsed, since 10^-2 times 5 is not quite 0.05.
				tick, err := strconv.ParseFloat(strconv.FormatFloat(f, 'f', -1, 64)+"e"+strconv.Itoa(int(e)), 64)
				if err == nil && tick >= s.lo && tick <= s.hi {
					s.ticks = append(s.ticks, tick)
				}
			}
		}
		if len(s.ticks) <= 8 {
			break
		}
	}
	return s
}

// at returns the place of a value, 0 at the lower end and 1 at the upper.
func (s scale) at(x float64) float64 {
	if s.log {
		return math.Log(x/s.lo) / math.Log(s.hi/s.lo)
	}
	return (x - s.lo) / (s.hi - s.lo)
}

func limits(values []float64) (lo, hi float64) {
	lo, hi = values[0], values[0]
	for _, v := range values {
		lo, hi = min(lo, v), max(hi, v)
	}
	return lo, hi
}

// niceStep returns the smallest of 1, 2 and 5 times a power of ten that is not
// below a step.
func niceStep(step float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(step)))
	for _, f := range []float64{1, 2, 5} {
		if f*power >= step*(1-1e-9) {
			return f * power
		}
	}
	return 10 * power
}

// clean removes what multiplying has added to a multiple of a step.
func clean(x, step float64) float64 {
	digits := max(0, -int(math.Floor(math.Log10(step))))
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(x, 'f', digits, 64), 64)
	if err != nil || rounded == 0 {
		return 0 // never -0
	}
	return rounded
}

// tickTexts writes ticks with as many digits as they have, in thousands or millions
// where the largest has many.
func tickTexts(ticks []float64) []string {
	largest := 0.0
	for _, t := range ticks {
		largest = max(largest, math.Abs(t))
	}
	texts := make([]string, len(ticks))
	for i, t := range ticks {
		switch {
		case largest >= 1e6 && math.Abs(t) >= 1e5:
			texts[i] = strconv.FormatFloat(t/1e6, 'g', 10, 64) + "M"
		case largest >= 1e4 && math.Abs(t) >= 1e3:
			texts[i] = strconv.FormatFloat(t/1e3, 'g', 10, 64) + "k"
		default:
			texts[i] = strconv.FormatFloat(t, 'f', -1, 64)
		}
		texts[i] = minus(texts[i])
	}
	return texts
}

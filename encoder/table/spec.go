package table

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/pare-search/pare/simd"
)

// Spec is a method and how many times smaller than float32 its table is to be.
type Spec struct {
	Method string
	Factor float64
}

// ParseSpec reads "opq:16x". The error wraps ErrInvalid.
func ParseSpec(text string) (Spec, error) {
	method, factor, ok := strings.Cut(text, ":")
	if !ok {
		return Spec{}, fmt.Errorf("%w: %q, want a method and a factor, as in opq:16x", ErrInvalid, text)
	}
	if _, err := find(method); err != nil {
		return Spec{}, err
	}
	f, err := ParseFactor(factor)
	return Spec{method, f}, err
}

// ParseFactor reads "16x". The error wraps ErrInvalid.
func ParseFactor(text string) (float64, error) {
	number, ok := strings.CutSuffix(text, "x")
	factor, err := strconv.ParseFloat(number, 64)
	if !ok || err != nil || !(factor >= 1 && factor <= 1e6) {
		return 0, fmt.Errorf("%w: factor %q, want 1x or more, as 16x", ErrInvalid, text)
	}
	return factor, nil
}

// String writes what ParseSpec reads.
func (s Spec) String() string { return s.Method + ":" + FormatFactor(s.Factor) }

// FormatFactor writes what ParseFactor reads.
func FormatFactor(factor float64) string { return strconv.FormatFloat(factor, 'g', -1, 64) + "x" }

// Budget is the bytes of a matrix in float32 over the factor.
func (s Spec) Budget(matrix simd.Matrix) int { return int(4 * float64(len(matrix.Data)) / s.Factor) }

// Fit is the function Fit with the spec's method, and its budget in place of the
// options'.
func (s Spec) Fit(ctx context.Context, matrix simd.Matrix, options Options) (*Table, error) {
	options.Budget = s.Budget(matrix)
	return Fit(ctx, s.Method, matrix, options)
}

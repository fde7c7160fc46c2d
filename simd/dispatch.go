package simd

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// level is a set of instructions that kernels are written for.
type level uint8

const (
	levelGo     level = iota // plain Go
	levelAVX2                // AVX2 and FMA
	levelAVX512              // AVX-512 F, BW, DQ, VL, VNNI and VBMI
)

var levelNames = [...]string{levelGo: "go", levelAVX2: "avx2", levelAVX512: "avx512"}

func (l level) String() string { return levelNames[l] }

// current is what packed queries are made for from now on.
var current = bestLevel()

// Level names the instructions that the kernels use on this machine: "avx512"
// (F, BW, DQ, VL, VNNI and VBMI), "avx2" (with FMA) or "go". The build tag
// noasm makes it "go", and so does any processor but amd64. The environment
// variable GODEBUG lowers it: cpu.avx512f=off, or cpu.avx2=off for plain Go.
func Level() string { return current.String() }

// ErrLevel reports a level that this machine does not have.
var ErrLevel = errors.New("simd: no such level on this machine")

// Levels names the levels that this machine has, the slowest first; the last
// one is what Level says unless it was overridden.
func Levels() []string { return slices.Clone(levelNames[:bestLevel()+1]) }

// SetLevel makes queries packed from now on use another of the Levels, and
// returns how to undo that. It is for benchmarks only, which compare levels in
// one process: nothing may be packed at the same time. Queries that are packed
// already stay as they are.
func SetLevel(name string) (undo func(), err error) {
	l := slices.Index(levelNames[:bestLevel()+1], name)
	if l < 0 {
		return nil, fmt.Errorf("%w: %q, want %s", ErrLevel, name, strings.Join(Levels(), ", "))
	}
	return setLevel(level(l)), nil
}

// setLevel makes queries packed from now on use another level, at most the
// machine's best, and returns how to undo that. It is for tests: nothing may
// be packed at the same time.
func setLevel(l level) (undo func()) {
	before := current
	current = min(l, bestLevel())
	return func() { current = before }
}

// The rows of a query are cut into blocks for which there are kernels: as many
// of largestBlock as there are, then one of 32, 16 or 8 for the rest. Lanes
// without a row hold zeros. Kernels for bytes may leave out some of those lanes;
// see tileRows.
const largestBlock = 32

// blockOf returns the size of the next block when so many rows are left.
func blockOf(rows int) int {
	switch {
	case rows > 16:
		return 32
	case rows > 8:
		return 16
	}
	return 8
}

// strideOf returns the number of lanes of all blocks of so many rows.
func strideOf(rows int) int {
	stride := rows / largestBlock * largestBlock
	if rest := rows % largestBlock; rest > 0 {
		stride += blockOf(rest)
	}
	return stride
}

// callWork bounds the multiplications of one call of a kernel, which the
// scheduler cannot interrupt, to some ten microseconds; tileVectors is a
// multiple of the vectors of every tile.
const (
	callWork    = 1 << 20
	tileVectors = 24
)

// callVectors returns how many vectors one call should take.
func callVectors(rows, dim int) int {
	return max(callWork/(rows*dim)/tileVectors, 1) * tileVectors
}

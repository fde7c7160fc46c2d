package table

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Method is a way to compress a matrix.
type Method struct {
	// Name is what Fit takes.
	Name string
	// Group is what kind of method it is, as in the survey of Xu et al. (arXiv
	// 2111.05193).
	Group string
	// Source is the publication.
	Source string
	// Form says in a few words what the method does here, where nothing is
	// trained.
	Form string

	fit func(context.Context, problem) (node, error)
}

// methods in the order in which a report shows them.
var methods = []Method{
	{usedRows, "pruning", "Hugging Face forum, 2021", "rows of tokens that occur, exactly, and one row for all others", fitUsedRows},
	{"magnitude", "pruning", "Deng et al., DeepLight, arXiv 2002.06987", "the largest values of each row, more of frequent rows", fitMagnitude},
	{"row-clusters", "sharing", "Wu et al., Saec, arXiv 1903.00103", "frequency-weighted k-means of whole rows", fitRowClusters},
	{"quotient-remainder", "sharing", "Shi et al., arXiv 1909.02107", "two tables, entries added or multiplied, by alternating least squares", fitQuotientRemainder},
	{"robe", "sharing", "Desai et al., ROBE, arXiv 2108.02191", "signed blocks of one shared array, by least squares", fitROBE},
	{"lloyd", "quantization", "Andrews, arXiv 1511.06397", "Lloyd-Max levels of a column, some bits per value", fitLloyd},
	{"bits", "quantization", "Lam, Word2Bits, arXiv 1803.05651", "few bits per value behind a random rotation, one scale per row", fitBits},
	{"banded", "quantization", "this project", "bits by row: the bit that takes away most weighted error per byte comes first", fitBanded},
	{bandedRetrieval, "quantization", "this project", "the same with errors weighed by what searches were measured to lose", fitBandedRetrieval},
	{"product", "quantization", "Suzuki and Nagata, IJCAI 2016", "k-means of sub-vectors, shared by all rows", fitProduct},
	{"opq", "quantization", "Suzuki and Nagata, IJCAI 2016; Ge et al., PAMI 2014", "the same in rotated axes", fitOPQ},
	{"additive", "quantization", "Shu and Nakayama, arXiv 1711.01068", "sums of entries of codebooks: residual k-means, then codes and entries in turns", fitAdditive},
	{"distilled", "factorization", "Mou et al., arXiv 1506.04488", "weighted principal components of all rows", fitDistilled},
	{"group-reduce", "factorization", "Chen et al., GroupReduce, arXiv 1806.06950", "low rank in bands of frequency, rows regrouped", fitGroupReduce},
	{"mixed-dims", "factorization", "Ginart et al., arXiv 1909.11810", "dimensions by a power of frequency", fitMixedDims},
	{"mixed-dims-inverse", "factorization", "Ginart et al., arXiv 1909.11810", "the same with the sign of the power turned: rare rows get more", fitMixedDimsInverse},
	{"adaptive-dims", "factorization", "Baevski and Auli, arXiv 1809.10853", "three bands, a quarter of the dimensions from one to the next", fitAdaptiveDims},
	{"searched-dims", "factorization", "Zhao et al., AutoDim, arXiv 2006.14827", "dimensions of bands by greedy gain per byte", fitSearchedDims},
	{"tensor-train", "factorization", "Khrulkov et al., arXiv 1901.10787", "TT-SVD with three cores", fitTensorTrain},
	{"word2ket", "factorization", "Panahi et al., arXiv 1911.04975", "rows as sums of Kronecker products of two vectors", fitWord2Ket},
	{"word2ketxs", "factorization", "Panahi et al., arXiv 1911.04975", "the matrix as a sum of Kronecker products", fitWord2KetXS},
	{"sparse-codes", "sparse codes", "Faruqui et al., arXiv 1506.02004", "few atoms of an overcomplete dictionary", fitSparseCodes},
	{"sparse-binary", "sparse codes", "Faruqui et al., arXiv 1506.02004", "few atoms, all of the same weight", fitSparseBinary},
	{"sparse-nonneg", "sparse codes", "Andrews, arXiv 1511.06397", "few atoms, never subtracted", fitSparseNonNegative},
	{"sparse-common", "sparse codes", "Chen et al., arXiv 1610.03950", "rare rows as sums of few frequent rows", fitSparseCommon},
}

// Methods returns all methods.
func Methods() []Method { return slices.Clone(methods) }

// UsesSensitivities tells whether a method has a use for Options.Sensitivities.
func UsesSensitivities(method string) bool {
	return method == bandedRetrieval || strings.HasSuffix(method, "+"+bandedRetrieval)
}

// GroupOf returns the group of a method, also with "used-rows+" before it; empty for an
// unknown one.
func GroupOf(method string) string {
	m, _ := find(method)
	return m.Group
}

// find returns a method by its name. The name of another method behind "used-rows+"
// is that method for the rows of tokens that occur.
func find(name string) (Method, error) {
	if inner, ok := beforeUsed(name); ok && inner != usedRows {
		m, err := find(inner)
		if err != nil {
			return Method{}, err
		}
		fit := m.fit
		m.Name, m.fit = name, func(ctx context.Context, p problem) (node, error) { return fitUsed(ctx, p, fit) }
		return m, nil
	}
	names := make([]string, len(methods))
	for i, m := range methods {
		if m.Name == name {
			return m, nil
		}
		names[i] = m.Name
	}
	return Method{}, fmt.Errorf("%w: unknown method %q, want one of %s", ErrInvalid, name, strings.Join(names, ", "))
}

// The kinds of nodes.
const (
	kindGrouped     = 'g'
	kindPlain       = 'p'
	kindOverlaid    = 'o'
	kindLevels      = 'l'
	kindCodebooks   = 'c'
	kindFactors     = 'f'
	kindTensorTrain = 't'
	kindKroneckers  = 'k'
	kindProducts    = 'x'
	kindQuotients   = 'q'
	kindBlocks      = 'b'
	kindSparse      = 's'
	kindTurned      = 'u'
	kindRotated     = 'r'
)

// open checks what a node holds and makes a form of it.
func (n node) open(rows, dim int) (form, error) {
	switch n.kind {
	case kindGrouped:
		return openGrouped(n, rows, dim)
	case kindPlain:
		return openPlain(n, rows, dim)
	case kindOverlaid:
		return openOverlaid(n, rows, dim)
	case kindLevels:
		return openLevels(n, rows, dim)
	case kindCodebooks:
		return openCodebooks(n, rows, dim)
	case kindFactors:
		return openFactors(n, rows, dim)
	case kindTensorTrain:
		return openTensorTrain(n, rows, dim)
	case kindKroneckers:
		return openKroneckers(n, rows, dim)
	case kindProducts:
		return openProducts(n, rows, dim)
	case kindQuotients:
		return openQuotients(n, rows, dim)
	case kindBlocks:
		return openBlocks(n, rows, dim)
	case kindSparse:
		return openSparse(n, rows, dim)
	case kindTurned:
		return openTurned(n, rows, dim)
	case kindRotated:
		return openRotated(n, rows, dim)
	}
	return nil, fmt.Errorf("%w: unknown kind of node %q", ErrCorrupt, n.kind)
}

// most returns the largest n from lo to hi for which fits holds, given that it
// holds up to some number and not after it, and lo-1 if it does not hold for lo.
func most(lo, hi int, fits func(n int) bool) int {
	for lo <= hi {
		if middle := lo + (hi-lo)/2; fits(middle) {
			lo = middle + 1
		} else {
			hi = middle - 1
		}
	}
	return hi
}

// tooSmall says what a method would need.
func (p problem) tooSmall(least int) error {
	return fmt.Errorf("%w: %d bytes, needs at least %d for %d x %d", ErrBudget, p.budget, least, p.Rows, p.Dim)
}

package corpus

import (
	"context"
	"fmt"
	"iter"
	"math"

	"github.com/pare-search/pare/simd"
)

// spectrum is the power of the singular values in a word vector. Below 1 it
// gives the weaker directions more weight than latent semantic analysis does.
const spectrum = 0.25

// Train reads texts once and returns an encoder for them. The collection may
// be empty and so may be texts; words without a trained vector are hashed.
//
// progress, unless nil, is called from the calling goroutine with the stage
// ("read" counts texts, "vectors" steps of the decomposition) and how much of
// it is done; total is 0 while unknown. An error of texts ends the training
// and is returned wrapped, as is the end of ctx.
func Train(ctx context.Context, texts iter.Seq2[string, error], opts Options, progress func(stage string, done, total int)) (*Encoder, error) {
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	if progress == nil {
		progress = func(string, int, int) {}
	}
	seen, err := read(ctx, texts, opts, progress)
	if err != nil {
		return nil, err
	}
	vocab := seen.vocabulary(opts)

	documents := documentBlock(seen.sample.documents(), vocab)
	neighbours, err := neighbourBlock(ctx, seen.sample.documents(), vocab.size(), opts.Window)
	if err != nil {
		return nil, fmt.Errorf("corpus: counting neighbours: %w", err)
	}
	blocks := []block{documents, neighbours}
	step := func(done, total int) { progress("vectors", done, total) }
	u, s, err := leftSingular(ctx, blocks, vocab.size(), opts.Dim, opts.Seed, step)
	if err != nil {
		return nil, fmt.Errorf("corpus: decomposing: %w", err)
	}
	return newEncoder(opts, vocab, newCodes(quantise(wordVectors(u, s, opts.Dim, vocab.words), opts.Dim), opts.Dim)), nil
}

// wordVectors returns one vector per word, U * S^spectrum, padded with zeros
// to dim when the matrix has a smaller rank. Words that the singular vectors
// leave out get their hashed vector.
func wordVectors(u simd.Matrix, s []float64, dim int, words []string) simd.Matrix {
	out := simd.NewMatrix(u.Rows, dim)
	for w := range u.Rows {
		row := out.Row(w)
		var sum float64
		for j, v := range u.Row(w) {
			row[j] = v * float32(math.Pow(s[j], spectrum))
			sum += float64(row[j]) * float64(row[j])
		}
		if sum < 1e-20 {
			hashVector(row, hashWord(words[w]))
		}
	}
	return out
}

// quantise returns the rows as int8 codes. A row's largest value becomes 127
// or -127; its length is not kept, since word vectors have length 1.
func quantise(vectors simd.Matrix, dim int) []int8 {
	codes := make([]int8, len(vectors.Data))
	for i := range vectors.Rows {
		simd.QuantizeInt8(codes[i*dim:(i+1)*dim], vectors.Row(i))
	}
	return codes
}

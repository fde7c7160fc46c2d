package index

import (
	"context"
	"errors"
	"fmt"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/simd"
)

// Errors that callers test for.
var (
	// ErrInvalid: a document or an option cannot be accepted.
	ErrInvalid = errors.New("invalid")
	// ErrDuplicate: a document's id is taken, or stands twice in one batch.
	ErrDuplicate = errors.New("duplicate document id")
	// ErrExists: there is an index in the folder already, or other files.
	ErrExists = errors.New("folder is not empty")
	// ErrLocked: another writer has the index open.
	ErrLocked = errors.New("index is locked by another writer")
	// ErrClosed: the writer was closed before.
	ErrClosed = errors.New("closed")
)

// Limits of a document, enforced by Writer.Add.
const (
	// MaxTokens is the largest number of vectors of one document.
	MaxTokens = 1 << 19
	// MaxIDBytes is the longest document id.
	MaxIDBytes = 64 << 10
	// MaxTextBytes is the longest stored text.
	MaxTextBytes = 64 << 20
)

// Document is one document to be indexed.
type Document struct {
	// ID names the document, unique in the index, not empty.
	ID string
	// Tokens is what the document was encoded to. No vectors at all are
	// allowed: such a document is stored and never found.
	Tokens encoder.Tokens
	// Text is what the vectors were made of, stored for snippets and
	// highlights if Options.StoreText is set.
	Text string

	unpruned int // vectors there were before pruning, set by Writer
}

// Options shape an index when it is created; they are kept in it.
type Options struct {
	// Dim is the number of dimensions of every vector: a multiple of 8 up to
	// 1024.
	Dim int `json:"dimensions"`
	// Codec says how vectors are compressed and how cells are trained.
	Codec codec.Options `json:"codec"`
	// Refine stores every vector again, with 8 bits per dimension: searches score
	// the best documents by those, so that their order is that of the vectors
	// themselves, for Dim+4 bytes per vector that are hardly ever read.
	Refine bool `json:"refine,omitempty"`
	// StoreText keeps the documents' texts.
	StoreText bool `json:"store_text"`
	// SegmentBytes is the size of payloads, of ids or of compressed texts at
	// which a segment is written, so that adding needs bounded memory.
	SegmentBytes int `json:"segment_bytes"`
	// TrainingVectors is how many vectors are held back to train the
	// codebook on when the index is created without one. They take
	// TrainingVectors x Dim x 4 bytes of memory.
	TrainingVectors int `json:"training_vectors"`
	// Merge says when a writer merges segments in the background.
	Merge MergeOptions `json:"merge"`
}

// DefaultOptions returns options for vectors of the given width: 2-bit
// residual codes, no texts, segments of 64 MiB.
func DefaultOptions(dim int) Options {
	return Options{
		Dim:             dim,
		Codec:           codec.DefaultOptions(),
		SegmentBytes:    64 << 20,
		TrainingVectors: 1 << 18,
		Merge:           DefaultMergeOptions(),
	}
}

// Validate reports every option that makes no sense.
func (o Options) Validate() error {
	var faults []error
	if o.Dim < 8 || o.Dim > 1024 || o.Dim%8 != 0 {
		faults = append(faults, fmt.Errorf("%w: dimensions %d, want a multiple of 8 from 8 to 1024", ErrInvalid, o.Dim))
	}
	if err := o.Codec.Validate(); err != nil {
		faults = append(faults, fmt.Errorf("%w: %w", ErrInvalid, err))
	}
	if o.SegmentBytes < 1<<10 || o.SegmentBytes > maxSegmentBytes/2 {
		faults = append(faults, fmt.Errorf("%w: segment size %d bytes, want 1 KiB to 2 GiB", ErrInvalid, o.SegmentBytes))
	}
	if o.TrainingVectors < 1 {
		faults = append(faults, fmt.Errorf("%w: %d training vectors, want at least one", ErrInvalid, o.TrainingVectors))
	}
	faults = append(faults, o.Merge.Validate())
	return errors.Join(faults...)
}

// validate checks what a single document can get wrong. The error may be that of
// ctx.
func (d Document) validate(ctx context.Context, dim int) error {
	switch {
	case d.ID == "":
		return errors.New("the id is empty")
	case len(d.ID) > MaxIDBytes:
		return fmt.Errorf("the id %.40q... has %d bytes, at most %d are allowed", d.ID, len(d.ID), MaxIDBytes)
	case d.Tokens.Vectors.Rows > MaxTokens:
		return fmt.Errorf("%q has %d vectors, at most %d are allowed", d.ID, d.Tokens.Vectors.Rows, MaxTokens)
	case len(d.Text) > MaxTextBytes:
		return fmt.Errorf("%q has %d bytes of text, at most %d are allowed", d.ID, len(d.Text), MaxTextBytes)
	}
	if err := d.Tokens.ValidateShape(dim); err != nil {
		return fmt.Errorf("%q: %w", d.ID, err)
	}
	if err := checkComponents(ctx, d.Tokens.Vectors); err != nil {
		return fmt.Errorf("%q: %w", d.ID, err)
	}
	return nil
}

// checkComponents refuses values that are not finite, and those with which scores
// would overflow.
func checkComponents(ctx context.Context, m simd.Matrix) error {
	const atOnce = 1 << 18 // values between two looks at ctx
	for i, x := range m.Data {
		if i%atOnce == atOnce-1 && ctx.Err() != nil {
			return ctx.Err()
		}
		if x-x != 0 {
			return fmt.Errorf("%w: row %d, column %d is %v", simd.ErrNotFinite, i/m.Dim, i%m.Dim, x)
		}
		if !(x >= -codec.MaxComponent && x <= codec.MaxComponent) {
			return fmt.Errorf("row %d, column %d is %v, beyond %g", i/m.Dim, i%m.Dim, x, codec.MaxComponent)
		}
	}
	return nil
}

package searchbench

import (
	"context"
	"time"

	"github.com/pare-search/pare/index"
	"github.com/pare-search/pare/retriever"
)

// Built is what building an index took.
type Built struct {
	Seconds float64 `json:"seconds"`
	// TrainSeconds is the part of Seconds that the codebook took, drawing its
	// sample included.
	TrainSeconds float64 `json:"train_seconds"`
	// CPUSeconds is the processor time of all threads, 0 where the system does
	// not tell it.
	CPUSeconds float64 `json:"cpu_seconds,omitempty"`
	// PeakBytes is the most memory that the process had meanwhile, 0 where the
	// system does not tell it.
	PeakBytes int64 `json:"peak_bytes,omitempty"`
}

// Build is retriever.BuildEmbeddings, measured. progress, if not nil, is told how
// far each stage is.
func Build(ctx context.Context, dir string, documents retriever.Embeddings, shape index.Options, progress func(stage string, done, total int)) (Built, error) {
	var built Built
	resetPeakMemory()
	start, cpu := time.Now(), processorTime()
	options := retriever.DefaultBuildOptions()
	options.Index = shape
	options.Progress = func(stage retriever.Stage, done, total int) {
		if stage == retriever.Indexing && built.TrainSeconds == 0 {
			built.TrainSeconds = time.Since(start).Seconds()
		}
		if progress != nil {
			progress(string(stage), done, total)
		}
	}
	if err := retriever.BuildEmbeddings(ctx, dir, documents, options); err != nil {
		return Built{}, err
	}
	built.Seconds = time.Since(start).Seconds()
	built.CPUSeconds = (processorTime() - cpu).Seconds()
	built.PeakBytes = peakMemory()
	return built, nil
}

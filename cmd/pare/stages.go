package main

import (
	"cmp"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/pare-search/pare/retriever"
)

// stages shows one bar after the other for the stages of building an index.
type stages struct {
	app    *app
	stderr io.Writer

	stage  retriever.Stage
	began  time.Time
	bar    progress
	seen   int
	tokens atomic.Int64 // that a model has encoded in this stage
}

func (a *app) stages(stderr io.Writer) *stages {
	return &stages{app: a, stderr: stderr}
}

// report is a retriever.BuildOptions.Progress.
func (s *stages) report(stage retriever.Stage, done, total int) {
	if stage != s.stage {
		s.bar.done()
		units := "documents"
		switch stage {
		case retriever.TrainingEncoder:
			units = "steps"
		case retriever.LearningVectors, retriever.SamplingVectors, retriever.TrainingCodebook:
			units = "vectors"
		}
		s.stage, s.seen, s.began = stage, 0, time.Now()
		s.tokens.Store(0)
		s.bar = s.app.progress(s.stderr, string(stage), units, cmp.Or(int64(total), -1))
	}
	if tokens := s.tokens.Load(); tokens > 0 {
		s.bar.describe(fmt.Sprintf("%s, %.0f tokens/s", stage, float64(tokens)/time.Since(s.began).Seconds()))
	}
	s.bar.add(done - s.seen)
	s.seen = done
}

// count is a bert.Options.Progress.
func (s *stages) count(tokens int) { s.tokens.Add(int64(tokens)) }

// done wipes the last bar off.
func (s *stages) done() { s.bar.done() }

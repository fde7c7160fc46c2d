package main

import (
	"cmp"
	"io"

	"github.com/pare-search/pare/retriever"
)

// stages shows one bar after the other for the stages of building an index.
type stages struct {
	app    *app
	stderr io.Writer

	stage retriever.Stage
	total int // 0 is unknown
	bar   progress
	seen  int
}

func (a *app) stages(stderr io.Writer) *stages {
	return &stages{app: a, stderr: stderr}
}

// report is a retriever.BuildOptions.Progress.
func (s *stages) report(stage retriever.Stage, done, total int) {
	// The encoder first reads an unknown number of documents, then computes in
	// a known number of steps.
	if stage != s.stage || total != s.total {
		s.bar.done()
		units := "documents"
		switch {
		case stage == retriever.TrainingEncoder && total > 0:
			units = "steps"
		case stage == retriever.SamplingVectors, stage == retriever.TrainingCodebook:
			units = "vectors"
		}
		s.stage, s.total, s.seen = stage, total, 0
		s.bar = s.app.progress(s.stderr, string(stage), units, cmp.Or(int64(total), -1))
	}
	s.bar.add(done - s.seen)
	s.seen = done
}

// done wipes the last bar off.
func (s *stages) done() { s.bar.done() }

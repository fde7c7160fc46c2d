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
	bar   progress
	seen  int
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
		case retriever.SamplingVectors, retriever.TrainingCodebook:
			units = "vectors"
		}
		s.stage, s.seen = stage, 0
		s.bar = s.app.progress(s.stderr, string(stage), units, cmp.Or(int64(total), -1))
	}
	s.bar.add(done - s.seen)
	s.seen = done
}

// done wipes the last bar off.
func (s *stages) done() { s.bar.done() }

package sweep

import (
	"path/filepath"
	"strings"

	"github.com/pare-search/pare/eval/dataset"
)

// WriteRuns writes the results of every system to a TREC run of its own, whose
// tag is the system's name without spaces and signs. The name is put before
// the extensions of path: "out.trec.gz" becomes "out.icf-4.trec.gz", a path
// without extension gets ".trec". It returns the files that were written.
func (r *Report) WriteRuns(path string) ([]string, error) {
	var written []string
	for _, s := range r.Systems {
		run := s.Run
		run.Tag = fileName.Replace(s.Name)
		target := RunFile(path, s.Name)
		if err := dataset.WriteRunFile(target, run); err != nil {
			return written, err
		}
		written = append(written, target)
	}
	return written, nil
}

// RunFile puts names before the extensions of path: "out.trec.gz" and the names
// "cranfield" and "icf:4" make "out.cranfield.icf-4.trec.gz". A path without
// extension gets ".trec".
func RunFile(path string, names ...string) string {
	dir, file := filepath.Split(path)
	stem, extension, _ := strings.Cut(file, ".")
	if extension == "" {
		extension = "trec"
	}
	for _, name := range names {
		stem += "." + fileName.Replace(name)
	}
	return filepath.Join(dir, stem+"."+extension)
}

// fileName makes a file name of a system's name that every file system takes.
var fileName = strings.NewReplacer(" + ", "-", ", ", "-", ": ", "-", ":", "-", " ", "-", "+", "-", "=", "-", "%", "pct", "/", "-", `\`, "-")

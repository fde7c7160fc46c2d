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
	dir, file := filepath.Split(path)
	stem, extension, _ := strings.Cut(file, ".")
	if extension == "" {
		extension = "trec"
	}
	var written []string
	for _, s := range r.Systems {
		run := s.Run
		run.Tag = fileName.Replace(s.Name)
		target := filepath.Join(dir, stem+"."+run.Tag+"."+extension)
		if err := dataset.WriteRunFile(target, run); err != nil {
			return written, err
		}
		written = append(written, target)
	}
	return written, nil
}

// fileName makes a file name of a system's name that every file system takes.
var fileName = strings.NewReplacer(" + ", "-", ":", "-", " ", "-", "+", "-", "=", "-", "%", "pct", "/", "-", `\`, "-")

package searchbench_test

import (
	"math"
	"os"
	"reflect"
	"testing"

	"github.com/pare-search/pare/eval/searchbench"
)

func smallScale() searchbench.ScaleOptions {
	options := searchbench.DefaultScaleOptions()
	options.Passages, options.Project = []int{200, 800}, []int{8000}
	options.Index.Codec.VectorsPerCell = 32
	options.Repeats, options.Depth = 1, 500
	return options
}

func TestScale(t *testing.T) {
	e := openEmbeddings(t)
	dir := t.TempDir()
	options := smallScale()
	stages := make(map[string]bool)
	options.Progress = func(stage string, done, total int) {
		stages[stage] = true
		if done > total {
			t.Errorf("%s: %d of %d", stage, done, total)
		}
	}
	report, err := searchbench.Scale(t.Context(), dir, e, options)
	must(t, err)
	if len(stages) < 8 {
		t.Errorf("stages %v", stages)
	}
	for i, size := range report.Sizes {
		if size.Passages != options.Passages[i] || size.Vectors < 19*int64(size.Passages) || size.Cells < 2 {
			t.Errorf("size %+v", size)
		}
		if size.BytesPerToken < 4 || size.Built.Seconds <= 0 || size.Exhaustive <= 0 {
			t.Errorf("size %+v", size)
		}
		for _, p := range []searchbench.Probed{size.Unpruned, size.Budgeted} {
			if !p.Reached || p.Recall10 < options.Recall || p.P50 <= 0 || p.Work.Candidates < 10 {
				t.Errorf("%d passages: %+v", size.Passages, p)
			}
		}
	}
	// The smallest collection is what the model is made from.
	first := report.Sizes[0].Budgeted
	first.Stages.Refine = 0 // no refinements are stored
	if first.Model != first.Stages {
		t.Errorf("model %+v, measured %+v", first.Model, first.Stages)
	}
	last, far := report.Sizes[1], report.Projected[0]
	if far.Bytes != 10*last.Bytes || far.Vectors != 10*last.Vectors || far.FlatScan <= 0 || far.FlatCells != far.Vectors/32 {
		t.Errorf("projection %+v of %+v", far, last)
	}
	// Ten times the passages once more, after four times.
	few, many := report.Sizes[0].Budgeted.Work.Candidates, last.Budgeted.Work.Candidates
	want := many * min(max(math.Pow(many/few, math.Log(10)/math.Log(4)), 1), 10)
	if math.Abs(far.Candidates/want-1) > 1e-9 {
		t.Errorf("%v, then %v candidates project to %v, want %v", few, many, far.Candidates, want)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("%v is left, error %v", entries, err)
	}
}

// TestScaleIsRepeatable builds the same collection twice: all but times is equal.
func TestScaleIsRepeatable(t *testing.T) {
	e := openEmbeddings(t)
	options := smallScale()
	options.Passages = options.Passages[:1]
	var reports []searchbench.Size
	for range 2 {
		report, err := searchbench.Scale(t.Context(), t.TempDir(), e, options)
		must(t, err)
		reports = append(reports, report.Sizes[0])
	}
	a, b := reports[0], reports[1]
	if a.Bytes != b.Bytes || a.Vectors != b.Vectors || !reflect.DeepEqual(a.Budgeted.Work, b.Budgeted.Work) {
		t.Errorf("%+v, then %+v", a, b)
	}
}

func TestScaleOptions(t *testing.T) {
	must(t, searchbench.DefaultScaleOptions().Validate())
	for name, change := range map[string]func(*searchbench.ScaleOptions){
		"no sizes":        func(o *searchbench.ScaleOptions) { o.Passages = nil },
		"falling sizes":   func(o *searchbench.ScaleOptions) { o.Passages = []int{1000, 500} },
		"tiny":            func(o *searchbench.ScaleOptions) { o.Passages = []int{1} },
		"recall":          func(o *searchbench.ScaleOptions) { o.Recall = 1.5 },
		"noise":           func(o *searchbench.ScaleOptions) { o.Noise = -1 },
		"depth":           func(o *searchbench.ScaleOptions) { o.Depth = 0 },
		"training sample": func(o *searchbench.ScaleOptions) { o.Index.TrainingVectors = 0 },
	} {
		options := searchbench.DefaultScaleOptions()
		change(&options)
		if err := options.Validate(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

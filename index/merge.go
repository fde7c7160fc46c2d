package index

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/pare-search/pare/index/codec"
)

// Merging turns segments into one that holds their live documents. It works on
// what is committed, beside the writer: segments never change, and of their
// deletes it takes a copy. In the end, under the writer's lock, it looks up what
// was deleted meanwhile, and makes a commit of its own that puts the new segment
// into the place of the old ones and changes nothing else. So it waits for a call
// of the writer to return, and a call of the writer waits for one commit at most.
// Searches never wait: a snapshot keeps the files it has opened.
//
// One merge runs at a time. It needs, beside the files it maps, four bytes for
// each document it reads and one buffer for each file.

// merging is the state of merges in the background.
type merging struct {
	ctx  context.Context
	stop context.CancelFunc
	slot chan struct{} // full while somebody merges
	off  bool          // nothing is merged in the background
	done sync.WaitGroup

	// Guarded by Writer.mu.
	running  chan struct{} // nil when no goroutine looks for work; closed when it ends
	err      error         // of the last merge in the background
	released []*writerPart // gone, to be closed after the next commit
	left     []string      // files that could not be removed
}

func newMerging() merging {
	ctx, stop := context.WithCancel(context.Background())
	return merging{ctx: ctx, stop: stop, slot: make(chan struct{}, 1)}
}

// mergeInBackground begins to merge, if there is a need and nobody does it. It is
// called with the lock held.
func (w *Writer) mergeInBackground() {
	if w.merging.off || w.manifest.Options.Merge.Manual || w.merging.running != nil || w.merging.ctx.Err() != nil {
		return
	}
	if job := w.nextJob(); job == nil {
		return
	}
	ended := make(chan struct{})
	w.merging.running = ended
	w.merging.done.Go(func() {
		defer close(ended)
		err := w.mergeAll(w.merging.ctx, w.nextJob, func() { w.merging.running, w.merging.err = nil, nil })
		if err != nil && w.merging.ctx.Err() == nil {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.merging.running, w.merging.err = nil, err
		}
	})
}

// stopMerging ends merges in the background, unfinished.
func (w *Writer) stopMerging() {
	w.merging.stop()
	w.merging.done.Wait()
}

// Wait waits until nothing is merged in the background and returns the error of
// the last merge there, after which the next commit tries again.
func (w *Writer) Wait(ctx context.Context) error {
	for {
		w.mu.Lock()
		running, err := w.merging.running, w.merging.err
		w.mu.Unlock()
		if w.merging.ctx.Err() != nil {
			return fmt.Errorf("writer: %w", ErrClosed)
		}
		if running == nil {
			return err
		}
		select {
		case <-running:
		case <-ctx.Done():
			return ctx.Err()
		case <-w.merging.ctx.Done():
		}
	}
}

// enter waits until nobody else merges.
func (w *Writer) enter(ctx context.Context) error {
	select {
	case w.merging.slot <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-w.merging.ctx.Done():
		return fmt.Errorf("writer: %w", ErrClosed)
	}
}

// Merge merges the committed segments into as few as possible, purges what is
// deleted and codes again what older codebooks have coded. What was not yet
// committed stays so.
func (w *Writer) Merge(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(w.merging.ctx, cancel)()
	done := make(map[uint64]bool) // segments that merging has made
	err := w.mergeAll(ctx, func() *job { return w.forcedJob(done) }, func() {})
	if err != nil && w.merging.ctx.Err() != nil {
		return fmt.Errorf("writer: %w", ErrClosed)
	}
	return err
}

// mergeAll does jobs until there is none left, and then calls last; both with the
// writer's lock held.
func (w *Writer) mergeAll(ctx context.Context, next func() *job, last func()) error {
	if err := w.enter(ctx); err != nil {
		return err
	}
	defer func() { <-w.merging.slot }()
	for {
		w.mu.Lock()
		if w.broken != nil {
			w.mu.Unlock()
			return w.broken
		}
		j := next()
		if j == nil {
			last()
			w.mu.Unlock()
			return nil
		}
		w.begin(j)
		w.mu.Unlock()
		err := j.run(ctx)
		w.mu.Lock()
		err = w.end(j, err)
		w.mu.Unlock()
		if err != nil {
			return err
		}
	}
}

// job is one step of merging: to train another codebook, or to make segments of
// segments.
type job struct {
	writer   *Writer
	folder   folder
	manifest manifest // when the job began
	inputs   []*mergeInput
	file     string // the codebook of the outputs
	train    bool
	codebook *codec.Codebook // that of the outputs, or the new one
	trained  population      // what the new one was trained for
	outputs  []*writerPart
	note     func(*writerPart) // is told of the outputs
}

// mergeInput is a segment as it was when the job began.
type mergeInput struct {
	*segment
	part     *writerPart // only for who holds the lock
	entry    segmentEntry
	gone     *roaring.Bitmap // deleted
	codebook *codec.Codebook

	numbers []uint32 // by document: its number without those gone, or noDocument
	live    uint32
}

const noDocument = math.MaxUint32

// count numbers the documents that are left.
func (in *mergeInput) count() {
	in.numbers = make([]uint32, in.documents)
	for it := in.gone.Iterator(); it.HasNext(); {
		in.numbers[it.Next()] = noDocument
	}
	in.live = 0
	for document := range in.numbers {
		if in.numbers[document] != noDocument {
			in.numbers[document] = in.live
			in.live++
		}
	}
}

// newJob returns a job that merges parts.
func (w *Writer) newJob(parts ...*writerPart) *job {
	j := &job{writer: w, folder: w.folder, manifest: w.manifest, file: w.manifest.codebook()}
	for _, p := range parts {
		j.inputs = append(j.inputs, &mergeInput{segment: p.segment, part: p, entry: p.entry})
	}
	return j
}

// trainingJob returns a job that trains another codebook on parts.
func (w *Writer) trainingJob(parts []*writerPart) *job {
	j := w.newJob(parts...)
	j.train = true
	return j
}

// nextJob returns what there is to do by the options, or nil.
func (w *Writer) nextJob() *job {
	options := w.manifest.Options.Merge
	parts := w.committedParts()
	if w.outgrown(parts) {
		return w.trainingJob(parts)
	}
	for _, p := range parts {
		if p.entry.Codebook != w.manifest.codebook() {
			return w.newJob(p)
		}
	}
	states := make([]segmentState, len(parts))
	for i, p := range parts {
		live := p.live()
		states[i] = segmentState{
			bytes:     int64(float64(len(p.file.data)) * float64(live) / float64(p.documents)),
			documents: uint64(p.documents), live: live, codebook: p.entry.Codebook,
		}
	}
	chosen := options.choose(states)
	if chosen == nil {
		return nil
	}
	var inputs []*writerPart
	for _, i := range chosen {
		if len(inputs) > 0 && !mergeable(append(inputs, parts[i])) {
			break
		}
		inputs = append(inputs, parts[i])
	}
	return w.newJob(inputs...)
}

// forcedJob returns the next step towards as few segments as possible without
// deleted documents; done are those that are as they should be.
func (w *Writer) forcedJob(done map[uint64]bool) *job {
	parts := w.committedParts()
	if w.outgrown(parts) {
		return w.trainingJob(parts)
	}
	var inputs []*writerPart
	for _, p := range parts {
		if p.entry.Codebook != w.manifest.codebook() {
			return w.newJob(p)
		}
		if !done[p.number] && mergeable(append(inputs, p)) {
			inputs = append(inputs, p)
		}
	}
	if len(inputs) == 0 || len(inputs) == 1 && inputs[0].deleted.IsEmpty() {
		return nil
	}
	j := w.newJob(inputs...)
	j.note = func(p *writerPart) { done[p.number] = true }
	return j
}

func (w *Writer) committedParts() []*writerPart {
	return slices.DeleteFunc(slices.Clone(w.parts), func(p *writerPart) bool { return !p.committed })
}

// mergeable tells whether one segment can address what is in all of these.
func mergeable(parts []*writerPart) bool {
	documents, bytes := uint64(0), uint64(0)
	for _, p := range parts {
		documents += uint64(p.documents)
		bytes += uint64(len(p.file.data)) // more than any of its sections
	}
	return len(parts) == 1 || documents < maxSegmentBytes && bytes <= maxSegmentBytes
}

// outgrown tells whether the current codebook should be replaced.
func (w *Writer) outgrown(parts []*writerPart) bool {
	if len(w.manifest.Codebooks) == 0 {
		return false
	}
	current := w.manifest.Codebooks[len(w.manifest.Codebooks)-1]
	return w.manifest.Options.Merge.outgrown(current, liveVectors(parts))
}

// liveVectors estimates how many vectors parts hold without what is deleted.
func liveVectors(parts []*writerPart) (n int64) {
	for _, p := range parts {
		n += int64(float64(p.vectors) * float64(p.live()) / float64(p.documents))
	}
	return n
}

// begin notes what a job works on.
func (w *Writer) begin(j *job) {
	for _, in := range j.inputs {
		in.part.busy = true
		in.gone = in.part.deleted.Clone()
		in.codebook = w.codebooks[in.entry.Codebook]
	}
	j.codebook = w.codebooks[j.file]
}

// end makes the result of a job part of the index, in a commit that changes
// nothing else.
func (w *Writer) end(j *job, err error) error {
	for _, in := range j.inputs {
		in.part.busy = false
	}
	if err == nil {
		err = w.broken
	}
	if err == nil && w.merging.ctx.Err() != nil {
		err = fmt.Errorf("writer: %w", ErrClosed)
	}
	if err == nil {
		if j.train {
			err = w.fail(w.installCodebook(j))
		} else {
			err = w.fail(w.installSegments(j))
		}
	}
	if err != nil {
		for _, p := range j.outputs {
			err = errors.Join(err, p.file.close())
			// A commit that failed may have been made nevertheless, with these files;
			// then Close removes those that are not needed.
			if w.broken == nil {
				err = errors.Join(err, w.folder.remove(p.entry.File))
			}
		}
	}
	return err
}

// installCodebook makes a codebook code new documents.
func (w *Writer) installCodebook(j *job) error {
	old := w.manifest.files()
	if err := w.setCodebook(j.codebook, j.trained); err != nil {
		return err
	}
	w.added = population{} // coded with the codebook before
	if err := w.publish(w.committedParts(), nil, population{}); err != nil {
		return err
	}
	w.release(old)
	return nil
}

// installSegments puts the outputs into the place of the first input.
func (w *Writer) installSegments(j *job) error {
	late := j.late()
	var parts, committed []*writerPart
	for _, p := range w.parts {
		switch i := slices.IndexFunc(j.inputs, func(in *mergeInput) bool { return in.part == p }); {
		case i == 0:
			parts = append(parts, j.outputs...)
			committed = append(committed, j.outputs...)
		case i < 0:
			parts = append(parts, p)
			if p.committed {
				committed = append(committed, p)
			}
		}
	}
	old := w.manifest.files()
	if err := w.publish(committed, late, population{}); err != nil {
		return err
	}
	w.parts = parts
	for _, p := range j.outputs {
		p.committed = true
		if deleted := late[p.number]; deleted != nil {
			p.deleted.Or(deleted)
		}
		if j.note != nil {
			j.note(p)
		}
	}
	j.outputs = nil // the writer's now
	for _, in := range j.inputs {
		w.merging.released = append(w.merging.released, in.part)
	}
	w.release(old)
	return nil
}

// late returns what commits have deleted of the outputs since the job began, and
// notes in the outputs what will be with the next commit.
func (j *job) late() deletes {
	late := make(deletes)
	first := uint32(0) // number of the input's first document, counted over all outputs
	for _, in := range j.inputs {
		for it := in.part.deleted.Iterator(); it.HasNext(); {
			if number := in.numbers[it.Next()]; number != noDocument {
				p, local := j.place(first + number)
				if late[p.number] == nil {
					late[p.number] = roaring.New()
				}
				late[p.number].Add(local)
			}
		}
		for it := in.part.fresh.Iterator(); it.HasNext(); {
			p, local := j.place(first + in.numbers[it.Next()])
			p.fresh.Add(local)
		}
		first += in.live
	}
	return late
}

// place returns the output that holds a document, and its number there.
func (j *job) place(document uint32) (*writerPart, uint32) {
	for _, p := range j.outputs {
		if document < p.documents {
			return p, document
		}
		document -= p.documents
	}
	panic("index: a merge has lost documents") // its numbers are its own
}

// run does the work. It touches nothing that the writer may change.
func (j *job) run(ctx context.Context) error {
	switch {
	case j.train:
		return j.retrain(ctx)
	case slices.ContainsFunc(j.inputs, func(in *mergeInput) bool { return in.entry.Codebook != j.file }):
		return j.recode(ctx)
	}
	return j.copy(ctx)
}

// newFile hands out the name of an output.
func (j *job) newFile() string {
	j.writer.mu.Lock()
	defer j.writer.mu.Unlock()
	return j.writer.manifest.newFile("segment")
}

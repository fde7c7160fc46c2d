package index

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"sync"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/pare-search/pare/index/codec"
	"github.com/pare-search/pare/index/docpruner"
	"github.com/pare-search/pare/simd"
)

// encoderVersion is the version of the sections of an encoder file: "kind",
// the name of the encoder's package, and "data", its saved form.
const encoderVersion = 1

// Snapshot is one committed state of an index, opened for reading. It is a
// Source, safe for concurrent use, and stays as it is whatever a Writer commits
// later. It must not be used once closed.
//
// While an index is coded anew, some of its documents have another codebook. A
// Searcher searches all of them; as a Source a snapshot then shows the postings
// of those documents alone that have the codebook of new documents.
type Snapshot struct {
	folder   folder
	manifest manifest
	files    []File     // in the manifest's order, it first
	encoder  *container // nil when the index has none
	codebook *codec.Codebook
	pruner   *docpruner.Fitted // nil when all vectors are stored
	parts    []part
	// mixed is, where there is more than one codebook, a snapshot of the
	// documents of each; their document numbers follow each other.
	mixed []*Snapshot

	documents int
	live      int
	vectors   int64
	unpruned  int64    // vectors before pruning
	deleted   []uint64 // bitmap of document numbers, nil when there are none

	count  sync.Once
	counts []uint32 // by cell: postings in all segments
	fault  error    // why they cannot be read

	close sync.Once
}

// part is a segment with its place in the snapshot's document numbers.
type part struct {
	*segment
	base     uint32
	codebook *codec.Codebook
	deleted  *roaring.Bitmap
}

// Open opens the last committed state of the index in dir. It reads the
// frame of every file and the sections it keeps in memory, and maps the rest.
func Open(dir string) (*Snapshot, error) { return onDisk(dir).openSnapshot() }

func (f folder) openSnapshot() (*Snapshot, error) {
	for {
		m, err := readManifest(f)
		if err != nil {
			return nil, err
		}
		s := &Snapshot{folder: f, manifest: m}
		err = s.load()
		if err == nil {
			return s, nil
		}
		err = errors.Join(err, s.Close())
		if !m.outdated(f, err) {
			return nil, err
		}
	}
}

func (s *Snapshot) load() error {
	var err error
	s.manifest.opened = make(map[string]File)
	defer s.describe()
	if s.manifest.Encoder != "" {
		if s.encoder, err = s.manifest.open(s.folder, s.manifest.Encoder); err != nil {
			return err
		}
	}
	if s.pruner, err = s.manifest.readPruner(s.folder); err != nil {
		return err
	}
	codebooks, err := s.manifest.readCodebooks(s.folder)
	if err != nil {
		return err
	}
	s.codebook = codebooks[s.manifest.codebook()]
	deleted, err := s.manifest.readAllDeletes(s.folder)
	if err != nil {
		return err
	}
	// The documents of a codebook follow each other.
	for _, book := range s.manifest.Codebooks {
		for _, entry := range s.manifest.Segments {
			if entry.Codebook != book.File {
				continue
			}
			p := part{codebook: codebooks[entry.Codebook]}
			if p.deleted, err = s.manifest.deletedOf(entry, deleted); err != nil {
				return err
			}
			if p.segment, err = s.manifest.openSegment(s.folder, entry, p.codebook); err != nil {
				return err
			}
			if uint64(s.documents)+uint64(p.segment.documents) > math.MaxUint32 {
				return errors.Join(fmt.Errorf("%w: more than %d documents", ErrInvalid, uint32(math.MaxUint32)), p.file.close())
			}
			s.add(p)
			s.unpruned += int64(entry.Unpruned)
		}
	}
	s.gatherDeleted()
	s.separate()
	return nil
}

// describe notes what was opened.
func (s *Snapshot) describe() {
	s.files = []File{s.manifest.frame}
	for _, name := range s.manifest.files()[1:] {
		s.files = append(s.files, s.manifest.opened[name])
	}
	s.manifest.opened = nil
}

// add appends a part.
func (s *Snapshot) add(p part) {
	p.base = uint32(s.documents)
	s.parts = append(s.parts, p)
	s.documents += int(p.segment.documents)
	s.live += int(p.segment.documents) - int(p.deleted.GetCardinality())
	s.vectors += int64(p.vectors)
}

// separate makes mixed, if there is a need.
func (s *Snapshot) separate() {
	if !slices.ContainsFunc(s.parts, func(p part) bool { return p.codebook != s.parts[0].codebook }) {
		if len(s.parts) > 0 {
			s.codebook = s.parts[0].codebook
		}
		return
	}
	for _, p := range s.parts {
		if n := len(s.mixed); n == 0 || s.mixed[n-1].codebook != p.codebook {
			s.mixed = append(s.mixed, &Snapshot{manifest: s.manifest, codebook: p.codebook})
		}
		s.mixed[len(s.mixed)-1].add(p)
	}
	for _, part := range s.mixed {
		part.gatherDeleted()
	}
}

// gatherDeleted sets the bits of deleted documents.
func (s *Snapshot) gatherDeleted() {
	if s.live == s.documents {
		return
	}
	s.deleted = zeroed(nil, s.documents)
	for _, p := range s.parts {
		for local := p.deleted.Iterator(); local.HasNext(); {
			document := p.base + local.Next()
			s.deleted[document/64] |= 1 << (document % 64)
		}
	}
}

// openSegment opens a segment, which must be what its entry says.
func (m *manifest) openSegment(f folder, entry segmentEntry, codebook *codec.Codebook) (*segment, error) {
	seg, err := m.mapSegment(f, entry.File, codebook.Cells())
	if err != nil {
		return nil, err
	}
	switch {
	case seg.documents != entry.Documents:
		err = seg.file.corrupt("meta", "%d documents, the manifest says %d", seg.documents, entry.Documents)
	case seg.codebook != codebook.Checksum():
		err = seg.file.corrupt("meta", "coded with another codebook")
	case seg.documents > 0 && seg.file.has("refined") != m.Options.Refine:
		err = seg.file.corrupt("refined", "stored: %v, the index was made so: %v", seg.file.has("refined"), m.Options.Refine)
	case int(seg.dim) != codebook.Dim():
		err = seg.file.corrupt("meta", "%d dimensions, the codebook has %d", seg.dim, codebook.Dim())
	}
	if err != nil {
		return nil, errors.Join(err, seg.file.close())
	}
	return seg, nil
}

// codebookVersion is the version of the section "codebook" of a codebook
// file; what is inside has a version of its own (package codec).
const codebookVersion = 1

func (f folder) writeCodebook(name string, codebook *codec.Codebook) error {
	data, err := codebook.MarshalBinary()
	if err != nil {
		return err
	}
	w, err := f.create(name)
	if err != nil {
		return err
	}
	w.add("codebook", codebookVersion, data)
	return w.finish()
}

// prunerVersion is the version of the section "pruner" of a pruner file; what is
// inside has a version of its own (package docpruner).
const prunerVersion = 1

func (f folder) writePruner(name string, pruner *docpruner.Fitted) error {
	data, err := pruner.MarshalBinary()
	if err != nil {
		return err
	}
	w, err := f.create(name)
	if err != nil {
		return err
	}
	w.add("pruner", prunerVersion, data)
	return w.finish()
}

// readPruner reads the pruner of documents, nil if there is none.
func (m *manifest) readPruner(f folder) (*docpruner.Fitted, error) {
	if m.Pruner == "" {
		return nil, nil
	}
	c, err := m.open(f, m.Pruner)
	if err != nil {
		return nil, err
	}
	defer c.close()
	data, err := c.checked("pruner", prunerVersion)
	if err != nil {
		return nil, err
	}
	pruner, err := docpruner.Load(data)
	if err != nil {
		return nil, c.fault("pruner", err)
	}
	if pruner.Dim() > 0 && pruner.Dim() != m.Dim {
		return nil, c.corrupt("pruner", "for %d dimensions, the index is for %d", pruner.Dim(), m.Dim)
	}
	return pruner, nil
}

// Close unmaps the files. Nothing got from the snapshot may be used after.
func (s *Snapshot) Close() error {
	var err error
	s.close.Do(func() {
		if s.encoder != nil {
			err = s.encoder.close()
		}
		for _, p := range s.parts {
			err = errors.Join(err, p.file.close())
		}
	})
	return err
}

// Codebook returns the codebook, or nil while nothing has been committed: where
// documents have several, that of new documents.
func (s *Snapshot) Codebook() *codec.Codebook { return s.codebook }

// CodebookOf returns the codebook that a document is coded with.
func (s *Snapshot) CodebookOf(document uint32) (*codec.Codebook, error) {
	p, _, err := s.part(document)
	if err != nil {
		return nil, err
	}
	return p.codebook, nil
}

// Dim is the number of dimensions of every vector.
func (s *Snapshot) Dim() int { return s.manifest.Dim }

// Options returns the options that the index was created with.
func (s *Snapshot) Options() Options { return s.manifest.Options }

// Generation counts the commits made so far.
func (s *Snapshot) Generation() uint64 { return s.manifest.Generation }

// Documents is the number of document numbers, deleted ones included.
func (s *Snapshot) Documents() int { return s.documents }

// LiveDocuments is the number of documents that can be found.
func (s *Snapshot) LiveDocuments() int { return s.live }

// Vectors is the number of stored vectors, deleted documents' included.
func (s *Snapshot) Vectors() int64 { return s.vectors }

// Pruner returns what decided which vectors are stored, or nil when all are.
func (s *Snapshot) Pruner() *docpruner.Fitted { return s.pruner }

// UnprunedVectors is the number of vectors that the documents had, of which Vectors
// are stored.
func (s *Snapshot) UnprunedVectors() int64 {
	if s.pruner == nil {
		return s.vectors
	}
	return s.unpruned
}

// Encoder returns the kind and the saved form of the encoder that the index
// was created with, or "" when it has none.
func (s *Snapshot) Encoder() (kind string, data []byte, err error) {
	if s.encoder == nil {
		return "", nil, nil
	}
	name, err := s.encoder.checked("kind", encoderVersion)
	if err != nil {
		return "", nil, err
	}
	if data, err = s.encoder.checked("data", encoderVersion); err != nil {
		return "", nil, err
	}
	return string(name), slices.Clone(data), nil
}

// part returns the part that a document number belongs to.
func (s *Snapshot) part(document uint32) (*part, uint32, error) {
	i, exact := slices.BinarySearchFunc(s.parts, document, func(p part, d uint32) int { return cmp.Compare(p.base, d) })
	if !exact {
		i--
	}
	if i < 0 || document >= uint32(s.documents) {
		return nil, 0, fmt.Errorf("%w: there is no document number %d", ErrInvalid, document)
	}
	p := &s.parts[i]
	return p, document - p.base, nil
}

// Live tells whether a document exists and was not deleted.
func (s *Snapshot) Live(document uint32) bool {
	p, local, err := s.part(document)
	return err == nil && !p.deleted.Contains(local)
}

// Payload returns a document's payload as stored, views into the file.
func (s *Snapshot) Payload(document uint32) (codec.Payload, error) {
	p, local, err := s.part(document)
	if err != nil {
		return codec.Payload{}, err
	}
	return p.payload(local)
}

// AppendCells appends the cells of the payloads of documents, given in ascending
// order, to dst: views into the files.
func (s *Snapshot) AppendCells(dst [][]byte, documents []uint32) ([][]byte, error) {
	for len(documents) > 0 {
		p, run, err := s.run(documents)
		if err != nil {
			return dst, err
		}
		cells := reader{items: &p.cells}
		for _, document := range run {
			part, err := cells.at(document - p.base)
			if err != nil {
				return dst, err
			}
			dst = append(dst, part)
		}
		documents = documents[len(run):]
	}
	return dst, nil
}

// AppendPayloads appends the payloads of documents, given in ascending order, to
// dst: views into the files.
func (s *Snapshot) AppendPayloads(dst []codec.Payload, documents []uint32) ([]codec.Payload, error) {
	for len(documents) > 0 {
		p, run, err := s.run(documents)
		if err != nil {
			return dst, err
		}
		cells, codes := reader{items: &p.cells}, reader{items: &p.codes}
		for _, document := range run {
			cellBytes, err := cells.at(document - p.base)
			if err != nil {
				return dst, err
			}
			codeBytes, err := codes.at(document - p.base)
			if err != nil {
				return dst, err
			}
			dst = append(dst, codec.Payload{Cells: cellBytes, Codes: codeBytes})
		}
		documents = documents[len(run):]
	}
	return dst, nil
}

// run returns the part that the first of some documents, which ascend, belongs to,
// and those of them that do.
func (s *Snapshot) run(documents []uint32) (*part, []uint32, error) {
	p, _, err := s.part(documents[0])
	if err != nil {
		return nil, nil, err
	}
	n, _ := slices.BinarySearch(documents, p.base+p.segment.documents)
	return p, documents[:n], nil
}

// Refinement returns a document's refinement as stored, a view into the file,
// or nil when the index has none.
func (s *Snapshot) Refinement(document uint32) ([]byte, error) {
	p, local, err := s.part(document)
	if err != nil {
		return nil, err
	}
	return p.refinement(local)
}

// ClearDeleted clears the bits of deleted documents in a bitmap of document
// numbers: bit i%64 of word i/64 is that of document i.
func (s *Snapshot) ClearDeleted(bitmap []uint64) {
	for i, deleted := range s.deleted {
		bitmap[i] &^= deleted
	}
}

// ID returns a document's external id.
func (s *Snapshot) ID(document uint32) (string, error) {
	p, local, err := s.part(document)
	if err != nil {
		return "", err
	}
	return p.id(local)
}

// Text returns a document's stored text, "" when texts are not stored.
func (s *Snapshot) Text(document uint32) (string, error) {
	p, local, err := s.part(document)
	if err != nil {
		return "", err
	}
	return p.textOf(local)
}

// Lookup returns the document number of an external id; found is false for
// ids that were never added or are deleted.
func (s *Snapshot) Lookup(id string) (document uint32, found bool, err error) {
	for _, p := range s.parts {
		local, found, err := p.lookup(id)
		if err != nil {
			return 0, false, err
		}
		if found && !p.deleted.Contains(local) {
			return p.base + local, true, nil
		}
	}
	return 0, false, nil
}

// IDs yields the external ids of the live documents in document order.
func (s *Snapshot) IDs() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for document := range uint32(s.documents) {
			if s.Live(document) && !yield(s.ID(document)) {
				return
			}
		}
	}
}

// PostingCounts returns for each cell the number of documents with a vector in
// it, deleted ones included. It must not be changed.
func (s *Snapshot) PostingCounts() ([]uint32, error) {
	// Probing asks for some thousands of cells in no order: a read in each segment
	// would take longer than all else it does.
	s.count.Do(func() {
		if s.codebook == nil {
			return
		}
		counts := make([]uint32, s.codebook.Cells())
		for _, p := range s.parts {
			if p.codebook != s.codebook {
				continue
			}
			if s.fault = p.addPostingCounts(counts); s.fault != nil {
				return
			}
		}
		s.counts = counts
	})
	return s.counts, s.fault
}

// AppendPostings appends the documents of a cell, ascending.
func (s *Snapshot) AppendPostings(dst []uint32, cell uint32) ([]uint32, error) {
	var err error
	for _, p := range s.parts {
		if p.codebook != s.codebook {
			continue
		}
		if dst, err = p.appendPostings(dst, cell, p.base); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// Statistics returns what querypruner needs to know about the collection. The
// first call reads how often tokens and cells occur; its error is that of all
// later ones.
func (s *Snapshot) Statistics() (Statistics, error) {
	for _, p := range s.parts {
		if _, err := p.tokenCounts(); err != nil {
			return Statistics{}, err
		}
	}
	for _, part := range s.mixed {
		if _, err := part.PostingCounts(); err != nil {
			return Statistics{}, err
		}
	}
	_, err := s.PostingCounts()
	return Statistics{s}, err
}

// Statistics is a querypruner.Statistics of a snapshot. All its numbers
// include deleted documents, so that they compare.
type Statistics struct{ snapshot *Snapshot }

// Documents is the number of documents, deleted ones included.
func (t Statistics) Documents() int64 { return int64(t.snapshot.documents) }

// Vectors is the number of stored vectors, deleted documents' included.
func (t Statistics) Vectors() int64 { return t.snapshot.vectors }

// TokenFrequency returns how many vectors and documents have a token id.
func (t Statistics) TokenFrequency(id uint32) (vectors, documents int64) {
	for _, p := range t.snapshot.parts {
		v, d := p.tokenFrequency(id)
		vectors += v
		documents += d
	}
	return vectors, documents
}

// CellPopulation returns the number of documents in the cell whose centroid
// has the largest dot product with the vector. A document counts once however
// many of its vectors lie there. Where documents have several codebooks it is the
// sum over them.
func (t Statistics) CellPopulation(vector []float32) (documents int64) {
	for _, part := range t.snapshot.mixed {
		documents += Statistics{part}.CellPopulation(vector)
	}
	if documents > 0 {
		return documents
	}
	codebook := t.snapshot.codebook
	if codebook == nil {
		return 0
	}
	nearest, best := 0, float32(simd.NoMatch)
	for cell := range codebook.Cells() {
		if similarity := simd.Dot(vector, codebook.Centroid(cell)); similarity > best {
			nearest, best = cell, similarity
		}
	}
	return int64(t.snapshot.counts[nearest]) // read by Snapshot.Statistics
}

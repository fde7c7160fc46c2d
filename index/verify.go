package index

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/pare-search/pare/index/codec"
)

// Verify reads every byte of the index in dir: the checksums of every section,
// then whether their contents make sense together. It returns all faults
// found, joined, each naming file and section, of damaged blocks the first of a
// section; nil means the index is whole.
func Verify(dir string) error { return VerifyContext(context.Background(), dir) }

// VerifyContext is Verify with an end: then it returns the error of ctx.
func VerifyContext(ctx context.Context, dir string) error { return onDisk(dir).verify(ctx) }

func (f folder) verify(ctx context.Context) error {
	for {
		m, err := readManifest(f)
		if err != nil {
			return err
		}
		if err = m.verify(ctx, f); ctx.Err() != nil || !m.outdated(f, err) {
			return cmp.Or(ctx.Err(), err)
		}
	}
}

func (m *manifest) verify(ctx context.Context, f folder) error {
	return errors.Join(m.verifyFile(ctx, f, manifestName, "index"), m.verifyFiles(ctx, f))
}

// verifyFiles verifies all but the manifest itself.
func (m *manifest) verifyFiles(ctx context.Context, f folder) error {
	var faults []error
	if m.Encoder != "" {
		faults = append(faults, m.verifyFile(ctx, f, m.Encoder, "kind", "data"))
	}
	if m.Pruner != "" {
		err := m.verifyFile(ctx, f, m.Pruner, "pruner")
		if err == nil {
			_, err = m.readPruner(f)
		}
		faults = append(faults, err)
	}
	codebooks := make(map[string]*codec.Codebook)
	for _, entry := range m.Codebooks {
		err := m.verifyFile(ctx, f, entry.File, "codebook")
		if err == nil {
			codebooks[entry.File], err = m.readCodebook(f, entry.File)
		}
		faults = append(faults, err)
	}
	for _, entry := range m.Segments {
		faults = append(faults, m.verifySegment(ctx, f, entry, codebooks[entry.Codebook]))
	}
	for _, entry := range m.Deletes {
		faults = append(faults, m.verifyFile(ctx, f, entry.File, "documents"))
	}
	if err := errors.Join(faults...); err != nil {
		return err
	}
	// Every file is whole by itself; loading compares them.
	s := &Snapshot{folder: f, manifest: *m}
	err := s.load()
	if err == nil {
		err = s.verifyIDs(ctx)
	}
	return errors.Join(err, s.Close())
}

// verifyFile checks the sections of a file that must be there.
func (m *manifest) verifyFile(ctx context.Context, f folder, name string, sections ...string) error {
	c, err := m.open(f, name)
	if err != nil {
		return err
	}
	defer c.close()
	if len(c.sections) != len(sections) {
		return c.corrupt("", "%d sections, want %d", len(c.sections), len(sections))
	}
	for i, name := range sections {
		if c.sections[i].name != name {
			return c.corrupt(c.sections[i].name, "not known here")
		}
	}
	return c.verify(ctx)
}

// verifySegment checks a segment. Without a codebook, which
// then is corrupt itself, only the checksums can be compared.
func (m *manifest) verifySegment(ctx context.Context, f folder, entry segmentEntry, codebook *codec.Codebook) error {
	if codebook == nil {
		c, err := m.open(f, entry.File)
		if err != nil {
			return err
		}
		defer c.close()
		return c.verify(ctx)
	}
	s, err := m.mapSegment(f, entry.File, codebook.Cells())
	if err != nil {
		return err
	}
	defer s.file.close()
	return s.verify(ctx, codebook)
}

// verifyIDs checks that every live id leads to its own document.
func (s *Snapshot) verifyIDs(ctx context.Context) error {
	for document := range uint32(s.documents) {
		if document%checkEvery == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		if !s.Live(document) {
			continue
		}
		id, err := s.ID(document)
		if err != nil {
			return err
		}
		found, ok, err := s.Lookup(id)
		if err != nil {
			return err
		}
		if !ok || found != document {
			return fmt.Errorf("%w: document number %d and %d share the id %q", ErrCorrupt, document, found, id)
		}
	}
	return nil
}

package index

import (
	"cmp"
	"slices"
)

// Info describes an index from the outside.
type Info struct {
	Generation uint64 `json:"generation"`
	Dim        int    `json:"dimensions"`
	Codec      string `json:"codec"`
	Cells      int    `json:"cells"`
	Documents  int    `json:"documents"`
	Deleted    int    `json:"deleted"`
	Vectors    int64  `json:"vectors"`
	// Pruner is what left out vectors, in its short form, and UnprunedVectors how many
	// there were before; "" and Vectors when all are stored.
	Pruner          string  `json:"pruner,omitempty"`
	UnprunedVectors int64   `json:"unpruned_vectors"`
	Segments        int     `json:"segments"`
	EncoderKind     string  `json:"encoder,omitempty"`
	Bytes           int64   `json:"bytes"`
	TextBytes       int64   `json:"text_bytes"`
	BytesPerToken   float64 `json:"bytes_per_token"`
	Parts           []Part  `json:"parts"`
	Files           []File  `json:"files"`
}

// Part is the share of one kind of content in the index, over all files.
type Part struct {
	Name          string  `json:"name"`
	Bytes         int64   `json:"bytes"`
	BytesPerToken float64 `json:"bytes_per_token"`
}

// File is one file of an index.
type File struct {
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`
	// Checksum is the CRC-32C in the footer, which covers those of the sections.
	Checksum uint32    `json:"crc32c"`
	Sections []Section `json:"sections"`
}

// Section is one section of a file, with the CRC-32C it was written with: that of
// its bytes, or, if it has more than 16 KiB, of the checksums of its blocks
// (container.go).
type Section struct {
	Name     string `json:"name"`
	Version  uint32 `json:"version"`
	Bytes    int64  `json:"bytes"`
	Checksum uint32 `json:"crc32c"`
}

// Inspect describes the snapshot and the files it is made of, as they were
// when it was opened. Bytes counts all files but stored texts; BytesPerToken
// is Bytes per stored vector, so it holds everything a search needs: codes,
// ids, postings, codebook, encoder and the frames of the files.
func (s *Snapshot) Inspect() (Info, error) {
	info := Info{
		Generation: s.manifest.Generation,
		Dim:        s.manifest.Dim,
		Codec:      s.manifest.Options.Codec.Kind.String(),
		Documents:  s.live,
		Deleted:    s.documents - s.live,
		Vectors:    s.vectors,
		Segments:   len(s.parts),
	}
	info.UnprunedVectors = s.UnprunedVectors()
	if s.pruner != nil {
		info.Pruner = s.pruner.Pruner().String()
	}
	if s.codebook != nil {
		info.Cells = s.codebook.Cells()
	}
	kind, _, err := s.Encoder()
	if err != nil {
		return info, err
	}
	info.EncoderKind = kind

	info.Files = slices.Clone(s.files)
	parts := make(map[string]int64)
	for _, file := range info.Files {
		frame := file.Bytes
		for _, section := range file.Sections {
			frame -= section.Bytes
			if section.Name == "text" {
				info.TextBytes += section.Bytes
				continue
			}
			info.Bytes += section.Bytes
			parts[partName(file.Name, section.Name)] += section.Bytes
		}
		info.Bytes += frame
		parts["file frames"] += frame
	}
	for name, bytes := range parts {
		info.Parts = append(info.Parts, Part{Name: name, Bytes: bytes})
	}
	slices.SortFunc(info.Parts, func(a, b Part) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Name, b.Name))
	})
	if s.vectors > 0 {
		info.BytesPerToken = float64(info.Bytes) / float64(s.vectors)
		for i := range info.Parts {
			info.Parts[i].BytesPerToken = float64(info.Parts[i].Bytes) / float64(s.vectors)
		}
	}
	return info, nil
}

// partName says what a section holds, in a user's words.
func partName(file, section string) string {
	switch {
	case file == manifestName:
		return "manifest"
	case section == "kind" || section == "data":
		return "encoder"
	case section == "documents":
		return "deletes"
	case section == "refined":
		return "refinements"
	case section == "tokens":
		return "token frequencies"
	case section == "cells":
		return "cells of documents"
	case section == "payloads":
		return "codes"
	case section == "offsets":
		return "code offsets"
	default:
		return section
	}
}

func describe(c *container) File {
	file := File{Name: c.name, Bytes: int64(len(c.data)), Checksum: c.checksum}
	for _, s := range c.sections {
		file.Sections = append(file.Sections, Section{s.name, s.version, int64(s.length), s.checksum})
	}
	return file
}

package index

// FormatVersion is the version of the container that every file of an index
// is (container.go), with its history:
//
//	1  one checksum for each section
//	2  checksums of blocks
//
// This package writes the latest and reads both. What it reads of a file of version
// 1 is checked by whole sections.
//
// Each section has a version of its own beside it, with its history where it is
// defined: manifestVersion, encoderVersion, codebookVersion, prunerVersion,
// deletesVersion, and for segments metaVersion, cellsVersion, offsetsVersion,
// payloadsVersion, refinedVersion, idsVersion, postingsVersion, tokensVersion and
// textVersion; packages codec and docpruner have versions inside what they write.
// A program reads an index if it knows all of these and refuses it with
// ErrVersion if not, so a change that earlier programs would misunderstand raises
// one of them, and a section that they may pass over must not be added: the
// version of the manifest is raised instead. It is the least that a reader must
// know:
//
//	1  one codebook, a file of deletes for each segment
//	2  several codebooks, deletes by commit, merges
const FormatVersion = containerVersion

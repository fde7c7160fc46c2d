package codec

// Versions of the two byte formats of this package.
const (
	CodebookVersion = codebookVersion // of a marshalled Codebook
	PayloadVersion  = payloadVersion  // of a document's payload
)

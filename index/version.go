package index

// FormatVersion is the version of the container that every file of an index
// is (container.go). Each section has a version of its own beside it.
const FormatVersion = containerVersion

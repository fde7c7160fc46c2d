package corpus

// FormatVersion is the version of a saved encoder, see MarshalBinary.
const FormatVersion = version

package index

import (
	"crypto/sha256"
	"fmt"
)

// Fingerprint tells one committed state of an index from all others: 16
// hexadecimal digits of the SHA-256 of the names, lengths and checksums of its
// files. Indexes that are byte for byte the same have the same one, wherever
// they lie; any commit changes it. It detects mistakes, not forgery: the
// checksums are CRC-32C.
func (s *Snapshot) Fingerprint() string {
	hash := sha256.New()
	for _, file := range s.files {
		fmt.Fprintf(hash, "%s %d %08x\n", file.Name, file.Bytes, file.Checksum)
	}
	return fmt.Sprintf("%x", hash.Sum(nil)[:8])
}

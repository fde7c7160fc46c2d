package parebleve

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// stateKey is the internal value of the bleve index that says how its vectors
// are made.
var stateKey = []byte("_pare")

// state is that value, as JSON.
type state struct {
	Version int `json:"version"`
	// Dim is the width of the vectors. Encoder identifies what made them, "" if
	// the encoder does not say.
	Dim     int    `json:"dimensions"`
	Encoder string `json:"encoder,omitempty"`
	// Fields by name.
	Fields map[string]fieldState `json:"fields"`
}

type fieldState struct {
	// Codebook is the checksum of the codebook that codes new documents.
	Codebook string `json:"codebook"`
	checksum uint64
	// Vectors is how many vectors the field had when it was trained, 0 for a
	// codebook that was not trained on this index.
	Vectors int64 `json:"vectors"`
}

// In version 1 cells were stored with the codes, and under other names; 2 had no
// checksums of payloads.
const stateVersion = 3

// fingerprint identifies an encoder that can tell itself from others.
func fingerprint(enc any) string {
	if f, ok := enc.(interface{ Fingerprint() uint64 }); ok {
		return hexadecimal(f.Fingerprint())
	}
	return ""
}

// storedState reads the state; its version is 0 if there is none.
func (x *Index) storedState() (state, error) {
	data, err := x.GetInternal(stateKey)
	if err != nil || data == nil {
		return state{}, err
	}
	return parseState(data)
}

// parseState reads the state from JSON. Of other versions it reads no more than
// the number.
func parseState(data []byte) (state, error) {
	var header struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(data, &header); err != nil {
		return state{}, fmt.Errorf("%w: the state: %w", ErrCorrupt, err)
	}
	if header.Version != stateVersion {
		return state{}, fmt.Errorf("%w: its state has version %d, this program reads %d", ErrVersion, header.Version, stateVersion)
	}
	var s state
	if err := json.Unmarshal(data, &s); err != nil {
		return state{}, fmt.Errorf("%w: the state: %w", ErrCorrupt, err)
	}
	for name, f := range s.Fields {
		checksum, err := strconv.ParseUint(f.Codebook, 16, 64)
		if err != nil || f.Codebook != hexadecimal(checksum) || f.Vectors < 0 {
			return state{}, fmt.Errorf("%w: the state: field %q has codebook %q of %d vectors", ErrCorrupt, name, f.Codebook, f.Vectors)
		}
		f.checksum = checksum
		s.Fields[name] = f
	}
	return s, nil
}

// hexadecimal is how files and the state name a checksum.
func hexadecimal(checksum uint64) string { return fmt.Sprintf("%016x", checksum) }

// loadState reads the state of the index, or begins it.
func (x *Index) loadState() error {
	s, err := x.storedState()
	if err != nil {
		return err
	}
	if s.Version != 0 {
		if err := x.checkState(s); err != nil {
			return err
		}
	}
	for _, name := range x.options.Fields {
		f := &field{name: name, hidden: hiddenName(name)}
		known, ok := s.Fields[name]
		if ok && x.options.Codebook == nil {
			if f.current, err = x.bookOf(known.checksum); err != nil {
				return err
			}
			f.trained = known.Vectors
		} else if f.current, err = x.firstBook(); err != nil {
			return err
		}
		x.fields[name] = f
	}
	return x.saveState()
}

func (x *Index) checkState(s state) error {
	enc := x.options.Encoder
	switch made := fingerprint(enc); {
	case s.Dim != enc.Dim():
		return fmt.Errorf("%w: it makes vectors of %d dimensions, the index has %d", ErrEncoder, enc.Dim(), s.Dim)
	case s.Encoder != "" && made != "" && s.Encoder != made:
		return fmt.Errorf("%w: its fingerprint is %s, that of the index's vectors %s", ErrEncoder, made, s.Encoder)
	}
	return nil
}

// firstBook returns the codebook of a field that is new.
func (x *Index) firstBook() (*book, error) {
	codebook := x.options.Codebook
	if codebook == nil {
		var err error
		if codebook, err = untrained(x.options.Encoder.Dim()); err != nil {
			return nil, err
		}
	}
	return x.library.add(codebook)
}

// bookOf returns the codebook with this checksum. The one that is not trained
// is always the same, and is made again if its file is lost.
func (x *Index) bookOf(checksum uint64) (*book, error) {
	found, err := x.library.get(checksum)
	if err == nil {
		return found, nil
	}
	first, trainErr := untrained(x.options.Encoder.Dim())
	if trainErr != nil {
		return nil, trainErr
	}
	if first.Checksum() != checksum {
		return nil, err
	}
	return x.library.add(first)
}

// saveState stores the state if it has changed. That of an index that is
// read-only stays as it is.
func (x *Index) saveState() error {
	if x.engine.readOnly {
		return nil
	}
	s := state{
		Version: stateVersion,
		Dim:     x.options.Encoder.Dim(),
		Encoder: fingerprint(x.options.Encoder),
		Fields:  make(map[string]fieldState),
	}
	stored, err := x.GetInternal(stateKey)
	if err != nil {
		return err
	}
	var old state
	if stored != nil && json.Unmarshal(stored, &old) == nil {
		for name, f := range old.Fields { // those that are not opened this time
			s.Fields[name] = f
		}
	}
	for _, f := range x.fields {
		f.mu.RLock()
		s.Fields[f.name] = fieldState{Codebook: hexadecimal(f.current.Checksum()), Vectors: f.trained}
		f.mu.RUnlock()
	}
	data, err := json.Marshal(s)
	if err != nil || string(data) == string(stored) {
		return err
	}
	return x.SetInternal(stateKey, data)
}

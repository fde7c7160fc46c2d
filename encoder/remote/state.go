package remote

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// Kind names encoders of this package in an index.
const Kind = "remote"

// The saved form is the Service as JSON, with the version of the form:
//
//	{"version":1,"format":"jina","url":"https://api.jina.ai","model":"jina-colbert-v2","dim":128}
type saved struct {
	Version int `json:"version"`
	Service
}

const version = 1 // 1: first version

// ErrCorrupt reports saved bytes that are no service, ErrVersion ones of a
// version that this package does not read.
var (
	ErrCorrupt = errors.New("remote: corrupt encoder")
	ErrVersion = errors.New("remote: unsupported encoder version")
)

// Kind returns the constant Kind.
func (e *Encoder) Kind() string { return Kind }

// MarshalBinary returns the saved form of the service. The key is not in it.
func (e *Encoder) MarshalBinary() ([]byte, error) {
	return json.Marshal(saved{version, e.service})
}

// Load reads what MarshalBinary wrote and returns an encoder that uses the
// service with the given options. It does not speak to it. Errors wrap
// ErrCorrupt or ErrVersion, or are those of the options.
func Load(data []byte, options Options) (*Encoder, error) {
	var header struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(data, &header); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if header.Version != version {
		return nil, fmt.Errorf("%w: version is %d, want %d", ErrVersion, header.Version, version)
	}
	var s saved
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&s); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return open(s.Service, options)
}

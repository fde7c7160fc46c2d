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
// version that this package does not read, ErrAddress a service that the caller
// has not allowed.
var (
	ErrCorrupt = errors.New("remote: corrupt encoder")
	ErrVersion = errors.New("remote: unsupported encoder version")
	ErrAddress = errors.New("remote: service not allowed")
)

// Kind returns the constant Kind.
func (e *Encoder) Kind() string { return Kind }

// MarshalBinary returns the saved form of the service. The key is not in it.
func (e *Encoder) MarshalBinary() ([]byte, error) {
	return json.Marshal(saved{version, e.service})
}

// Load reads what MarshalBinary wrote and returns an encoder that uses the
// service with the given options. It does not speak to it.
//
// Texts and key will go where the saved form says, and that may come from a
// stranger. So the caller names the address that may be asked, as Service.URL
// names it; with any other one, and with "", the error wraps ErrAddress. Other
// errors wrap ErrCorrupt or ErrVersion, or are those of the options.
func Load(data []byte, address string, options Options) (*Encoder, error) {
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
	// The allowed address is not told: it may hold a password.
	switch allowed := (Service{Format: s.Format, URL: address}); {
	case address == "":
		return nil, fmt.Errorf("%w: texts would go to %s at %s", ErrAddress, s.Format, s.endpoint())
	case allowed.endpoint() != s.endpoint():
		return nil, fmt.Errorf("%w: texts would go to %s at %s, and another address is allowed", ErrAddress, s.Format, s.endpoint())
	}
	return open(s.Service, options)
}

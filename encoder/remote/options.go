package remote

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/pare-search/pare/internal/retry"
	"github.com/pare-search/pare/simd"
)

// Format is what a service speaks.
type Format string

// The formats of services; the package comment tells them apart.
const (
	NextPlaid Format = "next-plaid"
	Jina      Format = "jina"
	VLLM      Format = "vllm"
	PyLate    Format = "pylate"
)

// Formats returns all formats, sorted.
func Formats() []Format { return slices.Sorted(maps.Keys(protocols)) }

// Service says who makes the vectors: all that an index has to know to encode
// queries as its documents were encoded.
type Service struct {
	Format Format `json:"format"`
	// URL is the address of the service, http or https, without user, query or
	// fragment. The path of the format is added unless it is there already.
	URL string `json:"url"`
	// Model names the model for services that have several: all but
	// next-plaid.
	Model string `json:"model,omitempty"`
	// Dim is the width of the vectors, a multiple of 8 up to 1024. New asks the
	// service when it is 0.
	Dim int `json:"dim"`
	// QueryPrefix and DocumentPrefix are put before every text. They are for
	// vLLM, which does not tell queries from documents: models made with PyLate
	// want "[Q] " and "[D] ". The other services add what their model needs.
	QueryPrefix    string `json:"query_prefix,omitempty"`
	DocumentPrefix string `json:"document_prefix,omitempty"`
}

// Validate reports all that is wrong with the service, a Dim of 0 included.
func (s Service) Validate() error {
	faults := []error{s.validateAddress()}
	if err := simd.CheckDim(s.Dim); err != nil {
		faults = append(faults, fmt.Errorf("remote: Dim: %w", err))
	}
	return errors.Join(faults...)
}

// validateAddress checks all but the width.
func (s Service) validateAddress() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf("remote: "+format, args...)) }
	if _, known := protocols[s.Format]; !known {
		fault("Format %q, want one of %q", s.Format, Formats())
	}
	u, err := url.Parse(s.URL)
	switch {
	case err != nil:
		fault("URL: not a valid address") // the error would repeat what may hold a password
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		fault("URL %q: want http://HOST or https://HOST", u.Redacted())
	case u.User != nil:
		fault("URL %q: it names a user and would be stored in the index; give the key apart", u.Redacted())
	case u.RawQuery != "" || u.Fragment != "":
		fault("URL: it has a query or a fragment and would be stored in the index; give the key apart")
	}
	if s.Model == "" && s.Format != NextPlaid {
		fault("Model is empty, %s needs its name", s.Format)
	}
	return errors.Join(faults...)
}

// endpoint is the address that requests go to.
func (s Service) endpoint() string {
	base, path := strings.TrimRight(s.URL, "/"), protocols[s.Format].path
	if strings.HasSuffix(base, path) {
		return base
	}
	return base + path
}

// Options say how a service is talked to. None of them changes the vectors.
type Options struct {
	// Key is sent as "Authorization: Bearer KEY" if it is not empty. Over plain
	// http everybody on the way can read it.
	Key string
	// Batch is the largest number of texts in a request; of long texts there
	// are fewer.
	Batch int
	// Concurrency is the largest number of requests under way at once.
	Concurrency int
	// Timeout is the time that one request may take, answer included.
	Timeout time.Duration
	// Retries is how often a request is tried again after the first time.
	Retries int
	// Wait is about how long to wait before the second try; it doubles with
	// each further one up to MaxWait. A service that asks for more than MaxWait
	// is not asked again.
	Wait, MaxWait time.Duration
	// MaxResponse is the largest answer in bytes, after decompression.
	MaxResponse int64
	// Transport makes the requests, http.DefaultTransport when nil.
	Transport http.RoundTripper
}

// DefaultOptions sends 32 texts at a time, four requests at once, each up to a
// minute and five times in all, and takes answers of up to 256 MiB.
func DefaultOptions() Options {
	return Options{
		Batch:       32,
		Concurrency: 4,
		Timeout:     time.Minute,
		Retries:     4,
		Wait:        500 * time.Millisecond,
		MaxWait:     30 * time.Second,
		MaxResponse: 256 << 20,
	}
}

// Validate reports every option that makes no sense.
func (o Options) Validate() error {
	var faults []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf("remote: "+format, args...))
		}
	}
	check(o.Batch >= 1, "Batch is %d, want at least 1", o.Batch)
	check(o.Concurrency >= 1, "Concurrency is %d, want at least 1", o.Concurrency)
	check(o.Timeout >= time.Millisecond, "Timeout is %v, want at least 1ms", o.Timeout)
	check(o.MaxResponse >= 1, "MaxResponse is %d, want at least 1 byte", o.MaxResponse)
	check(!strings.ContainsAny(o.Key, "\r\n\x00"), "Key has a line break")
	if err := o.policy().Validate(); err != nil {
		faults = append(faults, fmt.Errorf("remote: %w", err))
	}
	return errors.Join(faults...)
}

func (o Options) policy() retry.Policy {
	return retry.Policy{Retries: o.Retries, Wait: o.Wait, MaxWait: o.MaxWait}
}

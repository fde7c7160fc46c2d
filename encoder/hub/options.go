package hub

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/pare-search/pare/internal/retry"
)

// Errors that callers test for.
var (
	// ErrName: the name is not of the form ORG/NAME.
	ErrName = errors.New("hub: not a model name of the form ORG/NAME")
	// ErrNotFound: the hub has no such model, revision or file.
	ErrNotFound = errors.New("hub: not found")
	// ErrStatus: the hub answered with another status than it should.
	ErrStatus = errors.New("hub: the hub refuses")
	// ErrListing: the list of files cannot be used.
	ErrListing = errors.New("hub: unusable list of files")
	// ErrUnsafe: a file has a name that leads out of its folder.
	ErrUnsafe = errors.New("hub: unsafe file name")
	// ErrNoModel: the model lacks a file that every encoder needs.
	ErrNoModel = errors.New("hub: not a model that can be used")
	// ErrChecksum: a file is not what the list says.
	ErrChecksum = errors.New("hub: wrong checksum")
	// ErrExists: the target is no folder, or one with something else in it.
	ErrExists = errors.New("hub: something else is there")
)

// DefaultBaseURL is the hub that is asked where nothing else is said.
const DefaultBaseURL = "https://huggingface.co"

// Options say where a model comes from and where it goes.
type Options struct {
	// BaseURL is the address of the hub: https, or http for a hub that is
	// reached through no open network.
	BaseURL string
	// Revision is a branch, a tag or a commit.
	Revision string
	// Token, if not empty, is sent to the hub, and to nobody it redirects to,
	// as "Authorization: Bearer TOKEN".
	Token string
	// Dir is the folder that the model becomes, "" for its place in the cache.
	Dir string
	// Stall is the longest time without a byte before a connection is given up.
	Stall time.Duration
	// Retries is how often a request is tried again after the first time
	// without any progress, Wait and MaxWait how long to wait before: see
	// package encoder/remote, which does the same.
	Retries       int
	Wait, MaxWait time.Duration
	// Transport makes the requests, http.DefaultTransport when nil.
	Transport http.RoundTripper
	// Progress, if set, is told how many bytes of the model are there, by one
	// goroutine. It goes back when something has to be fetched anew.
	Progress func(done, total int64)
}

// DefaultOptions gets the branch main from Hugging Face into the cache.
func DefaultOptions() Options {
	return Options{
		BaseURL:  DefaultBaseURL,
		Revision: "main",
		Stall:    30 * time.Second,
		Retries:  4,
		Wait:     time.Second,
		MaxWait:  time.Minute,
	}
}

var revisionPattern = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._/-]{0,199}$`)

// Validate reports every option that makes no sense.
func (o Options) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf("hub: "+format, args...)) }
	u, err := url.Parse(o.BaseURL)
	switch {
	case err != nil:
		fault("BaseURL: not a valid address") // the error would repeat what may hold a password
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		fault("BaseURL %q: want https://HOST or http://HOST", u.Redacted())
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		fault("BaseURL %q: want no user, query or fragment", u.Redacted())
	}
	if !revisionPattern.MatchString(o.Revision) || strings.Contains(o.Revision, "..") {
		fault("Revision %q: want a branch, a tag or a commit", o.Revision)
	}
	if strings.ContainsAny(o.Token, "\r\n\x00") {
		fault("Token has a line break")
	}
	if o.Stall < time.Millisecond {
		fault("Stall is %v, want at least 1ms", o.Stall)
	}
	if err := o.policy().Validate(); err != nil {
		fault("%w", err)
	}
	return errors.Join(faults...)
}

func (o Options) policy() retry.Policy {
	return retry.Policy{Retries: o.Retries, Wait: o.Wait, MaxWait: o.MaxWait}
}

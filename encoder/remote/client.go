package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/pare-search/pare/internal/retry"
)

// Errors that callers test for. Errors of the connection are wrapped too.
var (
	// ErrStatus: the service answered with a status other than 200.
	ErrStatus = errors.New("the service refuses")
	// ErrAnswer: the answer is not what was asked for. A text with words that
	// has no vectors is no answer, either.
	ErrAnswer = errors.New("unusable answer")
)

// client posts requests to one address.
type client struct {
	endpoint string
	headers  map[string]string
	options  Options
	http     *http.Client
	slots    chan struct{} // one for each request under way
}

func newClient(s Service, options Options) *client {
	return &client{
		endpoint: s.endpoint(),
		headers:  protocols[s.Format].headers,
		options:  options,
		http: &http.Client{
			Transport:     options.Transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		slots: make(chan struct{}, options.Concurrency),
	}
}

// post sends a body and returns the answer, trying again where that may help.
func (c *client) post(ctx context.Context, body []byte) (answer []byte, err error) {
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	err = c.options.policy().Do(ctx, func() error {
		answer, err = c.try(ctx, body)
		return err
	})
	return answer, err
}

// try sends a body once.
func (c *client) try(ctx context.Context, body []byte) ([]byte, error) {
	limited, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(limited, http.MethodPost, c.endpoint, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", "pare")
	for name, value := range c.headers {
		request.Header.Set(name, value)
	}
	if c.options.Key != "" {
		request.Header.Set("Authorization", "Bearer "+c.options.Key)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, c.broken(err, limited)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, c.refused(response)
	}
	answer, err := io.ReadAll(io.LimitReader(response.Body, c.options.MaxResponse+1))
	if err != nil {
		return nil, c.broken(err, limited)
	}
	if int64(len(answer)) > c.options.MaxResponse {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrAnswer, c.options.MaxResponse)
	}
	return answer, nil
}

// broken is the error of a connection.
func (c *client) broken(err error, limited context.Context) error {
	if errors.Is(limited.Err(), context.DeadlineExceeded) {
		return retry.Passing{Err: fmt.Errorf("no answer within %v: %w", c.options.Timeout, context.DeadlineExceeded)}
	}
	// Its text would repeat the address.
	if outer, ok := errors.AsType[*url.Error](err); ok {
		err = outer.Err
	}
	return retry.Passing{Err: fmt.Errorf("no answer: %w", err)}
}

// refused is the error of a status.
func (c *client) refused(response *http.Response) error {
	text, _ := io.ReadAll(io.LimitReader(response.Body, 300)) // best effort, as advice for people
	said := strings.TrimSpace(string(text))
	if c.options.Key != "" {
		said = strings.ReplaceAll(said, c.options.Key, "KEY")
	}
	err := fmt.Errorf("%w: status %s", ErrStatus, response.Status)
	if said != "" {
		err = fmt.Errorf("%w: %q", err, said)
	}
	switch code := response.StatusCode; {
	case code >= 300 && code < 400:
		return fmt.Errorf("%w; redirects are not followed, it points to %q", err, response.Header.Get("Location"))
	case code == http.StatusUnauthorized && c.options.Key == "":
		return fmt.Errorf("%w; no key was given", err)
	}
	return retry.Status(response, err)
}

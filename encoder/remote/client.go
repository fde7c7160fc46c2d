package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Errors that callers test for. Errors of the connection are wrapped too.
var (
	// ErrStatus: the service answered with a status other than 200.
	ErrStatus = errors.New("the service refuses")
	// ErrAnswer: the answer is not what was asked for.
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

// passing is an error that may be gone next time. After is how long the service
// asks to wait, 0 if it does not.
type passing struct {
	error
	after time.Duration
}

func (p passing) Unwrap() error { return p.error }

// post sends a body and returns the answer, trying again where that may help.
func (c *client) post(ctx context.Context, body []byte) ([]byte, error) {
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	for try := 1; ; try++ {
		answer, err := c.try(ctx, body)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		p, again := errors.AsType[passing](err)
		switch {
		case err == nil || !again:
			return answer, err
		case p.after > c.options.MaxWait:
			return nil, fmt.Errorf("%w; it asks to wait for %v", err, p.after)
		case try > c.options.Retries:
			return nil, fmt.Errorf("%w; gave up after %d tries", err, try)
		}
		if err := sleep(ctx, max(p.after, c.wait(try))); err != nil {
			return nil, err
		}
	}
}

// wait is how long to wait after the given try. The random part keeps clients
// that failed together from coming back together.
func (c *client) wait(try int) time.Duration {
	longest := c.options.MaxWait
	if shift := try - 1; shift < 32 && c.options.Wait<<shift>>shift == c.options.Wait {
		longest = min(longest, c.options.Wait<<shift)
	}
	return longest/2 + rand.N(longest/2+1)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
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
		return passing{error: fmt.Errorf("no answer within %v: %w", c.options.Timeout, context.DeadlineExceeded)}
	}
	// Its text would repeat the address.
	if outer, ok := errors.AsType[*url.Error](err); ok {
		err = outer.Err
	}
	return passing{error: fmt.Errorf("no answer: %w", err)}
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
	case code == http.StatusRequestTimeout, code == http.StatusTooEarly, code == http.StatusTooManyRequests,
		code >= 500 && code != http.StatusNotImplemented:
		return passing{err, retryAfter(response.Header.Get("Retry-After"), time.Now())}
	}
	return err
}

// retryAfter reads seconds or a date (RFC 9110, section 10.2.3); 0 for neither.
func retryAfter(value string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if date, err := http.ParseTime(value); err == nil {
		return max(0, date.Sub(now))
	}
	return 0
}

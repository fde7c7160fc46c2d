package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/pare-search/pare/internal/retry"
)

// client makes requests to one hub.
type client struct {
	base    string
	options Options
	http    *http.Client
}

func newClient(options Options) *client {
	base := strings.TrimRight(options.BaseURL, "/")
	plain := strings.HasPrefix(base, "http:")
	return &client{
		base:    base,
		options: options,
		http: &http.Client{
			Transport: options.Transport,
			CheckRedirect: func(next *http.Request, via []*http.Request) error {
				switch {
				case len(via) > 10:
					return fmt.Errorf("%w: more than 10 redirects", ErrStatus)
				case next.URL.Scheme != "https" && !plain:
					return fmt.Errorf("%w: a redirect to %s, which is not https", ErrStatus, next.URL.Redacted())
				}
				// Package http lets subdomains and other ports have the token.
				if hub := via[0].URL; next.URL.Scheme != hub.Scheme || next.URL.Host != hub.Host {
					next.Header.Del("Authorization")
				}
				return nil
			},
		},
	}
}

// read returns the body of an answer, at most limit bytes.
func (c *client) read(ctx context.Context, address string, limit int64) (data []byte, err error) {
	err = c.options.policy().Do(ctx, func() error {
		response, err := c.get(ctx, address, 0)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return c.refused(response, address)
		}
		if data, err = io.ReadAll(io.LimitReader(response.Body, limit+1)); err != nil {
			return broken(err, address)
		}
		if int64(len(data)) > limit {
			return fmt.Errorf("%w: %s: more than %d bytes", ErrListing, address, limit)
		}
		return nil
	})
	return data, err
}

// get asks for an address from a byte on. Reading the body fails when nothing
// comes for too long.
func (c *client) get(ctx context.Context, address string, from int64) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	watch := time.AfterFunc(c.options.Stall, func() { cancel(fmt.Errorf("nothing came for %v", c.options.Stall)) })
	end := func() {
		watch.Stop()
		cancel(nil)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		end()
		return nil, err
	}
	request.Header.Set("User-Agent", "pare")
	// Ranges and sizes are those of the file itself.
	request.Header.Set("Accept-Encoding", "identity")
	if from > 0 {
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-", from))
	}
	if c.options.Token != "" {
		request.Header.Set("Authorization", "Bearer "+c.options.Token)
	}
	response, err := c.http.Do(request)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		end()
		return nil, broken(err, address)
	}
	response.Body = &watchedBody{response.Body, ctx, watch, c.options.Stall, end}
	return response, nil
}

// watchedBody puts off the end of a connection with every byte.
type watchedBody struct {
	io.ReadCloser
	ctx   context.Context
	watch *time.Timer
	stall time.Duration
	end   func()
}

func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		b.watch.Reset(b.stall)
	}
	if err != nil && err != io.EOF {
		if cause := context.Cause(b.ctx); cause != nil {
			err = cause
		}
	}
	return n, err
}

func (b *watchedBody) Close() error {
	b.end()
	return b.ReadCloser.Close()
}

// broken is the error of a connection, which may be back soon.
func broken(err error, address string) error {
	// Its text would repeat the address.
	if outer, ok := errors.AsType[*url.Error](err); ok {
		err = outer.Err
	}
	err = fmt.Errorf("hub: %s: %w", address, err)
	if errors.Is(err, ErrStatus) {
		return err
	}
	return retry.Passing{Err: err}
}

// refused is the error of a status.
func (c *client) refused(response *http.Response, address string) error {
	switch response.StatusCode {
	case http.StatusNotFound:
		return fmt.Errorf("%w: %s", ErrNotFound, address)
	case http.StatusUnauthorized, http.StatusForbidden:
		// Hugging Face says this of models that do not exist, too.
		return fmt.Errorf("%w: %s: status %s: there is no such model, or a token is needed that may read it", ErrStatus, address, response.Status)
	}
	return retry.Status(response, fmt.Errorf("%w: %s: status %s", ErrStatus, address, response.Status))
}

// Package retry tries something again that may succeed next time: a request to
// a server that is busy or out of reach.
package retry

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// Policy says how often to try again and how long to wait before.
type Policy struct {
	// Retries is how often to try again after the first time.
	Retries int
	// Wait is about how long to wait before the second try; it doubles with
	// each further one up to MaxWait. A server that asks for more than MaxWait
	// is not tried again.
	Wait, MaxWait time.Duration
}

// Validate reports everything that makes no sense.
func (p Policy) Validate() error {
	var faults []error
	if p.Retries < 0 {
		faults = append(faults, fmt.Errorf("retries: %d, want 0 or more", p.Retries))
	}
	if p.Wait < 0 || p.MaxWait < p.Wait {
		faults = append(faults, fmt.Errorf("waits from %v to %v, want 0 or more, the longest last", p.Wait, p.MaxWait))
	}
	return errors.Join(faults...)
}

// Passing marks an error that may be gone next time.
type Passing struct {
	Err error
	// After is how long the server asks to wait, 0 if it does not.
	After time.Duration
	// Progress tells that something was achieved before the error, so that the
	// count of tries begins anew.
	Progress bool
}

func (p Passing) Error() string { return p.Err.Error() }
func (p Passing) Unwrap() error { return p.Err }

// Do calls try until it succeeds, fails with an error that is not Passing, or
// was called often enough. When the context ends, its error is returned.
func (p Policy) Do(ctx context.Context, try func() error) error {
	for tries := 1; ; tries++ {
		err := try()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		passing, again := errors.AsType[Passing](err)
		if passing.Progress {
			tries = 1
		}
		switch {
		case !again:
			return err
		case passing.After > p.MaxWait:
			return fmt.Errorf("%w; it asks to wait for %v", err, passing.After)
		case tries > p.Retries:
			return fmt.Errorf("%w; gave up after %d tries", err, tries)
		}
		if err := sleep(ctx, max(passing.After, p.wait(tries))); err != nil {
			return err
		}
	}
}

// wait is how long to wait after the given number of tries: half of it fixed,
// half random, which keeps clients that failed together from coming back
// together.
func (p Policy) wait(tries int) time.Duration {
	longest := p.Wait
	for range tries - 1 {
		longest = min(2*longest, p.MaxWait)
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

// Status returns err as Passing if a response has a status that may be another
// one next time: 408, 425, 429 and 5xx but 501. It honours Retry-After.
func Status(response *http.Response, err error) error {
	switch code := response.StatusCode; {
	case code == http.StatusRequestTimeout, code == http.StatusTooEarly, code == http.StatusTooManyRequests,
		code >= 500 && code != http.StatusNotImplemented:
		return Passing{Err: err, After: after(response.Header.Get("Retry-After"), time.Now())}
	}
	return err
}

// after reads seconds or a date (RFC 9110, section 10.2.3); 0 for neither.
func after(value string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if date, err := http.ParseTime(value); err == nil {
		return max(0, date.Sub(now))
	}
	return 0
}

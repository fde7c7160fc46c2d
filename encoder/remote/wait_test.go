package remote

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// busy is a service that is busy, with or without saying for how long.
type busy struct {
	after string
	asked []time.Time
}

func (b *busy) RoundTrip(*http.Request) (*http.Response, error) {
	b.asked = append(b.asked, time.Now())
	response := &http.Response{StatusCode: 429, Status: "429 Too Many Requests", Header: http.Header{}, Body: io.NopCloser(strings.NewReader(""))}
	if b.after != "" {
		response.Header.Set("Retry-After", b.after)
	}
	return response, nil
}

// TestWaits checks the time between tries on a clock that jumps.
func TestWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		soon := time.Now().Add(21 * time.Second).UTC().Format(http.TimeFormat)
		for _, test := range []struct {
			after    string
			shortest []time.Duration // of each wait; a wait may be twice that
			says     string
		}{
			{soon, nil, "it asks to wait for 21s"},
			{"", []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 5 * time.Second}, "gave up after 5 tries"},
			{"nonsense", []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 5 * time.Second}, "gave up after 5 tries"},
			{"-7", []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 5 * time.Second}, "gave up after 5 tries"},
			{"9", []time.Duration{9 * time.Second, 9 * time.Second, 9 * time.Second, 9 * time.Second}, "gave up after 5 tries"},
			{"11", nil, "it asks to wait for 11s"},
			{"99999999999999999999", []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 5 * time.Second}, "gave up after 5 tries"},
		} {
			service := &busy{after: test.after}
			options := DefaultOptions()
			options.Transport, options.Wait, options.MaxWait = service, 2*time.Second, 10*time.Second
			e, err := New(t.Context(), Service{Format: NextPlaid, URL: "http://host", Dim: 8}, options)
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			_, err = e.EncodeQuery(t.Context(), "apple")
			if !errors.Is(err, ErrStatus) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("Retry-After %q: error %v, want %q", test.after, err, test.says)
			}
			if len(service.asked) != len(test.shortest)+1 {
				t.Errorf("Retry-After %q: asked %d times", test.after, len(service.asked))
				continue
			}
			for i, shortest := range test.shortest {
				wait := service.asked[i+1].Sub(service.asked[i])
				if wait < shortest || wait > 2*shortest {
					t.Errorf("Retry-After %q: wait %d took %v, want %v to %v", test.after, i, wait, shortest, 2*shortest)
				}
			}
			if time.Since(start) > time.Minute {
				t.Errorf("it took %v", time.Since(start))
			}
		}
	})
}

package retry

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var errBusy = errors.New("busy")

// TestDo checks the number of tries and the time between them on a clock that
// jumps.
func TestDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		policy := Policy{Retries: 4, Wait: 2 * time.Second, MaxWait: 10 * time.Second}
		busy := Passing{Err: errBusy}
		for _, test := range []struct {
			name     string
			errs     []error         // what the tries return; nil afterwards
			shortest []time.Duration // of each wait; a wait may be twice that
			says     string          // "" for success
		}{
			{"success", nil, nil, ""},
			{"for good", []error{errBusy}, nil, "busy"},
			{"twice", []error{busy, busy}, []time.Duration{time.Second, 2 * time.Second}, ""},
			{
				"all the time", slices.Repeat([]error{busy}, 9),
				[]time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 5 * time.Second},
				"busy; gave up after 5 tries",
			},
			{"then for good", []error{busy, errBusy}, []time.Duration{time.Second}, "busy"},
			{"told when", []error{Passing{Err: errBusy, After: 9 * time.Second}}, []time.Duration{9 * time.Second}, ""},
			{"told too late", []error{Passing{Err: errBusy, After: 11 * time.Second}}, nil, "busy; it asks to wait for 11s"},
			{
				"with progress", slices.Repeat([]error{Passing{Err: errBusy, Progress: true}}, 7),
				slices.Repeat([]time.Duration{time.Second}, 7), "",
			},
		} {
			var asked []time.Time
			err := policy.Do(t.Context(), func() error {
				asked = append(asked, time.Now())
				if len(asked) > len(test.errs) {
					return nil
				}
				return test.errs[len(asked)-1]
			})
			if err == nil && test.says != "" || err != nil && (err.Error() != test.says || !errors.Is(err, errBusy)) {
				t.Errorf("%s: error %v, want %q", test.name, err, test.says)
			}
			if len(asked) != len(test.shortest)+1 {
				t.Errorf("%s: tried %d times, want %d", test.name, len(asked), len(test.shortest)+1)
				continue
			}
			for i, shortest := range test.shortest {
				if wait := asked[i+1].Sub(asked[i]); wait < shortest || wait > 2*shortest {
					t.Errorf("%s: wait %d took %v, want %v to %v", test.name, i, wait, shortest, 2*shortest)
				}
			}
		}
	})
}

func TestDoCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		policy := Policy{Retries: 1, Wait: time.Hour, MaxWait: time.Hour}
		start := time.Now()
		err := policy.Do(ctx, func() error { return Passing{Err: errBusy} })
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Minute {
			t.Errorf("error %v after %v", err, time.Since(start))
		}
		err = policy.Do(ctx, func() error { return errBusy })
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want that of the context", err)
		}
	})
}

func TestStatus(t *testing.T) {
	for code := 400; code < 600; code++ {
		_, passing := errors.AsType[Passing](Status(&http.Response{StatusCode: code}, errBusy))
		if want := slices.Contains([]int{408, 425, 429}, code) || code >= 500 && code != 501; passing != want {
			t.Errorf("status %d: passing is %t", code, passing)
		}
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "soon": 0, "-7": 0, "9": 9 * time.Second, "99999999999999999999": 0, "1.5": 0,
		"Fri, 02 Jan 2026 03:04:26 GMT": 21 * time.Second,
		"Fri, 02 Jan 2026 03:04:00 GMT": 0,
	} {
		if got := after(value, now); got != want {
			t.Errorf("Retry-After %q is %v, want %v", value, got, want)
		}
	}
	response := &http.Response{StatusCode: 503, Header: http.Header{"Retry-After": {"3"}}}
	if passing, _ := errors.AsType[Passing](Status(response, errBusy)); passing.After != 3*time.Second {
		t.Errorf("waits %v, want 3s", passing.After)
	}
}

func TestValidate(t *testing.T) {
	err := Policy{Retries: -1, Wait: 2, MaxWait: 1}.Validate()
	for _, says := range []string{"retries: -1", "waits from 2ns to 1ns"} {
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("error %v, want %q", err, says)
		}
	}
	if err := (Policy{}).Validate(); err != nil {
		t.Error(err)
	}
}

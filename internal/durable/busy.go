package durable

import "time"

// patience is how long something is tried again that others are in the way of.
const patience = time.Second

// patiently does something again while the error is of the kind that busy knows,
// until that has lasted.
func patiently(do func() error, busy func(error) bool) error {
	for wait := time.Millisecond; ; wait *= 2 {
		err := do()
		if err == nil || wait > patience || !busy(err) {
			return err
		}
		time.Sleep(wait)
	}
}

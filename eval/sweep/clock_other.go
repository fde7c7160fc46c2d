//go:build !linux

package sweep

import "time"

// clockName says what threadClock reads.
const clockName = "time on the clock"

// threadClock returns the time that has passed: the processor time of a thread
// cannot be had everywhere.
func threadClock() time.Duration { return time.Since(began) }

var began = time.Now()

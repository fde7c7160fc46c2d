//go:build !unix

package looks

import "time"

var begin = time.Now()

// spent is the time until now: the system does not tell that of the processor.
func spent() time.Duration { return time.Since(begin) }

package durable

import (
	"errors"

	"golang.org/x/sys/windows"
)

// busy tells whether an error may come of somebody who has the file open for a
// moment: Windows neither replaces such a file nor lets go of its name, so a reader
// of a manifest is in the way of the commit that replaces it, and the other way round.
func busy(err error) bool {
	return errors.Is(err, windows.ERROR_ACCESS_DENIED) || errors.Is(err, windows.ERROR_SHARING_VIOLATION) ||
		errors.Is(err, windows.ERROR_USER_MAPPED_FILE)
}

package bert

import "errors"

// Errors that callers test for; they arrive wrapped with the file and what is
// wrong in it.
var (
	// ErrModel: the folder holds no model, or a damaged one.
	ErrModel = errors.New("bert: no usable model")
	// ErrUnsupported: the model is of a kind that this package does not run.
	ErrUnsupported = errors.New("bert: unsupported model")
	// ErrOtherModel: where the model of an index is looked for there is none, or
	// another one.
	ErrOtherModel = errors.New("bert: the model of the index is not there")
	// ErrCorrupt: the saved form of an encoder is damaged.
	ErrCorrupt = errors.New("bert: corrupt encoder")
	// ErrVersion: the saved form of an encoder is of another version.
	ErrVersion = errors.New("bert: unsupported encoder version")
	// ErrOptions: options that Validate refuses.
	ErrOptions = errors.New("bert: invalid option")
)

package sweep

import (
	"errors"
	"fmt"

	"github.com/pare-search/pare/index"
	"github.com/pare-search/pare/retriever"
)

// ErrOtherIndex reports an index that was made of other documents than those
// it is to be measured with.
var ErrOtherIndex = errors.New("sweep: the index is not one of this collection")

// CheckIndex fails unless the index holds just these documents: the same ids
// and, where it stores texts, the same texts. The error wraps ErrOtherIndex and
// names the first difference, or is one of reading the index.
func CheckIndex(snapshot *index.Snapshot, documents []retriever.Document) error {
	for _, document := range documents {
		number, found, err := snapshot.Lookup(document.ID)
		if err != nil {
			return err
		}
		if !found {
			return fmt.Errorf("%w: it has no document %q", ErrOtherIndex, document.ID)
		}
		text, err := snapshot.Text(number)
		if err != nil {
			return err
		}
		if text != "" && text != document.Text {
			return fmt.Errorf("%w: its document %q has another text", ErrOtherIndex, document.ID)
		}
	}
	return checkCount(snapshot, len(documents))
}

// CheckIDs fails unless the index holds just the documents with these ids. Its
// errors are those of CheckIndex.
func CheckIDs(snapshot *index.Snapshot, ids []string) error {
	for _, id := range ids {
		_, found, err := snapshot.Lookup(id)
		if err != nil {
			return err
		}
		if !found {
			return fmt.Errorf("%w: it has no document %q", ErrOtherIndex, id)
		}
	}
	return checkCount(snapshot, len(ids))
}

func checkCount(snapshot *index.Snapshot, documents int) error {
	if n := snapshot.LiveDocuments(); n != documents {
		return fmt.Errorf("%w: it has %d documents, the collection %d", ErrOtherIndex, n, documents)
	}
	return nil
}

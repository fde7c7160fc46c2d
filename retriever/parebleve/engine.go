package parebleve

import (
	"fmt"
	"path/filepath"
	"reflect"

	"github.com/blevesearch/bleve/v2"
	"github.com/blevesearch/bleve/v2/index/scorch"
)

// engine is what parebleve must know about the scorch index inside.
type engine struct {
	folder   string // of the bleve index, "" for one in memory
	readOnly bool
	// unsafe tells that batches are done before they are on disk.
	unsafe bool
}

// engineOf looks into the engine of a bleve index. Scorch tells none of this:
// the name of an index need not be its path, and a write to an index that is
// read-only is never answered.
func engineOf(idx bleve.Index) (engine, error) {
	advanced, err := idx.Advanced()
	if err != nil {
		return engine{}, err
	}
	s, ok := advanced.(*scorch.Scorch)
	if !ok {
		return engine{}, fmt.Errorf("%w: %s is a %T", ErrNotScorch, idx.Name(), advanced)
	}
	value := reflect.ValueOf(s).Elem()
	path, readOnly, unsafe := value.FieldByName("path"), value.FieldByName("readOnly"), value.FieldByName("unsafeBatch")
	if path.Kind() != reflect.String || readOnly.Kind() != reflect.Bool || unsafe.Kind() != reflect.Bool {
		return engine{}, fmt.Errorf("%w: %T has no path, readOnly and unsafeBatch", ErrBleve, advanced)
	}
	e := engine{readOnly: readOnly.Bool(), unsafe: unsafe.Bool()}
	if path.String() != "" {
		e.folder = filepath.Dir(path.String()) // scorch is in the folder "store"
	}
	return e, nil
}

// durable tells that what is done stays done, whatever happens next.
func (e engine) durable() bool { return e.folder == "" || !e.unsafe }

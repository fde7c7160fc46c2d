package fields_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/pare-search/pare/internal/fields"
)

var errCorrupt, errVersion = errors.New("corrupt"), errors.New("unsupported")

func Example() {
	saved := fields.Seal(append(fields.Begin("SHELL", 3), 7, 1, 0, 0, 0, 'a', 'b'))

	r, err := fields.Open(saved, "SHELL", 3, errCorrupt, errVersion)
	fmt.Println(err)
	fmt.Println(r.Uint8("kind"), r.Uint32("size"), string(r.Bytes("name", 2)))
	r.End()
	fmt.Println(r.Err())

	saved[10]++
	_, err = fields.Open(saved, "SHELL", 3, errCorrupt, errVersion)
	fmt.Println(err)
	// Output:
	// <nil>
	// 7 1 ab
	// <nil>
	// corrupt: checksum does not match
}

func TestOpenRefuses(t *testing.T) {
	saved := fields.Seal(append(fields.Begin("SHELL", 3), 1, 2))
	for n := range saved {
		if _, err := fields.Open(saved[:n], "SHELL", 3, errCorrupt, errVersion); !errors.Is(err, errCorrupt) {
			t.Errorf("%d of %d bytes: %v", n, len(saved), err)
		}
	}
	if _, err := fields.Open(saved, "SHELL", 4, errCorrupt, errVersion); !errors.Is(err, errVersion) {
		t.Errorf("another version: %v", err)
	}
	if _, err := fields.Open(saved, "STONE", 3, errCorrupt, errVersion); !errors.Is(err, errCorrupt) {
		t.Errorf("another magic: %v", err)
	}
}

func TestReader(t *testing.T) {
	r := fields.NewReader([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9}, errCorrupt)
	if v := r.Uint64("number"); v != 0x0807060504030201 {
		t.Errorf("number %x", v)
	}
	if b := r.Bytes("text", 2); b != nil {
		t.Errorf("read %v past the end", b)
	}
	want := "corrupt: text: needs 2 bytes, 1 are left"
	if r.Err() == nil || r.Err().Error() != want || !errors.Is(r.Err(), errCorrupt) {
		t.Errorf("error %v, want %q", r.Err(), want)
	}
	r.Fail("later", "is worse")
	if r.Uint8("more") != 0 || r.Uint32("more") != 0 || r.Err().Error() != want {
		t.Errorf("after an error: %v", r.Err())
	}
	for _, n := range []int{-1, 10} {
		r := fields.NewReader(make([]byte, 9), errCorrupt)
		if r.Bytes("text", n) != nil || r.Err() == nil {
			t.Errorf("read %d of 9 bytes", n)
		}
	}
	r = fields.NewReader([]byte{1}, errCorrupt)
	if r.End(); r.Err() == nil || r.Err().Error() != "corrupt: end: 1 bytes too many" {
		t.Errorf("a byte is left: %v", r.Err())
	}
}

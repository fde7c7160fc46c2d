package hub

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/pare-search/pare/internal/retry"
)

// newHash returns the hash of a file's checksum and the checksum.
func (f File) newHash() (h hash.Hash, want string) {
	if f.SHA256 != "" {
		return sha256.New(), f.SHA256
	}
	h = sha1.New() // of a header and the content: git's object format
	fmt.Fprintf(h, "blob %d\x00", f.Size)
	return h, f.Blob
}

// verify tells whether the file at path is what it should be.
func (f File) verify(path string) bool {
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer file.Close()
	h, want := f.newHash()
	n, err := io.Copy(h, file)
	return err == nil && n == f.Size && hex.EncodeToString(h.Sum(nil)) == want
}

// download is a file on its way to path, as far as it has come, in path.part.
type download struct {
	File
	client  *client
	address string
	part    *os.File
	have    int64
	most    int64     // that there ever was
	hash    hash.Hash // of what there is
	report  func(have int64)
}

// fetch downloads a file to path. What an earlier call left in path.part is
// gone on with.
func (c *client) fetch(ctx context.Context, address, path string, f File, report func(have int64)) (err error) {
	part, err := os.OpenFile(path+".part", os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	d := &download{File: f, client: c, address: address, part: part, report: report}
	defer func() {
		if d.part != nil {
			err = errors.Join(err, d.part.Close())
		}
	}()
	if err := d.resume(); err != nil {
		return err
	}
	left := d.have > 0
	for {
		if err := c.options.policy().Do(ctx, func() error { return d.try(ctx) }); err != nil {
			return err
		}
		sum, want := hex.EncodeToString(d.hash.Sum(nil)), f.SHA256+f.Blob
		if sum == want {
			break
		}
		if err := d.restart(); err != nil {
			return err
		}
		// What was left over may have been of another file.
		if !left {
			return fmt.Errorf("%w: %s is %s, want %s", ErrChecksum, address, sum, want)
		}
		left = false
	}
	if err := part.Sync(); err != nil {
		return err
	}
	d.part = nil
	if err := part.Close(); err != nil {
		return err
	}
	return os.Rename(path+".part", path)
}

// resume reads what is there already.
func (d *download) resume() error {
	d.hash, _ = d.newHash()
	n, err := io.Copy(d.hash, d.part)
	if err != nil {
		return err
	}
	if n > d.Size {
		return d.restart()
	}
	d.have = n
	d.report(n)
	return nil
}

// restart throws away what is there.
func (d *download) restart() error {
	d.hash, _ = d.newHash()
	d.have = 0
	d.report(0)
	if _, err := d.part.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return d.part.Truncate(0)
}

// try asks once for what is missing.
func (d *download) try(ctx context.Context) error {
	if d.have == d.Size {
		return nil
	}
	response, err := d.client.get(ctx, d.address, d.have)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	switch code := response.StatusCode; {
	case code == http.StatusPartialContent:
		// bytes FIRST-LAST/SIZE
		if said := response.Header.Get("Content-Range"); !strings.HasPrefix(said, fmt.Sprintf("bytes %d-", d.have)) {
			return fmt.Errorf("%w: %s: asked for bytes from %d on, got %q", ErrStatus, d.address, d.have, said)
		}
	case code == http.StatusOK && d.have > 0, code == http.StatusRequestedRangeNotSatisfiable && d.have > 0:
		if err := d.restart(); err != nil {
			return err
		}
		if code != http.StatusOK {
			return retry.Passing{Err: fmt.Errorf("%w: %s: status %s", ErrStatus, d.address, response.Status)}
		}
	case code != http.StatusOK:
		return d.client.refused(response, d.address)
	}
	if length := response.ContentLength; length >= 0 && length != d.Size-d.have {
		return fmt.Errorf("%w: %s has %d bytes, want %d", ErrChecksum, d.address, d.have+length, d.Size)
	}
	_, err = io.Copy(d, io.LimitReader(response.Body, d.Size-d.have))
	if err == nil && d.have < d.Size {
		err = io.ErrUnexpectedEOF
	}
	if local, ok := errors.AsType[*os.PathError](err); ok {
		return local // the disk is full, or the like
	}
	if err != nil {
		progress := d.have > d.most
		d.most = max(d.most, d.have)
		return retry.Passing{Err: fmt.Errorf("hub: %s: %w after %d of %d bytes", d.address, err, d.have, d.Size), Progress: progress}
	}
	return nil
}

// Write appends to the part.
func (d *download) Write(p []byte) (int, error) {
	n, err := d.part.Write(p)
	d.hash.Write(p[:n])
	d.have += int64(n)
	d.report(d.have)
	return n, err
}

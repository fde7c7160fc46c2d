package index

import (
	"context"
	"errors"
	"path/filepath"
)

// BackupOptions say how Backup makes files.
type BackupOptions struct {
	// Copy copies every file. Otherwise those that can be are linked: files of
	// an index never change, so the backup takes no room until the index moves on,
	// but damage to the disk is damage to both.
	Copy bool
}

// BackupStats say what Backup has made.
type BackupStats struct {
	Generation uint64 `json:"generation"` // the commit
	Documents  int    `json:"documents"`
	Linked     int    `json:"linked"` // files
	Copied     int    `json:"copied"` // files, with the manifest
	Bytes      int64  `json:"bytes"`  // of all files
}

// Backup makes an index in the folder to, which must not exist or be empty, that
// is the last commit of the one in from. Writers and readers of that go on
// meanwhile. The backup is an index in every respect: it can be searched and
// written to, neither changes the other, and Backup the other way, or Replace,
// restores it. Every byte is verified before there is a manifest, so that a
// backup that was interrupted is none.
//
// The error wraps ErrNotIndex, ErrCorrupt, ErrVersion, ErrExists or is that of
// ctx; then what was made is removed.
func Backup(ctx context.Context, from, to string, options BackupOptions) (BackupStats, error) {
	return onDisk(from).backup(ctx, onDisk(to), options)
}

func (f folder) backup(ctx context.Context, to folder, options BackupOptions) (stats BackupStats, err error) {
	if err := to.checkEmpty(); err != nil {
		return BackupStats{}, err
	}
	b, err := f.openFiles()
	if err != nil {
		return BackupStats{}, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if err := to.fs.MkdirAll(to.dir); err != nil {
		return BackupStats{}, err
	}
	w, err := to.lockWriter()
	if err != nil {
		return BackupStats{}, err
	}
	defer func() { err = errors.Join(err, w.lock.Close()) }()
	if err := to.checkEmpty(); err != nil {
		return BackupStats{}, err
	}
	if stats, err = b.write(ctx, to, options); err != nil {
		// Closed first: Windows removes no link to a file that is open.
		return BackupStats{}, errors.Join(err, b.close(), to.takeBack(&b.manifest))
	}
	return stats, nil
}

// backup is a commit with all its files open, which keeps them.
type backup struct {
	folder   folder
	manifest manifest
	files    []*container
}

func (f folder) openFiles() (*backup, error) {
	for {
		m, err := readManifest(f)
		if err != nil {
			return nil, err
		}
		b := &backup{folder: f, manifest: m}
		for _, name := range m.files()[1:] {
			c, err := m.open(f, name)
			if err == nil {
				b.files = append(b.files, c)
				continue
			}
			err = errors.Join(err, b.close())
			if !m.outdated(f, err) {
				return nil, err
			}
			b = nil
			break
		}
		if b != nil {
			return b, nil
		}
	}
}

func (b *backup) close() error {
	var err error
	for _, c := range b.files {
		err = errors.Join(err, c.close())
	}
	b.files = nil
	return err
}

func (b *backup) write(ctx context.Context, to folder, options BackupOptions) (BackupStats, error) {
	stats := BackupStats{Generation: b.manifest.Generation, Copied: 1, Bytes: b.manifest.frame.Bytes}
	for _, s := range b.manifest.Segments {
		stats.Documents += int(s.Documents - s.Deleted)
	}
	for _, c := range b.files {
		linked, err := b.put(ctx, to, c, options)
		if err != nil {
			return stats, err
		}
		if linked {
			stats.Linked++
		} else {
			stats.Copied++
		}
		stats.Bytes += int64(len(c.data))
	}
	if err := b.manifest.verifyFiles(ctx, to); err != nil {
		return stats, err
	}
	if err := b.manifest.commit(to); err != nil {
		return stats, err
	}
	return stats, to.fs.SyncDir(filepath.Dir(to.dir))
}

// put links or copies a file.
func (b *backup) put(ctx context.Context, to folder, c *container, options BackupOptions) (linked bool, err error) {
	if !options.Copy && b.folder.fs.Link(b.folder.path(c.name), to.path(c.name)) == nil {
		// The name may mean another file by now, or none that can be read.
		if other, err := b.manifest.open(to, c.name); err == nil {
			return true, other.close()
		}
		if err := to.remove(c.name); err != nil {
			return false, err
		}
	}
	file, err := to.fs.Create(to.path(c.name))
	if err != nil {
		return false, err
	}
	const step = 1 << 20
	for data := c.data; len(data) > 0 && err == nil; {
		n := min(len(data), step)
		if _, err = file.Write(data[:n]); err == nil {
			err = ctx.Err()
		}
		data = data[n:]
	}
	if err == nil {
		err = file.Sync()
	}
	return false, errors.Join(err, file.Close())
}

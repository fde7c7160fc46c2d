package hub_test

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pare-search/pare/encoder/hub"
)

const name = "sentence-transformers/tiny"

// testHub is a local hub with one model.
type testHub struct {
	*httptest.Server
	commit string
	files  map[string][]byte

	mu sync.Mutex
	// change, if set, changes the listing before it is sent.
	change func(listing map[string]any)
	// serve, if set, answers a request for a file itself and returns true.
	serve    func(w http.ResponseWriter, r *http.Request, file string) bool
	requests []string // for files: name and Range
	tokens   []string // Authorization of all requests
}

// large files are kept apart from the repository (LFS) and redirected to.
func large(file string) bool { return strings.HasSuffix(file, ".safetensors") }

func newHub(t *testing.T) *testHub {
	random := rand.New(rand.NewPCG(1, 2))
	weights := make([]byte, 300_000)
	for i := range weights {
		weights[i] = byte(random.Uint32())
	}
	h := &testHub{commit: strings.Repeat("0123456789", 4), files: map[string][]byte{
		"config.json":                []byte(`{"hidden_size": 8}`),
		"tokenizer.json":             []byte(`{}`),
		"modules.json":               []byte(`[]`),
		"1_Pooling/config.json":      []byte(`{"pooling": true}`),
		"1_Dense/config.json":        []byte(`{"in_features": 8}`),
		"1_Dense/model.safetensors":  weights[:1000],
		"model.safetensors":          weights,
		"vocab.txt":                  {}, // empty
		"README.md":                  []byte("not needed"),
		"pytorch_model.bin":          []byte("not needed"),
		"onnx/model.onnx":            []byte("not needed"),
		"openvino/model.safetensors": []byte("not needed"),
	}}
	h.Server = httptest.NewServer(h)
	t.Cleanup(h.Close)
	useCache(t)
	return h
}

// useCache gives the test a cache of its own.
func useCache(t *testing.T) {
	dir := t.TempDir()
	for _, variable := range []string{"XDG_CACHE_HOME", "LocalAppData", "HOME"} {
		t.Setenv(variable, dir)
	}
}

func (h *testHub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	h.tokens = append(h.tokens, r.Header.Get("Authorization"))
	h.mu.Unlock()
	if r.URL.Path == "/api/models/"+name+"/revision/main" && r.URL.RawQuery == "blobs=true" {
		h.list(w)
		return
	}
	if file, ok := strings.CutPrefix(r.URL.Path, "/"+name+"/resolve/"+h.commit+"/"); ok && large(file) {
		http.Redirect(w, r, "/cdn/"+file, http.StatusFound)
	} else if ok {
		h.file(w, r, file)
	} else if file, ok := strings.CutPrefix(r.URL.Path, "/cdn/"); ok {
		h.file(w, r, file)
	} else {
		http.NotFound(w, r)
	}
}

func (h *testHub) list(w http.ResponseWriter) {
	siblings := []any{}
	for _, file := range slices.Sorted(maps.Keys(h.files)) {
		content := h.files[file]
		blob := sha1.Sum(fmt.Appendf(nil, "blob %d\x00%s", len(content), content))
		sibling := map[string]any{"rfilename": file, "size": len(content), "blobId": hex.EncodeToString(blob[:])}
		if large(file) {
			sum := sha256.Sum256(content)
			sibling["lfs"] = map[string]any{"sha256": hex.EncodeToString(sum[:]), "size": len(content), "pointerSize": 134}
			sibling["blobId"] = strings.Repeat("ab", 20) // of the pointer
		}
		siblings = append(siblings, sibling)
	}
	listing := map[string]any{"id": name, "sha": h.commit, "siblings": siblings}
	if h.change != nil {
		h.change(listing)
	}
	json.NewEncoder(w).Encode(listing)
}

func (h *testHub) file(w http.ResponseWriter, r *http.Request, file string) {
	h.mu.Lock()
	h.requests = append(h.requests, strings.TrimSpace(file+" "+r.Header.Get("Range")))
	h.mu.Unlock()
	if h.serve != nil && h.serve(w, r, file) {
		return
	}
	content, ok := h.files[file]
	if !ok {
		http.NotFound(w, r)
		return
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}

func (h *testHub) options() hub.Options {
	o := hub.DefaultOptions()
	o.BaseURL, o.Stall = h.URL, 5*time.Second
	o.Wait, o.MaxWait = time.Millisecond, 5*time.Millisecond
	return o
}

// needed are the files that Get should fetch.
func (h *testHub) needed() []string {
	names := slices.Sorted(maps.Keys(h.files))
	return slices.DeleteFunc(names, func(n string) bool { return string(h.files[n]) == "not needed" })
}

// check compares a folder with the hub: all that is needed and the record,
// nothing else there nor beside it.
func (h *testHub) check(t *testing.T, m hub.Model) {
	t.Helper()
	var found []string
	err := fs.WalkDir(os.DirFS(m.Path), ".", func(n string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			found = append(found, n)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	want := append(h.needed(), "pare-model.json")
	slices.Sort(want)
	if !slices.Equal(found, want) {
		t.Errorf("the folder holds %q, want %q", found, want)
	}
	size := 0
	for _, file := range h.needed() {
		content, err := os.ReadFile(filepath.Join(m.Path, filepath.FromSlash(file)))
		if err != nil || !bytes.Equal(content, h.files[file]) {
			t.Errorf("%s has other bytes, error %v", file, err)
		}
		size += len(content)
	}
	if m.Name != name || m.Commit != h.commit || m.Source != h.URL || m.Bytes() != int64(size) {
		t.Errorf("%+v, want %s at %s from %s with %d bytes", m, name, h.commit, h.URL, size)
	}
	for _, beside := range besides(t, m.Path) {
		if !strings.HasSuffix(beside, ".lock") {
			t.Errorf("%s was left behind", beside)
		}
	}
}

// besides lists what lies beside a folder.
func besides(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(dir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		if entry.Name() != filepath.Base(dir) {
			names = append(names, entry.Name())
		}
	}
	return names
}

func TestGet(t *testing.T) {
	h := newHub(t)
	if _, found := hub.Find(name); found {
		t.Error("found before it was there")
	}
	if models, err := hub.List(); err != nil || len(models) != 0 {
		t.Errorf("%v, error %v", models, err)
	}
	options := h.options()
	options.Token = "secret"
	var last, total int64
	options.Progress = func(done, all int64) {
		if done < last || done > all || total != 0 && all != total {
			t.Errorf("%d of %d after %d of %d", done, all, last, total)
		}
		last, total = done, all
	}
	m, err := hub.Get(t.Context(), name, options)
	if err != nil {
		t.Fatal(err)
	}
	h.check(t, m)
	if last != total || total != m.Bytes() {
		t.Errorf("progress ended at %d of %d", last, total)
	}
	for _, token := range h.tokens {
		if token != "Bearer secret" {
			t.Errorf("token %q", token)
		}
	}
	record, err := os.ReadFile(filepath.Join(m.Path, "pare-model.json"))
	if err != nil || strings.Contains(string(record), "secret") {
		t.Errorf("the record is %s, error %v", record, err)
	}

	// The second time it is there.
	dir, found := hub.Find(name)
	if !found || dir != m.Path {
		t.Errorf("found %q, %t, want %q", dir, found, m.Path)
	}
	models, err := hub.List()
	if err != nil || len(models) != 1 || models[0].Path != m.Path || models[0].Name != name {
		t.Errorf("%v, error %v", models, err)
	}
	h.requests, last = nil, 0
	again, err := hub.Get(t.Context(), name, options)
	if err != nil || len(h.requests) > 0 {
		t.Errorf("fetched %q again, error %v", h.requests, err)
	}
	h.check(t, again)
	if last != total {
		t.Errorf("progress ended at %d of %d", last, total)
	}

	// A change of what is not needed changes nothing, one of the weights does.
	h.commit = strings.Repeat("f", 40)
	h.files["README.md"] = []byte("not needed")
	if _, err = hub.Get(t.Context(), name, options); err != nil || len(h.requests) > 0 {
		t.Errorf("fetched %q again, error %v", h.requests, err)
	}
	h.files["model.safetensors"] = []byte("better weights")
	last, total = 0, 0
	if m, err = hub.Get(t.Context(), name, options); err != nil {
		t.Fatal(err)
	}
	h.check(t, m)

	// So does damage.
	if err := os.WriteFile(filepath.Join(m.Path, "model.safetensors"), []byte("bitter weights"), 0o644); err != nil {
		t.Fatal(err)
	}
	last = 0
	if m, err = hub.Get(t.Context(), name, options); err != nil {
		t.Fatal(err)
	}
	h.check(t, m)
}

func TestGetTo(t *testing.T) {
	h := newHub(t)
	options := h.options()
	options.Dir = filepath.Join(t.TempDir(), "deep", "model")
	m, err := hub.Get(t.Context(), name, options)
	if err != nil {
		t.Fatal(err)
	}
	h.check(t, m)
	if _, found := hub.Find(name); found {
		t.Error("it is in the cache, too")
	}
	notes := filepath.Join(options.Dir, "1_Dense", "notes.txt")
	if err := os.WriteFile(notes, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	h.requests = nil
	for _, dir := range []string{options.Dir, filepath.Join(options.Dir, "1_Dense")} {
		options.Dir = dir
		if _, err := hub.Get(t.Context(), name, options); !errors.Is(err, hub.ErrExists) {
			t.Errorf("%s: error %v, want ErrExists", dir, err)
		}
	}
	options.Dir = notes
	if _, err := hub.Get(t.Context(), name, options); !errors.Is(err, hub.ErrExists) || !strings.Contains(err.Error(), notes+" is not a folder") {
		t.Errorf("a file for a folder: error %v, want ErrExists", err)
	}
	if content, err := os.ReadFile(notes); err != nil || string(content) != "mine" || len(h.requests) > 0 {
		t.Errorf("the notes are %q, error %v; fetched %q", content, err, h.requests)
	}
}

// cut sends the first n bytes of what is asked for and cuts the connection.
func (h *testHub) cut(w http.ResponseWriter, r *http.Request, file string, n int) {
	from := 0
	fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from)
	content := h.files[file]
	w.Header().Set("Content-Length", fmt.Sprint(len(content)-from))
	if from > 0 {
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(content)-1, len(content)))
		w.WriteHeader(http.StatusPartialContent)
	}
	w.Write(content[from : from+n])
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

// TestResume cuts the connection more often than a request is tried again:
// every one of them makes progress.
func TestResume(t *testing.T) {
	h := newHub(t)
	left := 9
	h.serve = func(w http.ResponseWriter, r *http.Request, file string) bool {
		if file == "model.safetensors" && left > 0 {
			left--
			h.cut(w, r, file, 30_000)
		}
		return false
	}
	m, err := hub.Get(t.Context(), name, h.options())
	if err != nil {
		t.Fatal(err)
	}
	h.check(t, m)
	var want []string
	for i := range 10 {
		want = append(want, fmt.Sprintf("model.safetensors bytes=%d-", 30_000*i))
	}
	want[0] = "model.safetensors"
	got := slices.DeleteFunc(h.requests, func(r string) bool { return !strings.HasPrefix(r, "model.s") })
	if !slices.Equal(got, want) {
		t.Errorf("asked for %q, want %q", got, want)
	}
}

// TestResumeLater gives up, and goes on in another call. In between the disk
// may have lost or gained bytes.
func TestResumeLater(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(part []byte) []byte
		ranges []string // of the second call
	}{
		{"as left", func(b []byte) []byte { return b }, []string{"bytes=50000-"}},
		{"shorter", func(b []byte) []byte { return b[:20_000] }, []string{"bytes=20000-"}},
		{"nothing", func([]byte) []byte { return nil }, []string{""}},
		{"other bytes", func(b []byte) []byte { b[7]++; return b }, []string{"bytes=50000-", ""}},
		{"too long", func([]byte) []byte { return make([]byte, 400_000) }, []string{""}},
		{"all but wrong", func([]byte) []byte { return make([]byte, 300_000) }, []string{""}},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHub(t)
			h.serve = func(w http.ResponseWriter, r *http.Request, file string) bool {
				if file == "model.safetensors" {
					h.cut(w, r, file, max(0, 50_000-len(r.Header.Get("Range"))*50_000))
				}
				return false
			}
			options := h.options()
			options.Progress = func(done, total int64) {
				if done < 0 || done > total {
					t.Errorf("%d of %d", done, total)
				}
			}
			_, err := hub.Get(t.Context(), name, options)
			if err == nil || !strings.Contains(err.Error(), "model.safetensors: unexpected EOF after 50000 of 300000 bytes; gave up after 5 tries") {
				t.Fatalf("error %v, want it to give up", err)
			}
			if _, found := hub.Find(name); found {
				t.Fatal("half a model was found")
			}
			cache, err := hub.CacheDir()
			if err != nil {
				t.Fatal(err)
			}
			parts, _ := filepath.Glob(filepath.Join(cache, "*", ".*.download", "*.part"))
			if len(parts) != 1 {
				t.Fatalf("left behind: %q", parts)
			}
			part, err := os.ReadFile(parts[0])
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(parts[0], test.change(part), 0o644); err != nil {
				t.Fatal(err)
			}
			h.serve, h.requests = nil, nil
			m, err := hub.Get(t.Context(), name, options)
			if err != nil {
				t.Fatal(err)
			}
			h.check(t, m)
			for i, r := range test.ranges {
				test.ranges[i] = strings.TrimSpace("model.safetensors " + r)
			}
			// What had arrived before is not asked for again.
			want := append(test.ranges, "modules.json", "tokenizer.json")
			if !slices.Equal(h.requests, want) {
				t.Errorf("asked for %q, want %q", h.requests, want)
			}
		})
	}
}

// TestNoRanges checks a server that always sends whole files, and one that
// finds no range right.
func TestNoRanges(t *testing.T) {
	for _, status := range []int{http.StatusOK, http.StatusRequestedRangeNotSatisfiable} {
		h := newHub(t)
		asked := 0
		h.serve = func(w http.ResponseWriter, r *http.Request, file string) bool {
			if file != "model.safetensors" {
				return false
			}
			asked++
			switch {
			case asked == 1:
				h.cut(w, r, file, 30_000)
			case r.Header.Get("Range") != "" && status != http.StatusOK:
				w.WriteHeader(status)
			default:
				w.Write(h.files[file])
			}
			return true
		}
		m, err := hub.Get(t.Context(), name, h.options())
		if err != nil {
			t.Fatal(err)
		}
		h.check(t, m)
	}
}

// TestRefused checks hubs and files that must not be taken, and that nothing
// is left where the model would be.
func TestRefused(t *testing.T) {
	first := func(listing map[string]any, key string, value any) {
		for _, s := range listing["siblings"].([]any) {
			if s := s.(map[string]any); s["rfilename"] == "config.json" || s["rfilename"] == "model.safetensors" {
				s[key] = value
			}
		}
	}
	add := func(file string) func(map[string]any) {
		return func(listing map[string]any) {
			listing["siblings"] = append(listing["siblings"].([]any), map[string]any{"rfilename": file, "size": 1, "blobId": strings.Repeat("a", 40)})
		}
	}
	only := func(file string) func(map[string]any) {
		return func(listing map[string]any) {
			listing["siblings"] = slices.DeleteFunc(listing["siblings"].([]any), func(s any) bool { return s.(map[string]any)["rfilename"] == file })
		}
	}
	wrong := func(content string) func(http.ResponseWriter, *http.Request, string) bool {
		return func(w http.ResponseWriter, _ *http.Request, file string) bool {
			if file == "model.safetensors" {
				fmt.Fprint(w, content)
			}
			return file == "model.safetensors"
		}
	}
	endless := func(w http.ResponseWriter, _ *http.Request, file string) bool {
		if file == "model.safetensors" {
			w.Header().Set("Content-Length", "300000")
			w.Write([]byte("0123456789"))
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
		return false
	}
	status := func(code int) func(http.ResponseWriter, *http.Request, string) bool {
		return func(w http.ResponseWriter, _ *http.Request, file string) bool {
			w.WriteHeader(code)
			return true
		}
	}
	for _, test := range []struct {
		name   string
		change func(map[string]any)
		serve  func(http.ResponseWriter, *http.Request, string) bool
		want   error
		says   string
	}{
		{"up and out", add("../../.ssh/config.json"), nil, hub.ErrUnsafe, `"../../.ssh/config.json"`},
		{"up in the middle", add("1_Dense/../../config.json"), nil, hub.ErrUnsafe, "1_Dense/../.."},
		{"an absolute name", add("/etc/passwd"), nil, hub.ErrUnsafe, "/etc/passwd"},
		{"a drive", add(`C:\config.json`), nil, hub.ErrUnsafe, "config.json"},
		{"backslashes", add(`..\config.json`), nil, hub.ErrUnsafe, "config.json"},
		{"no name", add(""), nil, hub.ErrUnsafe, `""`},
		{"a dot", add("."), nil, hub.ErrUnsafe, `"."`},
		{"a line break", add("a\nb"), nil, hub.ErrUnsafe, `"a\nb"`},
		{"a name twice", add("tokenizer.json"), nil, hub.ErrListing, "tokenizer.json is listed twice"},
		{"a name twice where case does not count", add("1_dense/config.json"), nil, hub.ErrListing, "listed twice"},
		{"no size", func(l map[string]any) { first(l, "size", nil) }, nil, hub.ErrListing, "config.json has no size"},
		{"a negative size", func(l map[string]any) { first(l, "size", -1) }, nil, hub.ErrListing, "config.json has a size of -1"},
		{"a size beyond all reason", func(l map[string]any) { first(l, "size", int64(1)<<60) }, nil, hub.ErrListing, "config.json has 1152921504606846976 bytes"},
		{"sizes that overflow together", func(l map[string]any) {
			for _, s := range l["siblings"].([]any) {
				s := s.(map[string]any)
				delete(s, "lfs")
				s["size"] = int64(40) << 30
			}
		}, nil, hub.ErrListing, "with which there are more than 68719476736"},
		{"no checksum", func(l map[string]any) { first(l, "blobId", nil) }, nil, hub.ErrListing, "config.json has the blob id"},
		{"a bad checksum", func(l map[string]any) { first(l, "lfs", map[string]any{"sha256": "../x", "size": 3}) }, nil, hub.ErrListing, "want a SHA-256"},
		{"no commit", func(l map[string]any) { l["sha"] = "../../x" }, nil, hub.ErrListing, `sha is "../../x"`},
		{"no list", func(l map[string]any) { l["siblings"] = "x" }, nil, hub.ErrListing, "siblings"},
		{"no weights", only("model.safetensors"), nil, hub.ErrNoModel, `it has no model.safetensors; its weights are ["1_Dense/model.safetensors" "onnx/model.onnx" "openvino/model.safetensors" "pytorch_model.bin"]`},
		{"no configuration", only("config.json"), nil, hub.ErrNoModel, "it has no config.json"},
		{"a listing without end", func(l map[string]any) { l["x"] = strings.Repeat("x", 17<<20) }, nil, hub.ErrListing, "more than 16777216 bytes"},
		{"other bytes", nil, wrong(strings.Repeat("x", 300_000)), hub.ErrChecksum, "model.safetensors is "},
		{"too many bytes", nil, wrong(strings.Repeat("x", 400_000)), hub.ErrChecksum, "model.safetensors is "},
		{"too few bytes", nil, wrong("x"), hub.ErrChecksum, "model.safetensors has 1 bytes, want 300000"},
		{"never all bytes", nil, endless, nil, "unexpected EOF after 10 of 300000 bytes; gave up after 5 tries"},
		{"a file that is gone", nil, status(404), hub.ErrNotFound, "config.json"},
		{"a file that is closed", nil, status(403), hub.ErrStatus, "a token is needed"},
		{"a busy hub", nil, status(503), hub.ErrStatus, "gave up after 5 tries"},
	} {
		h := newHub(t)
		h.change, h.serve = test.change, test.serve
		_, err := hub.Get(t.Context(), name, h.options())
		if err == nil || test.want != nil && !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: error %v, want %v with %q", test.name, err, test.want, test.says)
		}
		if _, found := hub.Find(name); found {
			t.Errorf("%s: it is in the cache", test.name)
		}
		if test.serve == nil && len(h.requests) > 0 {
			t.Errorf("%s: fetched %q", test.name, h.requests)
		}
		// The next one succeeds.
		h.change, h.serve = nil, nil
		m, err := hub.Get(t.Context(), name, h.options())
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		h.check(t, m)
	}
}

// TestOtherRecord checks that a folder with another model's record is neither
// found nor replaced, and that one which lacks a file is got again.
func TestOtherRecord(t *testing.T) {
	h := newHub(t)
	m, err := hub.Get(t.Context(), name, h.options())
	if err != nil {
		t.Fatal(err)
	}
	record := filepath.Join(m.Path, "pare-model.json")
	ours, err := os.ReadFile(record)
	if err != nil {
		t.Fatal(err)
	}
	write := func(data []byte) {
		t.Helper()
		if err := os.WriteFile(record, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(bytes.Replace(ours, []byte(name), []byte("sentence-transformers/other"), 1))
	if dir, found := hub.Find(name); found {
		t.Errorf("%s was found, which holds another model", dir)
	}
	if models, err := hub.List(); err != nil || len(models) > 0 {
		t.Errorf("%v, error %v; want no model", models, err)
	}
	h.requests = nil
	if _, err := hub.Get(t.Context(), name, h.options()); !errors.Is(err, hub.ErrExists) || !strings.Contains(err.Error(), "sentence-transformers/other") || len(h.requests) > 0 {
		t.Errorf("another model is there: error %v, want ErrExists; fetched %q", err, h.requests)
	}
	write(ours)
	if _, found := hub.Find(name); !found {
		t.Error("it is not found")
	}

	if err := os.Remove(filepath.Join(m.Path, "1_Dense", "model.safetensors")); err != nil {
		t.Fatal(err)
	}
	if _, found := hub.Find(name); found {
		t.Error("found without one of its files")
	}
	if m, err = hub.Get(t.Context(), name, h.options()); err != nil {
		t.Fatal(err)
	}
	h.check(t, m)
}

// TestStale checks that what earlier processes left behind is removed, and
// nothing else.
func TestStale(t *testing.T) {
	h := newHub(t)
	cache, err := hub.CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	org := filepath.Join(cache, "sentence-transformers")
	const stale, old, other = ".tiny.0123456789ab.download", ".tiny.ba9876543210.download.old", ".tiny2.0123456789ab.download"
	for _, dir := range []string{stale, old, other} {
		if err := os.MkdirAll(filepath.Join(org, dir, "1_Dense"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	m, err := hub.Get(t.Context(), name, h.options())
	if err != nil {
		t.Fatal(err)
	}
	if left := besides(t, m.Path); !slices.Equal(left, []string{".tiny.lock", other}) {
		t.Errorf("%q are left, want the lock and %s", left, other)
	}
}

func TestNotFound(t *testing.T) {
	h := newHub(t)
	if _, err := hub.Get(t.Context(), "nobody/nothing", h.options()); !errors.Is(err, hub.ErrNotFound) {
		t.Errorf("error %v, want ErrNotFound", err)
	}
	options := h.options()
	options.Revision = "refs/pr/1"
	_, err := hub.Get(t.Context(), name, options)
	if !errors.Is(err, hub.ErrNotFound) || !strings.Contains(err.Error(), "/revision/refs%2Fpr%2F1") {
		t.Errorf("error %v, want ErrNotFound with the revision", err)
	}
	h.Close()
	if _, err = hub.Get(t.Context(), name, h.options()); err == nil || !strings.Contains(err.Error(), "gave up after 5 tries") {
		t.Errorf("error %v, want it to give up", err)
	}
}

// TestRedirects checks that https stays https and that no other host sees the
// token.
func TestRedirects(t *testing.T) {
	h := newHub(t)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if token := r.Header.Get("Authorization"); token != "" {
			t.Errorf("another host got %q", token)
		}
		w.Write(h.files["model.safetensors"])
	}))
	defer elsewhere.Close()
	// Another name for the same machine is another host.
	other := strings.Replace(elsewhere.URL, "127.0.0.1", "localhost", 1)
	h.serve = func(w http.ResponseWriter, r *http.Request, file string) bool {
		if file == "model.safetensors" {
			http.Redirect(w, r, other+"/"+file, http.StatusFound)
		}
		return file == "model.safetensors"
	}
	options := h.options()
	options.Token = "secret"
	m, err := hub.Get(t.Context(), name, options)
	if err != nil {
		t.Fatal(err)
	}
	h.check(t, m)

	secure := httptest.NewTLSServer(h)
	defer secure.Close()
	useCache(t)
	options.BaseURL, options.Transport = secure.URL, secure.Client().Transport
	_, err = hub.Get(t.Context(), name, options)
	if !errors.Is(err, hub.ErrStatus) || !strings.Contains(err.Error(), "not https") {
		t.Errorf("error %v, want the redirect refused", err)
	}
	h.serve = nil
	if _, err = hub.Get(t.Context(), name, options); err != nil {
		t.Fatal(err)
	}
	h.serve = func(w http.ResponseWriter, r *http.Request, file string) bool {
		http.Redirect(w, r, r.URL.Path, http.StatusFound)
		return true
	}
	useCache(t)
	if _, err = hub.Get(t.Context(), name, options); !errors.Is(err, hub.ErrStatus) || !strings.Contains(err.Error(), "10 redirects") {
		t.Errorf("error %v, want too many redirects", err)
	}
}

// TestTokenStays checks that neither a subdomain of the hub nor another port
// sees the token, and that the hub itself does after a redirect.
func TestTokenStays(t *testing.T) {
	h := newHub(t)
	seen := map[string]string{} // the last token by host
	h.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		seen[r.Host] = r.Header.Get("Authorization")
		h.mu.Unlock()
		h.ServeHTTP(w, r)
	})
	for _, to := range []string{"http://cdn.hub.test", "http://hub.test:8080", "http://hub.test", "http://other.test"} {
		useCache(t)
		clear(seen)
		h.serve = func(w http.ResponseWriter, r *http.Request, file string) bool {
			if file == "model.safetensors" && r.Host == "hub.test" && r.URL.RawQuery == "" {
				http.Redirect(w, r, to+r.URL.Path+"?again", http.StatusFound)
				return true
			}
			return false
		}
		options := h.options()
		options.BaseURL, options.Token = "http://hub.test", "secret"
		options.Transport = &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, h.Listener.Addr().String())
		}}
		if _, err := hub.Get(t.Context(), name, options); err != nil {
			t.Errorf("%s: %v", to, err)
		}
		for host, token := range seen {
			if want := map[bool]string{true: "Bearer secret"}[host == "hub.test"]; token != want {
				t.Errorf("%s got the token %q, want %q", host, token, want)
			}
		}
		if host := strings.TrimPrefix(to, "http://"); len(seen) == 1 && host != "hub.test" {
			t.Errorf("%s was never asked", host)
		}
	}
}

// TestTogether gets the same model many times at once.
func TestTogether(t *testing.T) {
	h := newHub(t)
	h.serve = func(http.ResponseWriter, *http.Request, string) bool {
		time.Sleep(5 * time.Millisecond)
		return false
	}
	var group sync.WaitGroup
	for range 5 {
		group.Go(func() {
			if _, err := hub.Get(t.Context(), name, h.options()); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if len(h.requests) != len(h.needed())-1 { // nothing is asked for an empty file
		t.Errorf("fetched %q, want every file once", h.requests)
	}
	dir, found := hub.Find(name)
	if !found {
		t.Fatal("not found")
	}
	models, err := hub.List()
	if err != nil || len(models) != 1 || models[0].Path != dir {
		t.Fatalf("%v, error %v", models, err)
	}
	h.check(t, models[0])
}

// TestStall checks that a connection without a byte is given up, and that the
// end of the context ends a download.
func TestStall(t *testing.T) {
	h := newHub(t)
	ended := make(chan struct{})
	defer close(ended)
	h.serve = func(w http.ResponseWriter, r *http.Request, file string) bool {
		if file == "model.safetensors" {
			w.Header().Set("Content-Length", "300000")
			w.Write(h.files[file][:1000])
			w.(http.Flusher).Flush()
			select {
			case <-ended:
			case <-r.Context().Done():
			}
		}
		return file == "model.safetensors"
	}
	options := h.options()
	options.Stall, options.Retries = 50*time.Millisecond, 0
	_, err := hub.Get(t.Context(), name, options)
	// The hub ignores ranges, so that no two bytes are made of one.
	if err == nil || !strings.Contains(err.Error(), "nothing came for 50ms after 1000 of 300000 bytes") {
		t.Errorf("error %v, want a stall", err)
	}
	options.Stall = time.Minute
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := hub.Get(ctx, name, options); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 3*time.Second {
		t.Errorf("error %v after %v, want the end of the context", err, time.Since(start))
	}
}

func TestNames(t *testing.T) {
	useCache(t)
	for _, bad := range []string{"", "a", "a/b/c", "/a/b", "../b", "a/..", "a/.b", ".a/b", "a/b/", "a b/c", "a/b?x", "a/b..c", "a/" + strings.Repeat("b", 99), `a\b`, "a/b\n"} {
		if _, err := hub.Get(t.Context(), bad, hub.DefaultOptions()); !errors.Is(err, hub.ErrName) {
			t.Errorf("%q: error %v, want ErrName", bad, err)
		}
		if dir, found := hub.Find(bad); found {
			t.Errorf("%q was found in %s", bad, dir)
		}
	}
}

func TestValidate(t *testing.T) {
	if err := hub.DefaultOptions().Validate(); err != nil {
		t.Error(err)
	}
	err := hub.Options{Retries: -1, Token: "a\nb"}.Validate()
	for _, says := range []string{`BaseURL ""`, `Revision ""`, "Token has a line break", "Stall is 0s", "retries: -1"} {
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("error %v, want %q", err, says)
		}
	}
	for _, url := range []string{"ftp://host", "host", "https://", "https://me:secret@host", "https://host?x", "https://host#x", "https://ho st"} {
		o := hub.DefaultOptions()
		o.BaseURL = url
		if err := o.Validate(); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: error %v", url, err)
		}
	}
	for _, revision := range []string{"-x", "a..b", "a b", "/a", "a?b"} {
		o := hub.DefaultOptions()
		o.Revision = revision
		if err := o.Validate(); err == nil {
			t.Errorf("revision %q was taken", revision)
		}
	}
}

// TestList leaves out what is no model.
func TestList(t *testing.T) {
	h := newHub(t)
	if _, err := hub.Get(t.Context(), name, h.options()); err != nil {
		t.Fatal(err)
	}
	cache, err := hub.CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	for file, content := range map[string]string{
		"other/empty/x":                  "",
		"other/broken/pare-model.json":   "{",
		".hidden/model/pare-model.json":  "{}",
		"other/.hidden/pare-model.json":  "{}",
		"other/deep/er/pare-model.json":  "{}",
		"sentence-transformers/tiny.txt": "",
	} {
		path := filepath.Join(cache, filepath.FromSlash(file))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	models, err := hub.List()
	if err != nil || len(models) != 1 || models[0].Name != name {
		t.Errorf("%v, error %v", models, err)
	}
	if _, found := hub.Find("other/broken"); found {
		t.Error("a broken record was found")
	}
}

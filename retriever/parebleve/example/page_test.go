package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// serve serves the page on the orchard.
func serve(t *testing.T) *httptest.Server {
	t.Helper()
	idx, err := open(t.Context(), "", orchard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { idx.Close() })
	server := httptest.NewServer(newPage(idx))
	t.Cleanup(server.Close)
	return server
}

const question = "when should the trees be pruned, in the cold winter?"

// checkPage looks for what the page must show for the question.
func checkPage(t *testing.T, html string) {
	t.Helper()
	section := func(name string) string {
		_, rest, _ := strings.Cut(html, `<section id="`+name+`">`)
		text, _, _ := strings.Cut(rest, "</section>")
		return text
	}
	for _, name := range []string{"BM25", "MaxSim", "both"} {
		if first := regexp.MustCompile(`<h3>(\w+)`).FindStringSubmatch(section(name)); first == nil || first[1] != "pruning" {
			t.Errorf("%s: the first hit is %q, want pruning", name, first)
		}
	}
	for _, word := range []string{"Prune", "trees", "winter"} {
		if !strings.Contains(section("MaxSim"), "<mark>"+word+"</mark>") {
			t.Errorf("%s is not marked among the token matches:\n%s", word, section("MaxSim"))
		}
	}
	_, tokens, _ := strings.Cut(html, `<p id="tokens">`)
	tokens, _, _ = strings.Cut(tokens, "</p>")
	if !strings.Contains(tokens, "<del>trees</del>") {
		t.Errorf("trees is not struck through, though most frequent:\n%s", tokens)
	}
	if strings.Contains(tokens, "<del>cold</del>") || !strings.Contains(tokens, ">cold<") {
		t.Errorf("cold is struck through, though rarest:\n%s", tokens)
	}
}

func TestPage(t *testing.T) {
	server := serve(t)
	get := func(query string) string {
		response, err := http.Get(server.URL + "/" + query)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("%s, error %v:\n%s", response.Status, err, body)
		}
		return string(body)
	}
	if html := get(""); strings.Contains(html, "<section") || !strings.Contains(html, "<input") {
		t.Errorf("the empty page is\n%s", html)
	}
	checkPage(t, get("?q="+url.QueryEscape(question)))
	if html := get("?q=" + url.QueryEscape("<script>alert(1)</script>")); strings.Contains(html, "<script>") {
		t.Errorf("the query is not escaped:\n%s", html)
	}
	if html := get("?q=the"); !strings.Contains(html, "nothing found") {
		t.Errorf("the page for a stop word is\n%s", html)
	}
}

// TestBrowser opens the page in Chromium, where there is one.
func TestBrowser(t *testing.T) {
	browser := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			browser = path
		}
	}
	if browser == "" {
		t.Skip("no Chromium on this machine")
	}
	server := serve(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, browser,
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--user-data-dir="+t.TempDir(), "--dump-dom", server.URL+"/?q="+url.QueryEscape(question))
	html, err := command.Output()
	if err != nil {
		t.Fatalf("Chromium: %v", err)
	}
	checkPage(t, string(html))
}

// TestFolder indexes files and opens the index again.
func TestFolder(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a.txt":   "Apples keep in the cellar.\n\nPears do not.",
		"b.md":    "# Plums\n\nDry plums in the sun.",
		"c.bytes": "not this",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	passages, err := readFolder(dir)
	if err != nil || len(passages) != 4 {
		t.Fatalf("%d passages, error %v, want 4", len(passages), err)
	}
	path := filepath.Join(t.TempDir(), "folder.bleve")
	for range 2 {
		idx, err := open(t.Context(), path, passages)
		if err != nil {
			t.Fatal(err)
		}
		status, err := idx.Status()
		if err != nil || status[0].WithVectors != 4 {
			t.Errorf("%+v, error %v, want vectors for 4 documents", status, err)
		}
		if err := idx.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

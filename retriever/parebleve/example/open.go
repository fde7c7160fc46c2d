package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/blevesearch/bleve/v2"
	"github.com/blevesearch/bleve/v2/mapping"
	bleveindex "github.com/blevesearch/bleve_index_api"

	"github.com/pare-search/pare/encoder/corpus"
	"github.com/pare-search/pare/querypruner"
	"github.com/pare-search/pare/retriever/parebleve"
)

// passage is a document: bleve indexes it by the names of its fields.
type passage struct {
	ID   string `json:"-"`
	Body string `json:"body"`
}

// open opens the index at path, or makes it of passages; "" is in memory.
func open(ctx context.Context, path string, passages []passage) (*parebleve.Index, error) {
	enc, err := encoderFor(ctx, path, passages)
	if err != nil {
		return nil, err
	}
	options := parebleve.DefaultOptions(enc, "body")
	options.TokenStatistics = true
	options.Pruner = querypruner.Pruner{Strategy: querypruner.ICF, Keep: querypruner.Keep{Share: 0.5}}
	if path != "" {
		if _, err := os.Stat(path); err == nil {
			return parebleve.Open(path, nil, options)
		}
	}
	idx, err := parebleve.New(path, pageMapping(), options)
	if err != nil {
		return nil, err
	}
	for group := range slices.Chunk(passages, 500) {
		batch := idx.NewBatch()
		for _, p := range group {
			if err := batch.Index(p.ID, p); err != nil {
				return nil, errors.Join(err, idx.Close())
			}
		}
		if err := idx.Batch(batch); err != nil {
			return nil, errors.Join(err, idx.Close())
		}
	}
	return idx, nil
}

// pageMapping stores the text, which highlighting needs, and indexes it as
// English.
func pageMapping() mapping.IndexMapping {
	body := bleve.NewTextFieldMapping()
	body.Analyzer = "en"
	m := bleve.NewIndexMapping()
	m.ScoringModel = bleveindex.BM25Scoring
	m.DefaultMapping.AddFieldMappingsAt("body", body)
	return m
}

// encoderFor trains the default encoder on the passages, or reads the one that
// the index at path was made with. A neural encoder is loaded here instead.
func encoderFor(ctx context.Context, path string, passages []passage) (*corpus.Encoder, error) {
	file := path + ".encoder"
	if path != "" {
		data, err := os.ReadFile(file)
		if err == nil {
			return corpus.Load(data)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	options := corpus.DefaultOptions()
	options.MinDocumentFrequency = 1
	enc, err := corpus.Train(ctx, func(yield func(string, error) bool) {
		for _, p := range passages {
			if !yield(p.Body, nil) {
				return
			}
		}
	}, options, nil)
	if err != nil || path == "" {
		return enc, err
	}
	data, err := enc.MarshalBinary()
	if err != nil {
		return nil, err
	}
	return enc, os.WriteFile(file, data, 0o644)
}

// readFolder reads the paragraphs of text files.
func readFolder(dir string) ([]passage, error) {
	var passages []passage
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !slices.Contains([]string{".txt", ".md"}, filepath.Ext(path)) {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for i, text := range strings.Split(string(data), "\n\n") {
			if text = strings.TrimSpace(text); text != "" {
				passages = append(passages, passage{ID: fmt.Sprintf("%s, paragraph %d", path, i+1), Body: text})
			}
		}
		return nil
	})
	return passages, err
}

// orchard is what the page shows without a folder.
var orchard = []passage{
	{"pruning", "Prune apple trees in winter, while they sleep; cut to an outward bud, so that the crown stays open to light and air."},
	{"grafting", "Graft the scion on its rootstock in spring, when the sap rises, and bind the union with bast until it has healed."},
	{"storing", "Store late apples in a cool cellar. One rotten apple spoils the barrel, so look through them every week."},
	{"pressing", "Press the pulp within a day, and let the juice ferment in a clean cask; cider wants patience more than sugar."},
	{"thinning", "In June the tree drops part of its fruit by itself. Thin out the rest by hand, and what remains grows larger and sweeter."},
	{"frost", "A late frost kills the blossom. Small fires between the rows, or water sprayed all night, keep it just above freezing."},
	{"bees", "Bees carry pollen from tree to tree. An orchard of one single variety stays barren, however many hives stand in it."},
	{"scab", "Apple scab overwinters on fallen leaves. Rake and compost them, and the spring rain finds no spores to splash up."},
	{"mice", "Voles gnaw the bark of young stems below the snow. A sleeve of wire around the trunk saves the tree."},
	{"planting", "Plant bare-rooted trees in autumn, stake them on the windward side, and keep the graft a hand above the ground."},
	{"pears", "Pears ripen from the core outwards; pick them hard, before they are ripe, and let them soften indoors."},
	{"tools", "Clean and oil the saw and the secateurs after work: a blunt, dirty blade tears the wood and carries canker from tree to tree."},
}

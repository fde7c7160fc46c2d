package bert

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
)

// Layout is how a model folder is arranged, which follows from the program that
// wrote it.
type Layout string

// The layouts that Open knows.
const (
	// SentenceTransformers is a model of sentence embeddings: its last hidden
	// states are taken for token vectors.
	SentenceTransformers Layout = "sentence-transformers"
	// MultiVector is a MultiVectorEncoder of Sentence Transformers 6.
	MultiVector Layout = "sentence-transformers multi-vector"
	// PyLate is a ColBERT model of PyLate.
	PyLate Layout = "pylate"
	// Stanford is a ColBERT model of the original implementation.
	Stanford Layout = "colbert"
)

// folder is what the files of a model folder say.
type folder struct {
	layout          Layout
	weights         string     // the file of weights
	table           string     // the file of a table of word pieces, if there is one
	projection      string     // that of a learnt projection, if there is one
	config          Config     // of the transformer
	tokenizer       *Tokenizer // of both sides
	query, document side
	heads           []headConfig // applied to hidden states, in order
	files           []string     // all that vectors depend on, in the order of their use
}

// side says how texts of one side become the model's input and its output the
// text's vectors.
type side struct {
	prompt string   // put before every text
	prefix []uint32 // ids behind the first special ones
	length int      // at most, all special ids counted
	expansion
	drop    []bool   // by id: pieces that are computed but have no vector
	keepIDs []uint32 // if any, the only pieces that have a vector
}

// setLength cuts texts at another length. A query is then filled up to it.
func (s *side) setLength(length int) {
	if s.expansion.to > 0 {
		s.expansion.to = length
	}
	s.length = length
}

// expansion fills queries up with a mask, whose vectors count (ColBERT, Khattab
// & Zaharia 2020, section 3.2).
type expansion struct {
	to       int // the length to fill up to, 0 for none
	mask     uint32
	attended bool // by the other tokens
}

// Lengths where the model names none. Those of sentence embeddings are what
// the token vectors of such models were found to work with; the others are the
// defaults of PyLate and ColBERT.
const (
	plainQueryLength, plainDocumentLength     = 32, 300
	colbertQueryLength, colbertDocumentLength = 32, 180
)

// asciiPunctuation is Python's string.punctuation, one word per character: what
// ColBERT skips unless told otherwise.
var asciiPunctuation = strings.Split("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", "")

// openFolder reads the small files of a model folder.
func openFolder(dir string) (*folder, error) {
	if info, err := os.Stat(dir); err != nil {
		return nil, err
	} else if !info.IsDir() {
		return nil, fmt.Errorf("%w: %s is no folder", ErrModel, dir)
	}
	var sentence sentenceConfig
	if err := readOptional(filepath.Join(dir, "config_sentence_transformers.json"), &sentence); err != nil {
		return nil, err
	}
	var modules []module
	if err := readOptional(filepath.Join(dir, "modules.json"), &modules); err != nil {
		return nil, err
	}
	if err := refuseONNX(dir); err != nil {
		return nil, err
	}
	f := &folder{files: []string{filepath.Join(dir, "modules.json")}}
	root, err := f.transformer(dir, modules)
	if err != nil {
		return nil, err
	}
	architectures, err := f.readTransformer(dir, root)
	if err != nil {
		return nil, err
	}
	switch {
	case sentence.ModelType == "MultiVectorEncoder" || slices.ContainsFunc(modules, module.isMask):
		err = f.multiVector(dir, root, modules, sentence)
	case sentence.ModelType == "ColBERT" || sentence.QueryPrefix != nil || sentence.DocumentPrefix != nil:
		err = f.pylate(dir, modules, sentence)
	case slices.Contains(architectures, "HF_ColBERT"):
		err = f.stanford(dir)
	default:
		f.sentenceTransformers()
	}
	if err != nil {
		return nil, err
	}
	return f, f.checkSides()
}

// module is an entry of modules.json.
type module struct {
	Path string `json:"path"`
	Type string `json:"type"`
}

// is reports whether the module is of a class, whatever package has it.
func (m module) is(class string) bool { return m.Type == class || strings.HasSuffix(m.Type, "."+class) }

func (m module) isMask() bool { return m.is("MultiVectorMask") }

// sentenceConfig is what is read of a config_sentence_transformers.json.
type sentenceConfig struct {
	ModelType     string            `json:"model_type"`
	Prompts       map[string]string `json:"prompts"`
	DefaultPrompt *string           `json:"default_prompt_name"`

	// Of PyLate.
	QueryPrefix    *string   `json:"query_prefix"`
	DocumentPrefix *string   `json:"document_prefix"`
	QueryLength    *int      `json:"query_length"`
	DocumentLength *int      `json:"document_length"`
	Attend         *bool     `json:"attend_to_expansion_tokens"`
	SkipWords      *[]string `json:"skiplist_words"`
	Expand         *bool     `json:"do_query_expansion"`
}

// refuseONNX names what cannot be run when there is nothing else.
func refuseONNX(dir string) error {
	if exists(filepath.Join(dir, "onnx_config.json")) && !exists(filepath.Join(dir, "config.json")) {
		return fmt.Errorf("%w: %s is an export to ONNX; use the folder it was exported from", ErrUnsupported, dir)
	}
	return nil
}

// transformer returns the folder of the transformer's own files.
func (f *folder) transformer(dir string, modules []module) (string, error) {
	for _, m := range modules {
		if m.is("Transformer") || m.is("BERT") {
			return inside(dir, m.Path)
		}
	}
	if len(modules) > 0 {
		return "", fmt.Errorf("%w: %s: modules.json lists no Transformer", ErrUnsupported, dir)
	}
	return dir, nil
}

// readTransformer reads configuration and tokenizer and finds the weights.
func (f *folder) readTransformer(dir, root string) (architectures []string, err error) {
	if f.config, err = loadConfig(root); err != nil {
		return nil, err
	}
	var names struct {
		Architectures []string `json:"architectures"`
	}
	if err := readOptional(filepath.Join(root, "config.json"), &names); err != nil {
		return nil, err
	}
	tokenizer := filepath.Join(root, "tokenizer.json")
	if !exists(tokenizer) {
		tokenizer = filepath.Join(dir, "tokenizer.json")
	}
	if f.tokenizer, err = LoadTokenizer(tokenizer); err != nil {
		return nil, err
	}
	if n := f.tokenizer.Size(); n > f.config.Vocabulary {
		return nil, fmt.Errorf("%w: %s has ids up to %d, config.json says vocab_size %d", ErrModel, tokenizer, n-1, f.config.Vocabulary)
	}
	if f.weights, err = findWeights(root); err != nil {
		return nil, err
	}
	f.table, f.projection = filepath.Join(root, TableFile), filepath.Join(root, ProjectionFile)
	f.files = append(f.files, filepath.Join(root, "config.json"), tokenizer, f.weights, f.table, f.projection)
	return names.Architectures, f.checkCase(root)
}

// findWeights returns the safetensors file of a folder.
func findWeights(dir string) (string, error) {
	path := filepath.Join(dir, "model.safetensors")
	switch {
	case exists(path):
		return path, nil
	case exists(path + ".index.json"):
		return "", fmt.Errorf("%w: the weights in %s are split into several files", ErrUnsupported, dir)
	case exists(filepath.Join(dir, "pytorch_model.bin")):
		return "", fmt.Errorf("%w: %s has only pytorch_model.bin, a pickle, which runs code when it is read; convert it with Python: "+
			"import torch, safetensors.torch as s; w = torch.load('pytorch_model.bin', weights_only=True); "+
			"s.save_file({k: v.contiguous() for k, v in w.items()}, 'model.safetensors')", ErrUnsupported, dir)
	}
	return "", fmt.Errorf("%w: %w", ErrModel, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist})
}

// checkCase refuses a setting that lowers texts before a tokenizer that does
// not do it itself.
func (f *folder) checkCase(root string) error {
	var config struct {
		Lower bool `json:"do_lower_case"`
	}
	path := filepath.Join(root, "sentence_bert_config.json")
	if err := readOptional(path, &config); err != nil {
		return err
	}
	if config.Lower && !f.tokenizer.normalizer.lowercase {
		return fmt.Errorf("%w: %s: do_lower_case with a tokenizer that keeps capitals", ErrUnsupported, path)
	}
	return nil
}

// sentenceTransformers takes the last hidden states; pooling and what follows
// it are left out.
func (f *folder) sentenceTransformers() {
	f.layout = SentenceTransformers
	f.query = side{length: plainQueryLength}
	f.document = side{length: plainDocumentLength, drop: f.punctuationPieces()}
}

// punctuationPieces marks the pieces of nothing but punctuation.
func (f *folder) punctuationPieces() []bool {
	drop := make([]bool, f.tokenizer.Size())
	for id, piece := range f.tokenizer.pieces {
		if len(piece) > 2 && strings.HasPrefix(piece, "[") && strings.HasSuffix(piece, "]") {
			continue // a special token
		}
		if len(piece) > 2 {
			piece = strings.TrimPrefix(piece, "##")
		}
		rest := strings.TrimFunc(piece, func(r rune) bool {
			return unicode.IsPunct(r) || r < unicode.MaxASCII && unicode.IsSymbol(r)
		})
		drop[id] = rest == "" && piece != ""
	}
	return drop
}

// pylate reads the settings that PyLate keeps beside those of Sentence
// Transformers, with its defaults.
func (f *folder) pylate(dir string, modules []module, c sentenceConfig) error {
	f.layout = PyLate
	f.files = append(f.files, filepath.Join(dir, "config_sentence_transformers.json"))
	if err := checkModules(dir, modules); err != nil {
		return err
	}
	if err := f.readHeads(dir, modules); err != nil {
		return err
	}
	if len(f.heads) == 0 {
		return fmt.Errorf("%w: %s: modules.json lists no Dense module", ErrModel, dir)
	}
	prompt := ""
	if c.DefaultPrompt != nil {
		prompt = c.Prompts[*c.DefaultPrompt]
	}
	f.query = side{prompt: prompt, length: or(c.QueryLength, colbertQueryLength)}
	f.document = side{prompt: prompt, length: or(c.DocumentLength, colbertDocumentLength)}
	if or(c.Expand, true) {
		mask, err := f.maskID("")
		if err != nil {
			return err
		}
		f.query.expansion = expansion{f.query.length, mask, or(c.Attend, false)}
	}
	f.document.drop = f.wordsToDrop(or(c.SkipWords, asciiPunctuation))
	return f.setPrefixes(or(c.QueryPrefix, "[Q] "), or(c.DocumentPrefix, "[D] "))
}

// stanford reads the settings of the original ColBERT. Its projection is in the
// file of weights.
func (f *folder) stanford(dir string) error {
	f.layout = Stanford
	f.heads = []headConfig{{}}
	var c struct {
		QueryMarker    *string `json:"query_token_id"`
		DocumentMarker *string `json:"doc_token_id"`
		QueryLength    *int    `json:"query_maxlen"`
		DocumentLength *int    `json:"doc_maxlen"`
		Skip           *bool   `json:"mask_punctuation"`
		Attend         *bool   `json:"attend_to_mask_tokens"`
	}
	metadata := filepath.Join(dir, "artifact.metadata")
	if err := readOptional(metadata, &c); err != nil {
		return err
	}
	if exists(metadata) {
		f.files = append(f.files, metadata)
	}
	mask, err := f.maskID("")
	if err != nil {
		return err
	}
	length := or(c.QueryLength, colbertQueryLength)
	f.query = side{length: length, expansion: expansion{length, mask, or(c.Attend, false)}}
	f.document = side{length: or(c.DocumentLength, colbertDocumentLength)}
	if or(c.Skip, true) {
		f.document.drop = f.wordsToDrop(asciiPunctuation)
	}
	return f.setPrefixes(or(c.QueryMarker, "[unused0]"), or(c.DocumentMarker, "[unused1]"))
}

// multiVector reads the settings that Sentence Transformers spreads over its
// modules.
func (f *folder) multiVector(dir, root string, modules []module, c sentenceConfig) error {
	f.layout = MultiVector
	f.files = append(f.files, filepath.Join(dir, "config_sentence_transformers.json"))
	if err := checkModules(dir, modules); err != nil {
		return err
	}
	if err := f.readHeads(dir, modules); err != nil {
		return err
	}
	if err := f.transformerLengths(dir, root); err != nil {
		return err
	}
	f.query.prompt, f.document.prompt = c.Prompts["query"], c.Prompts["document"]
	i := slices.IndexFunc(modules, module.isMask)
	if i < 0 {
		return nil
	}
	var mask struct {
		Words   []string  `json:"skiplist_words"`
		Sides   *[]string `json:"skiplist_tasks"`
		KeepIDs []uint32  `json:"keep_only_token_ids"`
	}
	folder, err := inside(dir, modules[i].Path)
	if err != nil {
		return err
	}
	path := filepath.Join(folder, "config.json")
	if err := readOptional(path, &mask); err != nil {
		return err
	}
	f.files = append(f.files, path)
	drop := f.wordsToDrop(mask.Words)
	sides := or(mask.Sides, []string{"document"})
	if slices.Contains(sides, "document") {
		f.document.drop = drop
	}
	if slices.Contains(sides, "query") {
		f.query.drop = drop
	}
	f.document.keepIDs = mask.KeepIDs
	return nil
}

// transformerLengths reads lengths and query expansion from the configuration
// of a multi-vector model's Transformer.
func (f *folder) transformerLengths(dir, root string) error {
	var c struct {
		MaxLength      *int `json:"max_seq_length"`
		QueryLength    *int `json:"query_length"`
		DocumentLength *int `json:"document_length"`
		Expansion      *struct {
			Strategy string  `json:"strategy"`
			Length   int     `json:"length"`
			Attend   bool    `json:"attend"`
			Token    *string `json:"token"`
		} `json:"query_expansion"`
	}
	path := filepath.Join(root, "sentence_bert_config.json")
	if err := readOptional(path, &c); err != nil {
		return err
	}
	f.files = append(f.files, path)
	longest, err := f.longestInput(dir, root)
	if err != nil {
		return err
	}
	longest = or(c.MaxLength, longest)
	f.query.length = or(c.QueryLength, longest)
	f.document.length = or(c.DocumentLength, longest)
	if c.Expansion == nil {
		return nil
	}
	mask, err := f.maskID(or(c.Expansion.Token, ""))
	if err != nil {
		return err
	}
	f.query.expansion = expansion{c.Expansion.Length, mask, c.Expansion.Attend}
	switch c.Expansion.Strategy {
	case "fixed":
		f.query.length = c.Expansion.Length
	case "min":
		f.query.length = max(f.query.length, c.Expansion.Length)
	default:
		return fmt.Errorf("%w: %s: query_expansion.strategy is %q, want fixed or min", ErrUnsupported, path, c.Expansion.Strategy)
	}
	if c.Expansion.Length < 1 {
		return fmt.Errorf("%w: %s: query_expansion.length is %d", ErrModel, path, c.Expansion.Length)
	}
	return nil
}

// longestInput is the tokenizer's model_max_length, within the model's
// positions.
func (f *folder) longestInput(dir, root string) (int, error) {
	var c struct {
		Length *float64 `json:"model_max_length"` // 1e30 for none
	}
	path := filepath.Join(root, "tokenizer_config.json")
	if !exists(path) {
		path = filepath.Join(dir, "tokenizer_config.json")
	}
	if err := readOptional(path, &c); err != nil {
		return 0, err
	}
	if exists(path) {
		f.files = append(f.files, path)
	}
	longest := f.config.Positions
	if c.Length != nil && *c.Length >= 1 && *c.Length < float64(longest) {
		longest = int(*c.Length)
	}
	return longest, nil
}

// setPrefixes looks the markers of queries and documents up. An empty one is
// none.
func (f *folder) setPrefixes(query, document string) error {
	for _, p := range []struct {
		marker string
		side   *side
	}{{query, &f.query}, {document, &f.document}} {
		if p.marker == "" {
			continue
		}
		id, ok := f.tokenizer.ID(p.marker)
		if !ok {
			return fmt.Errorf("%w: the prefix %q is not in the tokenizer's vocabulary", ErrModel, p.marker)
		}
		p.side.prefix = []uint32{id}
	}
	return nil
}

// maskID is the id of the token that queries are filled up with: the mask where
// none is named.
func (f *folder) maskID(token string) (uint32, error) {
	if token == "" {
		token = "[MASK]"
	}
	id, ok := f.tokenizer.ID(token)
	if !ok {
		return 0, fmt.Errorf("%w: the tokenizer has no %q to fill queries up with", ErrModel, token)
	}
	return id, nil
}

// wordsToDrop marks the ids of words. A word that is no piece is left out: it
// must not stand for the unknown one.
func (f *folder) wordsToDrop(words []string) []bool {
	drop := make([]bool, f.tokenizer.Size())
	for _, word := range words {
		if id, ok := f.tokenizer.ID(word); ok {
			drop[id] = true
		}
	}
	return drop
}

// checkSides fits the lengths to the model's positions.
func (f *folder) checkSides() error {
	before, after := f.tokenizer.Special()
	for _, s := range []*side{&f.query, &f.document} {
		special := len(before) + len(s.prefix) + len(after)
		s.length = min(s.length, f.config.Positions)
		if s.length < special {
			return fmt.Errorf("%w: a length of %d, with %d special tokens", ErrModel, s.length, special)
		}
		if s.expansion.to > f.config.Positions {
			return fmt.Errorf("%w: queries are filled up to %d tokens, the model takes %d", ErrModel, s.expansion.to, f.config.Positions)
		}
	}
	return nil
}

// moduleOrder are the classes of modules of a model made for late interaction,
// in the order in which they are applied here.
var moduleOrder = []string{"Transformer", "Dense", "MultiVectorMask", "Normalize"}

// checkModules refuses modules of other classes or in another order, and any
// but Dense that come twice.
func checkModules(dir string, modules []module) error {
	last := -1
	for _, m := range modules {
		place := slices.IndexFunc(moduleOrder, m.is)
		if m.is("BERT") {
			place = 0 // what Transformer was called once
		}
		switch {
		case place < 0:
			return fmt.Errorf("%w: %s: modules.json lists %s", ErrUnsupported, dir, m.Type)
		case place < last, place == last && !m.is("Dense"):
			return fmt.Errorf("%w: %s: modules.json lists %s behind %s, want the order %v", ErrUnsupported, dir, m.Type, moduleOrder[last], moduleOrder)
		}
		last = place
	}
	return nil
}

// readHeads reads the configurations of the Dense modules.
func (f *folder) readHeads(dir string, modules []module) error {
	for _, m := range modules {
		if !m.is("Dense") {
			continue
		}
		folder, err := inside(dir, m.Path)
		if err != nil {
			return err
		}
		head, err := readHeadConfig(folder)
		if err != nil {
			return err
		}
		f.heads = append(f.heads, head)
		f.files = append(f.files, filepath.Join(folder, "config.json"), head.weights)
	}
	return nil
}

// inside joins a path that a model file names to the folder, out of which it
// must not lead.
func inside(dir, path string) (string, error) {
	if path == "" {
		return dir, nil
	}
	if !filepath.IsLocal(filepath.FromSlash(path)) {
		return "", fmt.Errorf("%w: %s: modules.json names the path %q", ErrModel, dir, path)
	}
	return filepath.Join(dir, filepath.FromSlash(path)), nil
}

// readOptional reads a JSON file into a value, which stays as it is when there
// is no such file.
func readOptional(path string, into any) error {
	data, err := readSmallFile(path, maxJSONBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrModel, path, err)
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// or returns what a pointer points to, or the default.
func or[T any](value *T, otherwise T) T {
	if value == nil {
		return otherwise
	}
	return *value
}

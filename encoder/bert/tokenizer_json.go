package bert

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

// tokenizerJSON is what is read of a tokenizer.json. Its truncation and padding
// are left alone: they are settings of whoever saved it, and lengths are the
// encoder's business.
type tokenizerJSON struct {
	AddedTokens []struct {
		ID         uint32 `json:"id"`
		Content    string `json:"content"`
		SingleWord bool   `json:"single_word"`
		LStrip     bool   `json:"lstrip"`
		RStrip     bool   `json:"rstrip"`
		Normalized bool   `json:"normalized"`
	} `json:"added_tokens"`
	Normalizer    *normalizerJSON    `json:"normalizer"`
	PreTokenizer  *typedJSON         `json:"pre_tokenizer"`
	PostProcessor *postProcessorJSON `json:"post_processor"`
	Model         struct {
		Type      string            `json:"type"`
		Unknown   *string           `json:"unk_token"`
		Prefix    *string           `json:"continuing_subword_prefix"`
		MaxRunes  *int              `json:"max_input_chars_per_word"`
		Vocab     map[string]uint32 `json:"-"`
		VocabJSON json.RawMessage   `json:"vocab"` // a list in other models
	} `json:"model"`
}

type typedJSON struct {
	Type string `json:"type"`
}

type normalizerJSON struct {
	Type            string `json:"type"`
	Clean           bool   `json:"clean_text"`
	SplitIdeographs bool   `json:"handle_chinese_chars"`
	StripAccents    *bool  `json:"strip_accents"` // null follows lowercase
	Lowercase       bool   `json:"lowercase"`
}

// postProcessorJSON is a TemplateProcessing or, as older files have it, a
// BertProcessing.
type postProcessorJSON struct {
	Type   string `json:"type"`
	Single []struct {
		SpecialToken *struct {
			ID   string `json:"id"`
			Type int    `json:"type_id"`
		}
		Sequence *struct {
			ID   string `json:"id"`
			Type int    `json:"type_id"`
		}
	} `json:"single"`
	SpecialTokens map[string]struct {
		IDs []uint32 `json:"ids"`
	} `json:"special_tokens"`
	Sep, Cls []any // of BertProcessing: token and id
}

// maxVocabulary bounds the ids, and with them the memory that a small file can ask
// for; the largest vocabulary of a BERT, for 109 languages, has half as many.
const maxVocabulary = 1 << 20

// ParseTokenizer reads the bytes of a tokenizer.json. Errors wrap ErrModel, or
// ErrUnsupported with the field's name for tokenizers that are not BERT's.
func ParseTokenizer(data []byte) (*Tokenizer, error) {
	var file tokenizerJSON
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, fmt.Errorf("%w: tokenizer: %w", ErrModel, err)
	}
	if err := file.check(); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(file.Model.VocabJSON, &file.Model.Vocab); err != nil {
		return nil, fmt.Errorf("%w: tokenizer: model.vocab: %w", ErrModel, err)
	}
	n := file.Normalizer
	t := &Tokenizer{
		normalizer: normalizer{clean: n.Clean, splitIdeographs: n.SplitIdeographs, stripAccents: n.Lowercase, lowercase: n.Lowercase},
		maxRunes:   or(file.Model.MaxRunes, 100),
		starts:     file.Model.Vocab,
		inside:     map[string]uint32{},
		added:      map[string]uint32{},
	}
	t.scratch.New = func() any { return new(normalized) }
	if n.StripAccents != nil {
		t.normalizer.stripAccents = *n.StripAccents
	}
	if err := t.addVocabulary(or(file.Model.Prefix, "##"), or(file.Model.Unknown, "[UNK]")); err != nil {
		return nil, err
	}
	if err := t.addTokens(&file); err != nil {
		return nil, err
	}
	return t, t.addTemplate(file.PostProcessor)
}

// check refuses tokenizers of other kinds.
func (f *tokenizerJSON) check() error {
	var faults []error
	want := func(field, got string, want ...string) {
		if !slices.Contains(want, got) {
			faults = append(faults, fmt.Errorf("%w: tokenizer: %s is %q, want %q", ErrUnsupported, field, got, want))
		}
	}
	if f.Model.Type == "" && f.Model.MaxRunes != nil {
		f.Model.Type = "WordPiece" // old files do not say it
	}
	want("model.type", f.Model.Type, "WordPiece")
	if f.Normalizer == nil {
		f.Normalizer = &normalizerJSON{Type: "null"}
	}
	want("normalizer.type", f.Normalizer.Type, "BertNormalizer")
	if f.PreTokenizer == nil {
		f.PreTokenizer = &typedJSON{Type: "null"}
	}
	want("pre_tokenizer.type", f.PreTokenizer.Type, "BertPreTokenizer")
	if f.PostProcessor == nil {
		f.PostProcessor = &postProcessorJSON{Type: "null"}
	}
	want("post_processor.type", f.PostProcessor.Type, "TemplateProcessing", "BertProcessing")
	if len(faults) > 0 {
		return errors.Join(faults...)
	}
	if n := or(f.Model.MaxRunes, 1); n < 1 {
		return fmt.Errorf("%w: tokenizer: model.max_input_chars_per_word is %d", ErrModel, n)
	}
	return nil
}

// addVocabulary makes the tables of pieces out of t.starts.
func (t *Tokenizer) addVocabulary(prefix, unknown string) error {
	for piece, id := range t.starts {
		if err := t.name(piece, id); err != nil {
			return err
		}
		t.longest = max(t.longest, len(piece))
		if rest := piece[min(len(prefix), len(piece)):]; rest != "" && piece[:len(piece)-len(rest)] == prefix {
			t.inside[rest] = id
		}
	}
	id, ok := t.starts[unknown]
	if !ok {
		return fmt.Errorf("%w: tokenizer: model.unk_token %q is not in the vocabulary", ErrModel, unknown)
	}
	t.unknown = id
	return nil
}

// name gives an id to a piece.
func (t *Tokenizer) name(piece string, id uint32) error {
	switch {
	case id >= maxVocabulary:
		return fmt.Errorf("%w: tokenizer: %q has id %d", ErrModel, piece, id)
	case piece == "":
		return fmt.Errorf("%w: tokenizer: id %d is of an empty piece", ErrModel, id)
	}
	if int(id) >= len(t.pieces) {
		t.pieces = slices.Grow(t.pieces, int(id)+1-len(t.pieces))[:id+1]
	}
	if other := t.pieces[id]; other != "" && other != piece {
		return fmt.Errorf("%w: tokenizer: id %d is of %q and of %q", ErrModel, id, min(other, piece), max(other, piece))
	}
	t.pieces[id] = piece
	return nil
}

// addTokens adds the added tokens: those to be sought in the text as it is, and
// those to be sought after normalisation, normalised themselves.
func (t *Tokenizer) addTokens(file *tokenizerJSON) error {
	var raw, folded []addedToken
	for _, token := range file.AddedTokens {
		if token.Content == "" || !utf8.ValidString(token.Content) {
			return fmt.Errorf("%w: tokenizer: added_tokens: content %q", ErrModel, token.Content)
		}
		if id, ok := t.starts[token.Content]; ok && id != token.ID {
			return fmt.Errorf("%w: tokenizer: added_tokens: %q has id %d, in model.vocab %d", ErrModel, token.Content, token.ID, id)
		}
		if err := t.name(token.Content, token.ID); err != nil {
			return err
		}
		t.added[token.Content] = token.ID
		added := addedToken{token.Content, token.ID, token.SingleWord, token.LStrip, token.RStrip}
		if !token.Normalized {
			raw = append(raw, added)
			continue
		}
		var n normalized
		t.normalizer.append(&n, token.Content, 0)
		if added.content = string(n.text); added.content != "" {
			folded = append(folded, added)
		}
	}
	t.raw, t.folded = newMatcher(raw), newMatcher(folded)
	return nil
}

// addTemplate reads what stands around every text.
func (t *Tokenizer) addTemplate(p *postProcessorJSON) error {
	if p.Type == "BertProcessing" {
		for _, token := range []struct {
			field string
			value []any
			ids   *[]uint32
		}{{"cls", p.Cls, &t.before}, {"sep", p.Sep, &t.after}} {
			id, ok := bertProcessingID(token.value)
			if !ok || t.Piece(id) == "" {
				return fmt.Errorf("%w: tokenizer: post_processor.%s is %v", ErrModel, token.field, token.value)
			}
			*token.ids = []uint32{id}
		}
		return nil
	}
	ids, sequences := &t.before, 0
	for _, part := range p.Single {
		switch {
		case part.Sequence != nil && part.Sequence.Type == 0 && part.Sequence.ID == "A":
			ids = &t.after
			sequences++
		case part.SpecialToken != nil && part.SpecialToken.Type == 0:
			special, ok := p.SpecialTokens[part.SpecialToken.ID]
			if !ok {
				return fmt.Errorf("%w: tokenizer: post_processor.special_tokens lacks %q", ErrModel, part.SpecialToken.ID)
			}
			for _, id := range special.IDs {
				if t.Piece(id) == "" {
					return fmt.Errorf("%w: tokenizer: post_processor.special_tokens: %q has unknown id %d", ErrModel, part.SpecialToken.ID, id)
				}
			}
			*ids = append(*ids, special.IDs...)
		default:
			return fmt.Errorf("%w: tokenizer: post_processor.single has a part that is neither the text nor a special token of type 0", ErrUnsupported)
		}
	}
	if sequences != 1 {
		return fmt.Errorf("%w: tokenizer: post_processor.single has the text %d times", ErrUnsupported, sequences)
	}
	return nil
}

// bertProcessingID reads ["[CLS]", 101].
func bertProcessingID(pair []any) (uint32, bool) {
	if len(pair) != 2 {
		return 0, false
	}
	id, ok := pair[1].(float64)
	if !ok || id < 0 || id >= maxVocabulary || id != float64(uint32(id)) {
		return 0, false
	}
	return uint32(id), true
}

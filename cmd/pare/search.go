package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pare-search/pare/configs"
	"github.com/pare-search/pare/eval"
	"github.com/pare-search/pare/eval/dataset"
	"github.com/pare-search/pare/index"
	"github.com/pare-search/pare/retriever"
)

// search is one call of "pare search".
type search struct {
	*app
	index, run     string
	only           string
	embeddings     string
	explain, stats bool
	watch          bool
	snippet        int
	format         *formatFlag

	retriever      *retriever.Retriever
	loaded         *configs.Loaded
	flags          *pflag.FlagSet
	config         configs.Config
	options        retriever.Options
	stdout, stderr io.Writer
	printed        int // answers
	unknown        unknownWords
}

func (a *app) searchCommand() *cobra.Command {
	s := &search{app: a}
	c := &cobra.Command{
		Use:   "search --index FOLDER QUERY",
		Short: "Search an index",
		Long: `Search an index for a query, or for those of stdin when the query is "-": one per
line, named by its number or, in lines "id<TAB>text", by the id.

With --embeddings the queries are token vectors that another program made, in the files
queries.npy, queries_lens.npy and query_ids.txt of a folder: QUERY is the id of one of
them, and "-" stands for all.

--prune says which query tokens look for candidates; all tokens score what they find:
  all                 every token looks
  icf:4  idf:4        the 4 rarest, by collection or document frequency
  first:4  random:4   the 4 leading ones, 4 at random
  population:4        the 4 whose nearest cells are smallest
  icf:50%             half of the tokens
  icf+mass:0.8        the rarest that hold 0.8 of the importance
  icf+cost:5000       the rarest that are in 5000 documents together
  nospecials          all but [CLS] and its kind
  nostopwords:20%     all but those in over 20 % of the documents
  nostopwords:english all but the words of a list
  merge:0.7           tokens with a cosine of at least 0.7 look as their sum
  weigh:idf           tokens count by inverse document frequency, in scores too
  weigh:masks         masks count for the tokens next to them
  icf:4+scorekept     and only these 4 score
A plus sign joins them, as in icf:8+mass:0.8+nospecials, and adds dropunseen, seed:N,
tokenrarity and, for token ids that no encoder explains, special:101/102 and mask:103.

The tokens that look share --budget, spent where it promises most; --neighbors gives each
its own. Of what they find, the best --rank-depth by the cells of their tokens are scored,
and the best --refine of those again where the index was built with --refinements.

A --config file of "pare tune" is refused on other indexes than the one it was tuned on.`,
		Example: `  pare search --index cranfield.idx "heat transfer at high speed"
  pare search --index cranfield.idx -k 3 --prune icf:2 --explain "heat transfer at high speed"
  pare search --index cranfield.idx -k 100 --snippet 0 --format tsv --run icf4.trec.gz - < queries.tsv
  pare search --index vectors.idx --embeddings vectors --format tsv -`,
		Args: oneQuery,
	}
	addIndex(c, &s.index)
	flags := c.Flags()
	configs.Flag(flags, "search.k", "k", "k")
	configs.Flag(flags, "search.prune", "prune", "")
	configs.Flag(flags, "search.plan", "plan", "")
	addEffort(flags)
	configs.Flag(flags, "search.workers", "workers", "")
	configs.Flag(flags, "encoder.kind", "encoder", "")
	withoutDefault(flags, "encoder", "the `folder` of the model that the index was made with, where it is not where it was, or the address of the service that was")
	flags.StringVar(&s.embeddings, "embeddings", "", "ask the encoded queries in this `folder`")
	cobra.CheckErr(c.MarkFlagDirname("embeddings"))
	flags.StringVar(&s.only, "only", "", "find only documents whose ids are in this `file`, one a line")
	flags.BoolVar(&s.explain, "explain", false, "tell what each query token was used for and what it matched")
	flags.BoolVar(&s.stats, "stats", false, "tell on stderr how much work the search was")
	flags.IntVar(&s.snippet, "snippet", 100, "width in bytes of the text shown for a hit; 0 for none")
	flags.StringVar(&s.run, "run", "", "also write a TREC run to this `file`, gzip by extension")
	flags.BoolVar(&s.watch, "watch", false, "with --config and \"-\": take over the file's search settings whenever it changes")
	s.format = addFormat(flags, "table", "tsv", "json")
	c.RunE = func(c *cobra.Command, args []string) error {
		loaded, err := a.settings(c)
		if err != nil {
			return err
		}
		s.loaded, s.config = loaded, loaded.Config
		if s.options, err = s.config.SearchOptions(); err != nil {
			return err
		}
		switch {
		case s.watch && (a.configFile == "" || args[0] != "-"):
			return usage(errors.New("--watch is for many queries with the settings of a file"), `give --config FILE and the query "-"`)
		case s.watch && s.run != "":
			return usage(errors.New("--watch does not go with --run, whose results must be of one setting"), "")
		case s.snippet < 0:
			return usage(fmt.Errorf("flag --snippet: want at least 0, got %d", s.snippet), "")
		case s.explain && s.format.value == "tsv":
			return usage(errors.New("--explain does not go with --format tsv"), "take --format json")
		case s.explain && s.embeddings != "":
			return usage(errors.New("--explain does not go with --embeddings: vectors have no words"), "")
		}
		if s.embeddings != "" {
			if err := givenAlready(c, encodingFlags...); err != nil {
				return err
			}
		}
		s.flags = c.Flags()
		s.stdout, s.stderr = c.OutOrStdout(), c.ErrOrStderr()

		queries := func(yield func(query, error) bool) { yield(query{"1", args[0]}, nil) }
		switch {
		case s.embeddings != "":
			return s.allVectors(c.Context(), args[0])
		case args[0] == "-":
			a.noteTyping(c, "queries")
			queries = readQueries(c.InOrStdin())
		case strings.TrimSpace(args[0]) == "":
			return noWords(args[0])
		}
		if s.retriever, err = openRetriever(s.index, s.config, c.Flags().Changed("encoder")); err != nil {
			return err
		}
		return s.all(c.Context(), queries, args[0] == "-")
	}
	return c
}

// allVectors answers the encoded query with an id, or all for "-".
func (s *search) allVectors(ctx context.Context, id string) error {
	_, encoded, err := readQueryVectors(s.embeddings)
	if err != nil {
		return err
	}
	if s.retriever, err = openWithQueries(s.index, encoded); err != nil {
		return err
	}
	ids := []string{id}
	if id == "-" {
		ids = encoded.IDs
	}
	return s.all(ctx, func(yield func(query, error) bool) {
		for _, id := range ids {
			if !yield(query{id, id}, nil) {
				return
			}
		}
	}, id == "-")
}

// restrict reads the ids that --only names.
func (s *search) restrict() error {
	if s.only == "" {
		return nil
	}
	file, err := os.Open(s.only)
	if err != nil {
		return err
	}
	defer file.Close()
	var ids []string
	for id, err := range lines(file) {
		if err != nil {
			return fmt.Errorf("%s: %w", s.only, err)
		}
		if id != "" {
			ids = append(ids, id)
		}
	}
	if s.options.Search.Filter, err = s.retriever.Filter(ids...); err != nil {
		return indexError(s.index, err)
	}
	if n := s.options.Search.Filter.GetCardinality(); n == 0 {
		s.note(s.stderr, "none of the %d ids in %s is in the index", len(ids), s.only)
	}
	return nil
}

// all answers all queries and closes the retriever. When there are several
// queries, those without words are left out with a note.
func (s *search) all(ctx context.Context, queries iter.Seq2[query, error], several bool) (err error) {
	defer func() { err = errors.Join(err, s.retriever.Close()) }()
	if err := s.checkCertificate(s.loaded, s.index, s.retriever.Snapshot()); err != nil {
		return err
	}
	if !s.watch { // which looks at the file again
		s.noteOverruled(s.stderr, s.loaded, nil)
	}
	if err := s.restrict(); err != nil {
		return err
	}
	if err := s.begin(); err != nil {
		return err
	}
	options, stop, err := s.followFile()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	run := eval.Run{Tag: s.tag(), Results: make(map[string][]eval.Result)}
	asked := make(map[string]bool)
	for q, err := range queries {
		if err != nil {
			return err
		}
		if asked[q.id] {
			return fmt.Errorf("there are two queries %s, which the results could not tell apart", q.id)
		}
		asked[q.id] = true
		s.options = options()
		found, err := s.retriever.Search(ctx, q.text, s.options)
		switch {
		case err != nil:
			return indexError(s.index, err)
		case found.Stats.Rows == 0 && !several:
			return s.nothing(q)
		case found.Stats.Rows == 0:
			s.note(s.stderr, "query %s is skipped: %v", q.id, s.nothing(q))
			continue
		}
		answer, err := s.answer(ctx, q, found)
		if err != nil {
			return indexError(s.index, err)
		}
		if err := s.print(answer, several); err != nil {
			return err
		}
		words := answer.unknown()
		if s.unknown.add(q.id, words); !several || s.explain {
			s.remark(unknownIn(words, len(answer.Tokens)))
		}
		if s.explain && found.Stats.Plan != index.Probe {
			s.note(s.stderr, "no token had to look for candidates: every document was one")
		}
		if s.stats {
			s.note(s.stderr, "%s", s.statsText(answer))
		}
		if s.run == "" {
			continue
		}
		for _, hit := range found.Hits {
			run.Results[q.id] = append(run.Results[q.id], eval.Result{ID: hit.ID, Score: float64(hit.Score)})
		}
	}
	if several {
		s.remark(s.unknown.String())
	}
	if s.run == "" {
		return nil
	}
	return dataset.WriteRunFile(s.run, run)
}

// remark is note for what need not be there.
func (s *search) remark(text string) {
	if text != "" {
		s.note(s.stderr, "%s", text)
	}
}

// followFile returns what yields the options of the next query and what ends
// that: with --watch those of the file as it is by then.
func (s *search) followFile() (options func() retriever.Options, stop func() error, err error) {
	s.options.Search.Times = s.stats
	if !s.watch {
		return func() retriever.Options { return s.options }, func() error { return nil }, nil
	}
	w, err := configs.Watch(s.sources(s.flags), configs.WatchOptions{
		Check: func(loaded *configs.Loaded) error {
			err := s.checkCertificate(loaded, s.index, s.retriever.Snapshot())
			if err == nil {
				s.noteOverruled(s.stderr, loaded, nil)
			}
			return err
		},
		Report: func(change configs.Change) {
			if change.Err != nil {
				printError(s.stderr, change.Err)
			}
			if change.Err == nil && len(change.Keys) == 0 {
				s.note(s.stderr, "%s: taken again, with the settings that are in force", s.configFile)
			}
			for _, key := range change.Keys {
				s.note(s.stderr, "%s: %s was %v, is %v", s.configFile, key.Name, settingText(key.Old), settingText(key.New))
			}
		},
	})
	if err != nil {
		return nil, nil, asUsage(err)
	}
	filter := s.options.Search.Filter
	return func() retriever.Options {
		options := w.SearchOptions()
		options.Search.Times, options.Search.Filter = s.stats, filter
		return options
	}, w.Close, nil
}

// nothing is the error of a query that there is nothing to look for in.
func (s *search) nothing(q query) error {
	if s.embeddings != "" {
		return usage(fmt.Errorf("the query %s has no vectors", q.id), "")
	}
	return noWords(q.text)
}

// tag names a run by a hash of all settings that its results depend on.
func (s *search) tag() string {
	snapshot, codebook := s.retriever.Snapshot(), uint64(0)
	if c := snapshot.Codebook(); c != nil {
		codebook = c.Checksum()
	}
	settings, err := json.Marshal(struct {
		Index     index.Options
		Codebook  uint64 // tells collections apart
		Prune     string
		Plan      string
		Neighbors int
		Budget    int
		Margin    float64
		Rarity    float64
		Rank      float64
		Cells     int
		Peak      float64
		Reveal    string
		FirstRows int
		Alpha     float64
		Depth     int
		Refine    int
		K         int
	}{
		snapshot.Options(),
		codebook,
		s.options.Pruner.String(),
		s.options.Search.Plan.String(),
		s.options.Search.Neighbors,
		s.options.Search.Budget,
		s.options.Search.MarginShare,
		s.options.Search.RarityPower,
		s.options.Search.RankPower,
		s.options.Search.Cells,
		s.options.Search.Peak,
		s.options.Search.Reveal.String(),
		s.options.Search.FirstRows,
		s.options.Search.Alpha,
		s.options.Search.Depth,
		s.options.Search.Refine,
		s.options.Search.K,
	})
	if err != nil {
		return "pare"
	}
	return fmt.Sprintf("pare-%.4x", sha256.Sum256(settings))
}

// answer is all that is printed about one query.
type answer struct {
	ID     string       `json:"id"`
	Query  string       `json:"query"`
	Tokens []queryToken `json:"query_tokens"`
	Hits   []hit        `json:"hits"`
	Stats  searchStats  `json:"stats"`
}

// queryToken says what a query token was used for. It looks for candidates
// when it is kept and counts in the scores when it is scored.
type queryToken struct {
	Token  string `json:"token"`
	Kept   bool   `json:"kept"`
	Scored bool   `json:"scored"`
	Reason string `json:"reason"`
	// Unknown words are in no document.
	Unknown bool `json:"unknown,omitempty"`
}

// unknown returns the words that count in the scores though no document has them.
func (a *answer) unknown() []string {
	var words []string
	for _, token := range a.Tokens {
		if token.Unknown && token.Scored {
			words = append(words, token.Token)
		}
	}
	return words
}

type hit struct {
	Rank        int          `json:"rank"`
	ID          string       `json:"id"`
	Score       float32      `json:"score"`
	Snippet     string       `json:"snippet,omitempty"`
	Explanation []tokenMatch `json:"explanation,omitempty"`
}

// tokenMatch is the document token that a query token is most similar to, empty
// when the index keeps no texts.
type tokenMatch struct {
	Token      string  `json:"token"`
	Match      string  `json:"match"`
	Similarity float32 `json:"similarity"`
}

// searchStats counts the work; times are there when --stats is given.
type searchStats struct {
	Plan            string  `json:"plan"`
	Rows            int     `json:"rows"`
	RowsKept        int     `json:"rows_kept"`
	CellsProbed     int     `json:"cells_probed"`
	Postings        int     `json:"postings"`
	Candidates      int     `json:"candidates"`
	DocumentsScored int     `json:"documents_scored"`
	Refined         int     `json:"documents_refined"`
	TokenPairs      int64   `json:"token_pairs"`
	Bytes           int64   `json:"bytes"`
	EncodeMS        float64 `json:"encode_ms,omitempty"`
	PruneMS         float64 `json:"prune_ms,omitempty"`
	ScanMS          float64 `json:"scan_ms,omitempty"`
	ProbeMS         float64 `json:"probe_ms,omitempty"`
	RankMS          float64 `json:"rank_ms,omitempty"`
	ScoreMS         float64 `json:"score_ms,omitempty"`
	RefineMS        float64 `json:"refine_ms,omitempty"`
}

// answer puts together what was found.
func (s *search) answer(ctx context.Context, q query, found retriever.Results) (answer, error) {
	a := answer{
		ID: q.id, Query: q.text,
		Tokens: make([]queryToken, len(found.Selection.Rows)),
		Hits:   make([]hit, 0, len(found.Hits)),
		Stats:  newSearchStats(found.Stats),
	}
	for i, row := range found.Selection.Rows {
		a.Tokens[i] = queryToken{
			Token:  tokenText(s.retriever.Encoder(), q.text, found.Query, i),
			Kept:   row.Kept,
			Scored: found.Selection.Score == nil,
			Reason: row.String(),
		}
	}
	for _, i := range found.Selection.Score {
		a.Tokens[i].Scored = true
	}
	unknown, err := s.retriever.UnknownWords(found.Query)
	if err != nil {
		return a, err
	}
	for _, i := range unknown {
		a.Tokens[i].Unknown = true
		if note := "not in the collection"; !strings.Contains(a.Tokens[i].Reason, note) {
			a.Tokens[i].Reason += ", " + note
		}
	}
	for i, h := range found.Hits {
		described, err := s.hit(ctx, q, h)
		if err != nil {
			return a, err
		}
		described.Rank = i + 1
		for row := range described.Explanation {
			described.Explanation[row].Token = a.Tokens[row].Token
		}
		a.Hits = append(a.Hits, described)
	}
	return a, nil
}

// hit describes a hit as far as the flags ask for it.
func (s *search) hit(ctx context.Context, q query, found index.Hit) (hit, error) {
	described := hit{ID: found.ID, Score: found.Score}
	if s.snippet == 0 && !s.explain {
		return described, nil
	}
	if s.embeddings != "" {
		text, err := s.retriever.Text(found.ID)
		described.Snippet = retriever.Snippet(printable(text), nil, s.snippet, "", "")
		return described, err
	}
	explanation, err := s.retriever.Explain(ctx, q.text, found.ID, s.options)
	if err != nil {
		return described, err
	}
	if s.snippet > 0 {
		before, after := s.marks()
		described.Snippet = retriever.Snippet(printable(explanation.Text), explanation.Marks(), s.snippet, before, after)
	}
	if s.explain {
		for _, row := range explanation.Rows {
			described.Explanation = append(described.Explanation, tokenMatch{row.Token, row.MatchToken, row.Similarity})
		}
	}
	return described, nil
}

// marks returns what stands around matching words: the switches for bold type
// where somebody reads the table on a terminal.
func (s *search) marks() (before, after string) {
	if s.format.value == "table" && styled(s.stdout) {
		return "\x1b[1m", "\x1b[0m"
	}
	return "", ""
}

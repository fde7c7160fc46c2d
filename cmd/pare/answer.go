package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/pare-search/pare/retriever"
)

// begin writes what stands before the first answer.
func (s *search) begin() error {
	if s.format.value != "tsv" {
		return nil
	}
	return table{columns: append([]column{{name: "query"}}, s.columns()...)}.writeTSV(s.stdout)
}

// print writes an answer. In a table, a headline tells the queries of stdin
// apart.
func (s *search) print(a answer, several bool) error {
	defer func() { s.printed++ }()
	switch s.format.value {
	case "json":
		encoder := json.NewEncoder(s.stdout)
		encoder.SetEscapeHTML(false)
		return encoder.Encode(a)
	case "tsv":
		rows := make([][]string, len(a.Hits))
		for i, h := range a.Hits {
			score := strconv.FormatFloat(float64(h.Score), 'f', -1, 32)
			rows[i] = append([]string{a.ID}, s.row(h, score)...)
		}
		return writeTSVRows(s.stdout, rows)
	}
	if s.printed > 0 {
		fmt.Fprintln(s.stdout)
	}
	switch {
	case several && s.embeddings != "":
		fmt.Fprintf(s.stdout, "query %s\n", printable(a.ID))
	case several:
		fmt.Fprintf(s.stdout, "query %s: %s\n", printable(a.ID), printable(a.Query))
	}
	hits := table{columns: s.columns()}
	for _, h := range a.Hits {
		hits.rows = append(hits.rows, s.row(h, fmt.Sprintf("%.4f", h.Score)))
	}
	tables := []table{hits}
	if s.explain {
		tables = []table{tokensTable(a.Tokens), hits, matchesTable(a.Hits)}
	}
	for i, t := range tables {
		if i > 0 {
			fmt.Fprintln(s.stdout)
		}
		if err := t.writeText(s.stdout); err != nil {
			return err
		}
	}
	return nil
}

// columns are those of the hits.
func (s *search) columns() []column {
	columns := []column{{"rank", true}, {"score", true}, {name: "id"}}
	if s.snippet > 0 {
		columns = append(columns, column{name: "snippet"})
	}
	return columns
}

// row is a line of the table of hits.
func (s *search) row(h hit, score string) []string {
	row := []string{strconv.Itoa(h.Rank), score, printable(h.ID)}
	if s.snippet > 0 {
		row = append(row, orDash(h.Snippet))
	}
	return row
}

// tokensTable says what each query token was used for.
func tokensTable(tokens []queryToken) table {
	t := table{columns: []column{{name: "query token"}, {name: "candidates"}, {name: "scores"}, {name: "why"}}}
	for _, token := range tokens {
		looks, scores := "dropped", "no"
		if token.Kept {
			looks = "kept"
		}
		if token.Scored {
			scores = "yes"
		}
		t.rows = append(t.rows, []string{orDash(printable(token.Token)), looks, scores, token.Reason})
	}
	return t
}

// matchesTable says for each hit what the query tokens matched. Rank and id stand
// on the first line of a hit only.
func matchesTable(hits []hit) table {
	t := table{columns: []column{{"rank", true}, {name: "id"}, {name: "query token"}, {"similarity", true}, {name: "best match"}}}
	for _, h := range hits {
		rank, id := strconv.Itoa(h.Rank), printable(h.ID)
		for _, m := range h.Explanation {
			t.rows = append(t.rows, []string{
				rank, id, orDash(printable(m.Token)), fmt.Sprintf("%.4f", m.Similarity), orDash(printable(m.Match)),
			})
			rank, id = "", ""
		}
	}
	return t
}

// orDash returns text or the sign for a value that does not exist.
func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// newSearchStats puts the work into the form that is printed as JSON.
func newSearchStats(s retriever.Stats) searchStats {
	return searchStats{
		Plan:            s.Plan.String(),
		Rows:            s.Rows,
		RowsKept:        s.RowsKept,
		CellsProbed:     s.CellsProbed,
		Postings:        s.Postings,
		Candidates:      s.Candidates,
		DocumentsScored: s.DocumentsScored,
		Refined:         s.DocumentsRefined,
		TokenPairs:      s.TokenPairs,
		Bytes:           s.Bytes,
		EncodeMS:        milliseconds(s.EncodeTime),
		PruneMS:         milliseconds(s.PruneTime),
		ScanMS:          milliseconds(s.ScanTime),
		ProbeMS:         milliseconds(s.ProbeTime),
		RankMS:          milliseconds(s.RankTime),
		ScoreMS:         milliseconds(s.ScoreTime),
		RefineMS:        milliseconds(s.RefineTime),
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// statsText puts the work into words, in the order in which it was done.
func (s *search) statsText(a answer) string {
	work := a.Stats
	return fmt.Sprintf(`query %s, plan %s: %d of %d rows kept, %d cells probed, %d postings, %d candidates, %d of %d documents scored, %d refined, %d token pairs, %s of codes
encode %.3f ms, prune %.3f ms, scan %.3f ms, probe %.3f ms, rank %.3f ms, score %.3f ms, refine %.3f ms`,
		printable(a.ID), work.Plan, work.RowsKept, work.Rows, work.CellsProbed, work.Postings, work.Candidates,
		work.DocumentsScored, s.retriever.Snapshot().LiveDocuments(), work.Refined, work.TokenPairs, byteSize(work.Bytes),
		work.EncodeMS, work.PruneMS, work.ScanMS, work.ProbeMS, work.RankMS, work.ScoreMS, work.RefineMS)
}

package retriever_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/pare-search/pare/encoder"
	"github.com/pare-search/pare/retriever"
)

func span(start, end int) encoder.Span { return encoder.Span{Start: start, End: end} }

// places returns where the words stand in the text, in their order.
func places(text string, words ...string) []encoder.Span {
	var spans []encoder.Span
	for _, word := range words {
		start := strings.Index(text, word)
		spans = append(spans, encoder.Span{Start: start, End: start + len(word)})
	}
	return spans
}

func TestSnippet(t *testing.T) {
	const fable = "Once upon a time a fox saw grapes high on a vine, and however it leapt it could not reach them."
	for _, test := range []struct {
		name, text string
		marks      []encoder.Span
		width      int
		want       string
	}{
		{"no text", "", nil, 80, ""},
		{"white space", " \n\t ", nil, 80, ""},
		{"all of it", "a fox", places("a fox", "fox"), 80, "a [fox]"},
		{"no marks", fable, nil, 21, "Once upon a time a …"},
		{"at the end of a word", fable, nil, 22, "Once upon a time a fox …"},
		{"in the middle", fable, places(fable, "grapes"), 24, "… saw [grapes] high on a …"},
		{"at the end", fable, places(fable, "them"), 24, "… it could not reach [them]."},
		{"most marks win", fable, places(fable, "fox", "leapt", "reach"), 40, "… it [leapt] it could not [reach] them."},
		{"the earliest of equals", fable, places(fable, "them", "Once"), 12, "[Once] upon a …"},
		{"marks in any order, twice", fable, places(fable, "time", "Once", "time"), 18, "[Once] upon a [time] a …"},
		{"overlapping marks", "grapevine", []encoder.Span{span(0, 5), span(3, 9)}, 80, "[grapevine]"},
		{"neighbouring marks", "grapevine", []encoder.Span{span(0, 5), span(5, 9)}, 80, "[grape][vine]"},
		{"folded", "  a\t fox\n\n saw  ", places("  a\t fox\n\n saw  ", "fox\n\n saw"), 80, "a [fox saw]"},
		{"white space around a mark", "a fox saw", []encoder.Span{span(1, 6)}, 80, "a [fox] saw"},
		{"an empty mark", "a fox saw", []encoder.Span{span(2, 2)}, 80, "a fox saw"},
		{"marks outside", "a fox", []encoder.Span{span(-1, 1), span(2, 6), span(4, 3), span(9, 12)}, 80, "a fox"},
		{"inside a rune", "schöne Füße", []encoder.Span{span(4, 5)}, 80, "sch[ö]ne Füße"},
		{"a mark that does not fit", "incomprehensibilities", []encoder.Span{span(0, 21)}, 6, "incomp …"},
		{"nothing fits", "über", nil, 1, "…"},
		{"no width", "a fox", places("a fox", "fox"), 0, "…"},
		{"a negative width", "a fox", places("a fox", "fox"), -5, "…"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := retriever.Snippet(test.text, test.marks, test.width, "[", "]"); got != test.want {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}

// checkSnippet checks what holds for every text, marks and width.
func checkSnippet(t *testing.T, text string, marks []encoder.Span, width int) {
	t.Helper()
	const before, after = "\x01", "\x02" // in no text
	got := retriever.Snippet(text, marks, width, before, after)
	fail := func(why string) {
		t.Helper()
		t.Fatalf("%s:\nSnippet(%q, %v, %d) = %q", why, text, marks, width, got)
	}
	if !utf8.ValidString(got) {
		fail("not UTF-8")
	}
	plain := strings.NewReplacer(before, "", after, "").Replace(got)
	if plain != strings.Join(strings.Fields(plain), " ") {
		fail("white space is not folded")
	}
	if strings.Count(got, before) != strings.Count(got, after) {
		fail("marks are not closed")
	}
	if !utf8.ValidString(text) {
		return // bytes became replacement characters
	}
	folded := strings.Join(strings.Fields(text), " ")
	piece := strings.TrimSpace(strings.TrimSuffix(strings.TrimPrefix(plain, "…"), "…"))
	if !strings.Contains(folded, piece) {
		fail("it is no piece of the text")
	}
	if len(piece) > max(width, 0) {
		fail("too long")
	}
	// One mark that fits is shown whole.
	if len(marks) == 1 && marks[0].Start >= 0 && marks[0].Start < marks[0].End && marks[0].End <= len(text) && marks[0].End-marks[0].Start <= width {
		marked := text[marks[0].Start:marks[0].End]
		want := before + strings.Join(strings.Fields(marked), " ") + after
		if strings.TrimSpace(marked) != "" && utf8.ValidString(marked) && !strings.Contains(got, want) {
			fail("the mark is not shown")
		}
	}
}

func TestSnippetProperties(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	alphabet := []string{"a", "b", "words", "é", "語", "🦊", " ", " ", " ", "\n", "\u00a0", "\u2003", ".", strings.Repeat("x", 50)}
	for range 20_000 {
		var b strings.Builder
		for range random.IntN(60) {
			b.WriteString(alphabet[random.IntN(len(alphabet))])
		}
		text := b.String()
		marks := make([]encoder.Span, random.IntN(4))
		for i := range marks {
			start := random.IntN(len(text) + 1)
			marks[i] = encoder.Span{Start: start, End: min(start+random.IntN(12), len(text))}
		}
		checkSnippet(t, text, marks, random.IntN(100)-2)
	}
}

// TestSnippetEllipsis checks that ellipses stand where text is missing and
// nowhere else.
func TestSnippetEllipsis(t *testing.T) {
	const text = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda omega"
	for start := range len(text) {
		for width := range len(text) + 2 {
			got := retriever.Snippet(text, []encoder.Span{{Start: start, End: start + 1}}, width, "", "")
			piece := strings.TrimSpace(strings.Trim(got, "…"))
			if piece == "" {
				continue // there is no telling where
			}
			if strings.HasPrefix(got, "…") == strings.HasPrefix(text, piece) && len(piece) > 6 {
				t.Fatalf("mark at %d, width %d: %q", start, width, got)
			}
			if strings.HasSuffix(got, "…") == strings.HasSuffix(text, piece) && len(piece) > 6 {
				t.Fatalf("mark at %d, width %d: %q", start, width, got)
			}
		}
	}
}

func FuzzSnippet(f *testing.F) {
	f.Add("a fox saw grapes", 2, 5, 8)
	f.Add("schöne  Füße\n", 4, 5, 3)
	f.Add("\xff\xfe\x80 \x80", 1, 3, 2)
	f.Add("語語語", 1, 2, 4)
	f.Fuzz(func(t *testing.T, text string, start, end, width int) {
		if strings.ContainsAny(text, "\x01\x02…") {
			t.Skip()
		}
		checkSnippet(t, text, []encoder.Span{{Start: start, End: end}}, width)
		checkSnippet(t, text, []encoder.Span{{Start: start, End: end}, {Start: end, End: width}}, width/2)
	})
}

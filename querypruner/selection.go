package querypruner

import "fmt"

// Selection says what each row of a query is used for, and why.
type Selection struct {
	// Probe lists the rows that look for candidates, ascending; nil means all
	// of them.
	Probe []int
	// Score lists the rows that count in a document's score, ascending; nil
	// means all of them.
	Score []int
	// Rows explains the choice, one entry per query row.
	Rows []Row
}

// Row explains what became of one query row.
type Row struct {
	Kept   bool
	Reason Reason
	// Rank is the row's place in the order of usefulness, 1 for the best; 0
	// where the strategy has no order.
	Rank int
	// Frequency is the number the rank came from: collection frequency,
	// document frequency or cell population. It is -1 where the strategy
	// looks at none.
	Frequency int64
}

// Reason tells why a row was kept or dropped; Row.String puts it in words.
type Reason uint8

// The reasons, with examples of their words.
const (
	All              Reason = iota // "all rows look"
	Useful                         // kept: "rank 2, frequency 17"
	LessUseful                     // dropped: "rank 9, frequency 5120"
	Unseen                         // either, by its rank: "rank 1, not in the collection"
	SpecialToken                   // dropped: "special token"
	StopWord                       // dropped: "in 4211 documents, too many"
	OnlyOne                        // "kept, since a query needs one row"
	NeverOccurs                    // "not in the collection, dropped"
	OccursModerately               // kept: "in 17 documents"
	NotSpecial                     // kept: "no special token"
)

// String explains the row in a few words.
func (r Row) String() string {
	switch r.Reason {
	case Useful, LessUseful:
		if r.Frequency < 0 {
			return fmt.Sprintf("rank %d", r.Rank)
		}
		return fmt.Sprintf("rank %d, frequency %d", r.Rank, r.Frequency)
	case Unseen:
		if r.Rank == 0 {
			return "not in the collection"
		}
		return fmt.Sprintf("rank %d, not in the collection", r.Rank)
	case NeverOccurs:
		return "not in the collection, dropped"
	case SpecialToken:
		return "special token"
	case NotSpecial:
		return "no special token"
	case StopWord:
		return fmt.Sprintf("in %d documents, too many", r.Frequency)
	case OccursModerately:
		return fmt.Sprintf("in %d documents", r.Frequency)
	case OnlyOne:
		return "kept, since a query needs one row"
	default:
		return "all rows look"
	}
}

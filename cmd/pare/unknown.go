package main

import (
	"fmt"
	"strings"
)

// leaveOut says how words that match by accident are left out of a search.
const leaveOut = "such words match by accident; --prune dropunseen+scorekept leaves them out"

// unknownWords counts queries with words that the collection does not have.
type unknownWords struct {
	asked, queries int
	word, query    string // the first of them, and the query it is in
}

// add counts a query and takes in those words of it that are unknown.
func (u *unknownWords) add(query string, words []string) {
	u.asked++
	if len(words) == 0 {
		return
	}
	if u.queries++; u.queries == 1 {
		u.word, u.query = words[0], query
	}
}

// String says how many queries there are of the kind, "" where there are none.
func (u *unknownWords) String() string {
	if u.queries == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %d queries have words that are not in the collection, such as %s in query %s; %s",
		u.queries, u.asked, printable(u.word), u.query, leaveOut)
}

// unknownIn says which words of one query, of so many, are not in the collection.
func unknownIn(words []string, of int) string {
	switch {
	case len(words) == 0:
		return ""
	case len(words) == of:
		return "no word of the query is in the collection: what is found is found by accident"
	default:
		return fmt.Sprintf("not in the collection: %s; %s", printable(strings.Join(words, ", ")), leaveOut)
	}
}

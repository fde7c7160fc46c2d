package parebleve

import (
	"slices"

	"github.com/blevesearch/bleve/v2/search/query"
)

// restriction is what the hits of a Query must pass because of the clauses
// that it stands beside: bleve drops the others after they were scored, and a
// Query whose best documents are dropped has no more to offer. So it looks for
// documents that pass in the first place.
type restriction struct {
	must, mustNot []query.Query
}

// restrictions returns the restrictions of the Query values in q.
func restrictions(q query.Query) map[*Query]restriction {
	found := make(map[*Query]restriction)
	restrict(q, restriction{}, found)
	return found
}

// restrict notes the restrictions of the Query values in q, which is itself
// restricted by r.
func restrict(q query.Query, r restriction, found map[*Query]restriction) {
	switch q := q.(type) {
	case *Query:
		if _, twice := found[q]; twice {
			r = restriction{} // it stands in several places
		}
		found[q] = r
	case *query.ConjunctionQuery:
		restrictEach(q.Conjuncts, r, found)
	case *query.DisjunctionQuery:
		for _, sub := range q.Disjuncts {
			restrict(sub, r, found)
		}
	case *query.BooleanQuery:
		restrictBoolean(q, r, found)
	case *query.CustomFilterQuery:
		restrict(q.Query, r, found)
	case *query.CustomScoreQuery:
		restrict(q.Query, r, found)
	}
}

// restrictEach restricts clauses that must all match by each other.
func restrictEach(clauses []query.Query, r restriction, found map[*Query]restriction) {
	for i, clause := range clauses {
		if hasQuery(clause) {
			others := slices.Delete(slices.Clone(clauses), i, i+1)
			restrict(clause, restriction{append(slices.Clone(r.must), plain(others)...), r.mustNot}, found)
		}
	}
}

func restrictBoolean(q *query.BooleanQuery, r restriction, found map[*Query]restriction) {
	r = restriction{slices.Clone(r.must), slices.Clone(r.mustNot)}
	r.must = append(r.must, plain([]query.Query{q.Filter})...)
	r.mustNot = append(r.mustNot, plain([]query.Query{q.MustNot})...)
	must := []query.Query{q.Must}
	if all, ok := q.Must.(*query.ConjunctionQuery); ok {
		must = all.Conjuncts
	}
	restrictEach(must, r, found)
	r.must = append(r.must, plain(must)...)
	restrict(q.Filter, r, found)
	restrict(q.Should, r, found)
}

// plain returns the clauses that restrict others: those that there are, that do
// not match all, and that do not themselves depend on which documents are looked
// for.
func plain(clauses []query.Query) []query.Query {
	return slices.DeleteFunc(slices.Clone(clauses), func(q query.Query) bool {
		_, all := q.(*query.MatchAllQuery)
		return q == nil || all || hasQuery(q)
	})
}

// hasQuery tells whether a query of this package is among the parts of q.
func hasQuery(q query.Query) bool {
	switch q := q.(type) {
	case *Query, *Fusion:
		return true
	case *query.ConjunctionQuery:
		return slices.ContainsFunc(q.Conjuncts, hasQuery)
	case *query.DisjunctionQuery:
		return slices.ContainsFunc(q.Disjuncts, hasQuery)
	case *query.BooleanQuery:
		return slices.ContainsFunc([]query.Query{q.Must, q.Should, q.MustNot, q.Filter}, hasQuery)
	case *query.CustomFilterQuery:
		return hasQuery(q.Query)
	case *query.CustomScoreQuery:
		return hasQuery(q.Query)
	}
	return false
}

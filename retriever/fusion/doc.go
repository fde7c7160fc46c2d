// Package fusion combines ranked lists of the same collection into one, for
// example the list of a BM25 index and the list of a MaxSim search.
//
// Three rules are offered. ReciprocalRank looks at ranks only, so it needs no
// comparable scores and forgets how far apart they were. StandardisedSum adds
// z-scores and MinMax adds scores stretched to 0..1; both keep the distances
// and are therefore best on lists of similar length (the same k everywhere).
//
// Every function is pure: it leaves its arguments alone, and the same lists
// give the same result whatever order their hits came in. Lists need not be
// sorted. Where an id occurs twice in one list its best score counts. Results
// are ordered by descending score, equal scores by descending id, which is how
// trec_eval breaks ties.
package fusion

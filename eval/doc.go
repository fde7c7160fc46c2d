// Package eval measures rankings against relevance judgements with the
// conventions of trec_eval, and compares rankings with each other. It knows
// nothing of the search engine that made them.
//
// Conventions, checked against trec_eval 9 and ir_measures (testdata/README.md):
//
//   - Results are ranked by score, highest first. Scores are compared after
//     rounding to float32, as trec_eval stores them, and equal scores are
//     ranked by document id, descending. A rank column is never looked at.
//   - Means are taken over every query that has judgements (trec_eval -c). A
//     judged query without results counts as zero, and so does a judged query
//     for which nothing relevant is known. A query without judgements is left
//     out. NumRet and NumRel are totals, not means.
//   - A document is relevant from grade 1 on; "P(rel=2)@5" raises the level.
//     Unjudged documents and negative grades count as not relevant.
//   - nDCG has linear gain (the grade itself), the discount log2(rank+1) and an
//     ideal ranking made of all judged documents of the query, retrieved or not.
//   - Judged@k divides by the number of results when there are fewer than k;
//     P@k divides by k always.
//
// ir_measures hands RR@k and Judged@k to other programs than trec_eval, which
// rank equal scores by ascending id; every measure here uses one order. Systems
// with coarse scores tie often: evaluate with both values of TieOrder to see
// how much of a figure hangs on the order of ids.
//
// All functions are pure and safe for concurrent use.
package eval

// Package tune finds the cheapest setting that provably costs nothing that
// matters, and says what exactly is proved.
//
// A search is pruned by many settings at once, and the cheapest one that looks
// harmless on some queries owes it in part to these queries. So the queries are
// split in two halves by seed:
//
//	tuning half   every setting is measured; those that no other one beats in
//	              both safety and cost form a path from the safest to the cheapest
//	testing half  the settings of the path are tested in this order, each at the
//	              full level, up to the first that fails
//
// The last one that passed is chosen. Because the order was fixed before the
// testing half was looked at, the probability that any setting of the path passes
// that should not is at most 1 - confidence, however many settings were tried
// (fixed-sequence testing; Angelopoulos et al., "Learn then test", arXiv
// 2110.01052; precedent for pruned ranking: arXiv 2205.09638).
//
// There are two sorts of Target. That of recall compares with the first results
// of the unpruned search and needs no judgements: the loss of a query is the share
// of them that is missing, its mean is bounded by tests that hold for every number
// of queries. Targets of quality compare the means of a measure such as nDCG@10, by
// t-tests on 30 queries or more. These hold for means that are near normal. A setting
// that ruins one query in fifty and changes no other can pass: of 100 queries that do
// not show it, in 13 of 100 times at a level of 5 %, of 150 in 9. No test can tell
// rarer ruin from none without hundreds of queries. Where that matters, a target of
// recall is the safer promise.
//
// A Certificate states the outcome, for a configuration file. It is a promise
// about queries like the sample: drawn from the same population, on the same
// index. It says nothing of other queries, and with probability 1 - confidence
// it is wrong.
//
// A test needs queries. Each step of a path says how many would show the target
// with the usual power; where they are missing, there are queries made of the
// documents' own sentences (package eval/knownitem) for targets of recall, or
// several collections at once: their queries are pooled, those of quality in a
// stratified test in which each collection counts the same.
package tune

// Package stats compares two systems query by query: is the second worse than
// the first, better, or the same for every practical purpose?
//
// A test that finds no difference has not shown that there is none. The
// question "may these tokens be dropped?" asks for equivalence, and TOST
// answers it: two one-sided t-tests reject that the mean difference lies below
// -margin and above +margin, at 5 % each. That is the same as asking whether
// the 90 % confidence interval of the mean difference lies inside the margin,
// so a plot of intervals shows the test. The margin is a share of the
// baseline's mean, chosen before looking.
//
// Verdict follows from the interval and the margin:
//
//	≈  equivalent  the interval lies inside ±margin
//	▼  worse       not equivalent, and the interval lies below zero
//	▲  better      not equivalent, and the interval lies above zero
//	?  undecided   anything else: more queries are needed
//
// An interval inside the margin that does not hold zero is a real difference,
// but smaller than what was declared to matter; it is called equivalent. With
// thousands of queries most real differences are of that sort.
//
// Where all differences are equal, as between systems that agree on every
// query, the interval has no width; from fewer than 10 such queries nothing is
// concluded.
//
// To promise something of the queries to come there are tests of losses
// (RiskTest) and of ratios of means (Ratio), for one collection or several, and
// the number of queries that a promise needs. They hold for settings that were
// chosen on other queries than those tested.
//
// All functions are deterministic - the resampling ones by their seed - and
// safe for concurrent use.
package stats

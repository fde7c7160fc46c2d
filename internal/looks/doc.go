// Package looks measures, for tests, how much work is done between two looks at a
// context: as long as that takes, work goes on after its context has ended.
//
// It counts processor time, where the system tells it, and not the time on the
// clock, so that other programs do not matter.
package looks

//go:build race

package looks

const slowdown = 20

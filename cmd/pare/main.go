// Pare searches texts with one vector per token (late interaction, MaxSim) and
// shows how much of a query can be pruned without losing quality.
//
// Results go to stdout, everything else to stderr. Exit codes: 0 done, 1 failure,
// 2 usage, 3 a quality gate was not met. Run "pare help" for the commands.
package main

import "os"

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

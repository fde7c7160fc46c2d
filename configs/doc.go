// Package configs turns a configuration file, the PARE_* environment and
// command-line flags into one typed Config.
//
// A setting is taken from the first of these that has it:
//
//	flag  >  environment  >  file  >  default
//
// The struct Config is the only list of settings: keys, documentation, defaults,
// environment names, flags and the sample file pare.yaml are derived from it.
// Nothing is guessed: unknown keys, unknown PARE_<SECTION>_* variables and values
// of the wrong type are errors that name their origin and the key.
//
// A file that "pare tune" wrote has a section certificate besides, which is no
// setting: Loaded.Certificate. A Watcher keeps up with a file that changes while
// searches run.
//
// This package is the edge where viper stops. The packages that do the work take
// plain option structs, which the methods of Config fill in (options.go); only
// cmd/pare imports configs. A Loaded value is never
// changed after Load and is safe for concurrent use.
package configs

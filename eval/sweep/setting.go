package sweep

import (
	"encoding/json"
	"slices"
	"strings"
)

// Assignment gives a configuration key a value, as "search.budget" the value
// "2000". Values are text as the environment writes them.
type Assignment struct{ Key, Value string }

// Setting is a point of the space that sweeps and tuners search: the keys that
// differ from the configuration they began with, in the order of their names.
// Those that begin with "search." can change from query to query, all others
// shape the index. A Setting is not changed once made; the empty one is the
// configuration itself, and With makes others of it.
type Setting []Assignment

// With returns s with one more assignment, in place of any of the same key.
func (s Setting) With(key, value string) Setting {
	i, found := slices.BinarySearchFunc(s, key, func(a Assignment, key string) int { return strings.Compare(a.Key, key) })
	out := slices.Clone(s)
	if found {
		out[i].Value = value
		return out
	}
	return slices.Insert(out, i, Assignment{key, value})
}

// Value returns the value of a key and whether the setting assigns one.
func (s Setting) Value(key string) (value string, ok bool) {
	for _, a := range s {
		if a.Key == key {
			return a.Value, true
		}
	}
	return "", false
}

// searchSection begins the keys that shape no index.
const searchSection = "search."

// Index returns the assignments that shape the index: settings with the same
// ones can share it.
func (s Setting) Index() Setting { return s.only(false) }

// Search returns the assignments that can change from query to query.
func (s Setting) Search() Setting { return s.only(true) }

func (s Setting) only(search bool) Setting {
	var out Setting
	for _, a := range s {
		if strings.HasPrefix(a.Key, searchSection) == search {
			out = append(out, a)
		}
	}
	return out
}

// String writes the assignments with spaces between them, as in
// "search.budget=2000 search.prune=icf:4". It tells settings apart, so it serves
// as their name in files.
func (s Setting) String() string {
	parts := make([]string, len(s))
	for i, a := range s {
		parts[i] = a.Key + "=" + a.Value
	}
	return strings.Join(parts, " ")
}

// MarshalJSON writes an object of keys and values.
func (s Setting) MarshalJSON() ([]byte, error) {
	object := make(map[string]string, len(s))
	for _, a := range s {
		object[a.Key] = a.Value
	}
	return json.Marshal(object)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (s *Setting) UnmarshalJSON(data []byte) error {
	var object map[string]string
	if err := json.Unmarshal(data, &object); err != nil {
		return err
	}
	*s = nil
	for key, value := range object {
		*s = s.With(key, value)
	}
	return nil
}

// Axis is a key and the values that it takes.
type Axis struct {
	Key    string
	Values []string
}

// Grid spans settings: every combination of the values of its axes.
type Grid []Axis

// Settings returns the combinations, the last axis changing fastest. Of several
// grids that meet in the same setting, take each setting once (Unique).
func (g Grid) Settings() []Setting {
	settings := []Setting{nil}
	for _, axis := range g {
		var next []Setting
		for _, s := range settings {
			for _, value := range axis.Values {
				next = append(next, s.With(axis.Key, value))
			}
		}
		settings = next
	}
	return settings
}

// Unique returns the settings in their order without repetitions.
func Unique(settings []Setting) []Setting {
	seen := make(map[string]bool, len(settings))
	var unique []Setting
	for _, s := range settings {
		if name := s.String(); !seen[name] {
			seen[name] = true
			unique = append(unique, s)
		}
	}
	return unique
}

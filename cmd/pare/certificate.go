package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/pare-search/pare/configs"
	"github.com/pare-search/pare/index"
)

// checkCertificate refuses a tuned file on another index than the one it was
// tuned on.
func (a *app) checkCertificate(loaded *configs.Loaded, dir string, snapshot *index.Snapshot) error {
	if loaded.Certificate == nil {
		return nil
	}
	if err := loaded.Certificate.Check(snapshot.Fingerprint(), snapshot.LiveDocuments()); err != nil {
		return withHint(fmt.Errorf("%s: --index %s: %w", a.configFile, dir, err),
			`"pare tune" makes a certificate for this index; without the section certificate the settings are used as they are`)
	}
	return nil
}

// inForce is a value that a run searches with, and what says so.
type inForce struct{ value, origin string }

// noteOverruled tells why the promise of a certificate does not hold for a run: by
// which settings it differs from what is certified. They are those that are loaded
// but for the changed ones.
func (a *app) noteOverruled(stderr io.Writer, loaded *configs.Loaded, changed map[string]inForce) {
	if loaded.Certificate == nil {
		return
	}
	settings := make(map[string]inForce)
	for _, k := range configs.Keys() {
		settings[k.Name] = inForce{settingText(k.Value(loaded.Config)), string(loaded.Origin(k.Name))}
		if c, ok := changed[k.Name]; ok && c.value != settings[k.Name].value {
			settings[k.Name] = c
		}
	}
	var differ []string
	for _, assignment := range loaded.Certificate.Overruled(func(key string) string { return settings[key].value }) {
		key, certified, _ := strings.Cut(assignment, "=")
		differ = append(differ, fmt.Sprintf("%s is %s (%s), not %s", key, settings[key].value, settings[key].origin, certified))
	}
	if len(differ) > 0 {
		a.note(stderr, "%s: the certificate does not cover this run: %s", a.configFile, strings.Join(differ, "; "))
	}
}

package main

import (
	"fmt"
	"io"

	"github.com/pare-search/pare/configs"
	"github.com/pare-search/pare/index"
)

// checkCertificate refuses a tuned file on another index than the one it was
// tuned on, and tells when its promise does not hold for other reasons.
func (a *app) checkCertificate(stderr io.Writer, loaded *configs.Loaded, dir string, snapshot *index.Snapshot) error {
	certificate := loaded.Certificate
	if certificate == nil {
		return nil
	}
	if err := certificate.Check(snapshot.Fingerprint(), snapshot.LiveDocuments()); err != nil {
		return withHint(fmt.Errorf("%s: --index %s: %w", a.configFile, dir, err),
			`"pare tune" makes a certificate for this index; without the section certificate the settings are used as they are`)
	}
	values := make(map[string]string)
	for _, k := range configs.Keys() {
		values[k.Name] = settingText(k.Value(loaded.Config))
	}
	for _, assignment := range certificate.Overruled(func(key string) string { return values[key] }) {
		a.note(stderr, "%s: the certificate is for %s and does not hold", a.configFile, assignment)
	}
	return nil
}

package configs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/viper"
	"go.yaml.in/yaml/v3"

	"github.com/pare-search/pare/eval/tune"
)

// certificateSection is the one section of a file that holds no settings.
const certificateSection = "certificate"

func inCertificate(key string) bool {
	return key == certificateSection || strings.HasPrefix(key, certificateSection+".")
}

// readCertificate returns the certificate of a file, nil where it has none.
func readCertificate(v *viper.Viper, origin Origin) (*tune.Certificate, error) {
	if !v.IsSet(certificateSection) {
		return nil, nil
	}
	var c tune.Certificate
	err := v.UnmarshalKey(certificateSection, &c, strict, func(config *mapstructure.DecoderConfig) { config.ErrorUnused = true })
	if err == nil {
		err = c.Validate()
	}
	if err == nil {
		return &c, nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return nil, withOrigin(fmt.Errorf("%w: %w", ErrValue, oneLine(err)), certificateSection, origin)
	}
	var faults []error
	for _, fault := range joined.Unwrap() {
		faults = append(faults, withOrigin(fmt.Errorf("%w: %w", ErrValue, fault), certificateSection, origin))
	}
	return nil, errors.Join(faults...)
}

const certificateDoc = `
# What is promised of a search of the index named below with the settings of this
# file, for queries like those it was made with: on average they meet the target.
# The promise is wrong with a probability of 1 - confidence at most. It ends with any
# change of the index or of the settings under "certified".
#   baseline     the settings of the unpruned search
#   method       the test; p is its p value
#   queries      tested; made: queries that were made of documents; tuned: queries
#                by which settings were chosen, of so many settings
#   kept, bound  recall of the unpruned results, or the share of the unpruned mean:
#                as measured on the tested queries, and at least, for this setting
#                alone; what is promised at the stated confidence is the target
# A t-test relies on means that are near normal: it may miss that a rare query is ruined.
`

// WriteTuned writes c as WriteYAML does, with a certificate.
func WriteTuned(w io.Writer, c Config, certificate tune.Certificate) error {
	var b bytes.Buffer
	if err := WriteYAML(&b, c); err != nil {
		return err
	}
	b.WriteString(certificateDoc)
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	if err := encoder.Encode(map[string]tune.Certificate{certificateSection: certificate}); err != nil {
		return fmt.Errorf("configs: %s: %w", certificateSection, err)
	}
	_, err := w.Write(b.Bytes())
	return err
}

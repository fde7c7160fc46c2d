package configs

import (
	"bytes"
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"
)

// WriteYAML writes c as a configuration file in which every key is explained. The
// sample file pare.yaml of this folder is WriteYAML(w, Default()).
func WriteYAML(w io.Writer, c Config) error {
	var b bytes.Buffer
	for i, s := range sections() {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "# %s\n%s:\n", s.doc, s.name)
		for _, k := range s.keys {
			var node yaml.Node
			if err := node.Encode(k.Value(c)); err != nil {
				return fmt.Errorf("configs: %s: %w", k.Name, err)
			}
			node.Style |= yaml.FlowStyle // lists on one line
			value, err := yaml.Marshal(&node)
			if err != nil {
				return fmt.Errorf("configs: %s: %w", k.Name, err)
			}
			fmt.Fprintf(&b, "  # %s\n  %s: %s", k.Doc, k.Name[len(s.name)+1:], value)
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

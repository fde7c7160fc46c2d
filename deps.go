//go:build deps

package pare

import (
	_ "github.com/blevesearch/bleve/v2"
	_ "github.com/blevesearch/mmap-go"
	_ "github.com/fsnotify/fsnotify"
	_ "github.com/go-viper/mapstructure/v2"
	_ "github.com/gofrs/flock"
	_ "github.com/google/go-cmp/cmp"
	_ "github.com/klauspost/compress/zstd"
	_ "github.com/kljensen/snowball"
	_ "github.com/blevesearch/snowballstem/english"
	_ "github.com/RoaringBitmap/roaring/v2"
	_ "github.com/rogpeppe/go-internal/testscript"
	_ "github.com/schollz/progressbar/v3"
	_ "github.com/spf13/cobra"
	_ "github.com/spf13/viper"
	_ "github.com/viterin/vek/vek32"
	_ "go.yaml.in/yaml/v3"
	_ "golang.org/x/sync/errgroup"
	_ "golang.org/x/term"
	_ "gonum.org/v1/gonum/mat"
)

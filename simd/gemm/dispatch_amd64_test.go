//go:build !noasm

package gemm

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestRequirements compares what the generator found that each kernel needs
// with what its level is chosen for; see [simd.Level].
func TestRequirements(t *testing.T) {
	source, err := os.ReadFile("kernels_amd64.s")
	if err != nil {
		t.Fatal(err)
	}
	avx2 := []string{"CMOV", "AVX", "AVX2", "FMA3"}
	offered := map[string][]string{
		"AVX2":   avx2,
		"AVX512": append(avx2, "AVX512F", "AVX512BW", "AVX512DQ", "AVX512VL", "AVX512VNNI"),
	}
	kernel := regexp.MustCompile(`// func [a-zA-Z]+(AVX\d+)\(.*\n// Requires: (.*)\n`)
	found := kernel.FindAllStringSubmatch(string(source), -1)
	if want := strings.Count(string(source), "\nTEXT "); len(found) != want || want == 0 {
		t.Errorf("%d kernels name their level and what they need, of %d", len(found), want)
	}
	for _, f := range found {
		for need := range strings.SplitSeq(f[2], ", ") {
			if !slices.Contains(offered[f[1]], need) {
				t.Errorf("a kernel of level %s needs %s", f[1], need)
			}
		}
	}
}

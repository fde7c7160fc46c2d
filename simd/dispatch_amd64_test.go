//go:build !noasm

package simd

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestRequirements compares what the generator found that each kernel needs
// with what its level is chosen for.
func TestRequirements(t *testing.T) {
	source, err := os.ReadFile("kernels_amd64.s")
	if err != nil {
		t.Fatal(err)
	}
	avx2 := []string{"CMOV", "MMX+", "AVX", "AVX2", "FMA3"}
	offered := map[string][]string{
		"AVX2":   avx2,
		"AVX512": append(avx2, "AVX512F", "AVX512BW", "AVX512DQ", "AVX512VL", "AVX512VNNI", "AVX512VBMI"),
	}
	kernel := regexp.MustCompile(`// func (\w+?\d*(AVX\d+))\(.*\n// Requires: (.*)\n`)
	found := kernel.FindAllStringSubmatch(string(source), -1)
	if want := strings.Count(string(source), "\nTEXT "); len(found) != want || want == 0 {
		t.Errorf("%d kernels name their level and what they need, of %d", len(found), want)
	}
	for _, f := range found {
		for need := range strings.SplitSeq(f[3], ", ") {
			if !slices.Contains(offered[f[2]], need) {
				t.Errorf("%s needs %s", f[1], need)
			}
		}
	}
}

// TestRegisters checks that kernels for AVX2 leave alone the registers that
// only AVX-512 has, of which the generator says nothing.
func TestRegisters(t *testing.T) {
	source, err := os.ReadFile("kernels_amd64.s")
	if err != nil {
		t.Fatal(err)
	}
	more := regexp.MustCompile(`\b([XYZ](1[6-9]|2\d|3[01])|Z\d+|K\d)\b`)
	for kernel := range strings.SplitSeq(string(source), "\nTEXT ") {
		name, _, _ := strings.Cut(kernel, "(SB)")
		if strings.HasSuffix(name, "AVX2") && more.MatchString(kernel) {
			t.Errorf("%s uses %s", name, more.FindString(kernel))
		}
	}
}

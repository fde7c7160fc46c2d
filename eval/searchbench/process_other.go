//go:build !linux

package searchbench

import "time"

// The figures below are known on Linux only; 0 and false say so.

func resetPeakMemory()             {}
func peakMemory() int64            { return 0 }
func processorTime() time.Duration { return 0 }

func freeBytes(string) (int64, bool) { return 0, false }

package searchbench

import (
	"runtime"

	"github.com/pare-search/pare/simd"
	"github.com/pare-search/pare/simd/bench"
)

// Machine is what was measured on.
type Machine struct {
	CPU   string `json:"cpu"`
	CPUs  int    `json:"cpus"` // that goroutines may use at once
	Level string `json:"level"`
	Go    string `json:"go"`
	OS    string `json:"os"`
}

// ThisMachine describes the machine and the kernels in use.
func ThisMachine() Machine {
	return Machine{
		CPU:   bench.CPUName(),
		CPUs:  runtime.GOMAXPROCS(0),
		Level: simd.Level(),
		Go:    runtime.Version(),
		OS:    runtime.GOOS + "/" + runtime.GOARCH,
	}
}

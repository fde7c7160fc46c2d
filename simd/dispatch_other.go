//go:build !amd64 || noasm

package simd

// Without kernels the level is always levelGo, and nothing below is called.

func bestLevel() level { return levelGo }

func floatDots(level, int, *float32, int, *float32, *float32, int, int) {}

func floatMaxima(level, int, *float32, *float32, *float32, int, int, *float32, int) {}

func widen(*byte, *byte, int, int, int) {}

func int8Maxima(int, *byteArgs) {}

func codeMaxima(int, int, *tileArgs) {}

func decodePlanes(int, *tileArgs) {}

func tileMaxima(int, int, *tileArgs) {}

func scanCells(level, int, int, *scanArgs) {}

func blockMaxima(int, *int16, *int16, int, int, int) {}

func above(int, *uint64, *int16, *int16, int, int, int) int { return 0 }

func rankCells(int, int, *byte, int, *byte, int, int, *byte) uint64 { return 0 }

func cellMaxima(int, *float32, *int16, int, *uint32, int, int, *float32) {}

func floatPeak(level) PeakLoop { return PeakLoop{} }

func int8Peak(level) PeakLoop { return PeakLoop{} }

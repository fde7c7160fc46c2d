//go:build !amd64 || noasm

package simd

// Without kernels the level is always levelGo, and nothing below is called.

func bestLevel() level { return levelGo }

func floatDots(level, int, *float32, int, *float32, *float32, int, int) {}

func floatMaxima(level, int, *float32, *float32, *float32, int, int) {}

func bytesDots(level, int, *int32, int, *int8, *int32, *byte, int, int) {}

func wordsDots(int, *int32, int, *int16, *int16, int, int) {}

func codeMaxima(int, int, *tileArgs) {}

func decodePlanes(int, *tileArgs) {}

func tileMaxima(int, int, *tileArgs) {}

func unsign(*byte, *byte, int) {}

func widen(*int16, *byte, int) {}

func scanCells(level, int, int, *scanArgs) {}

func blockMaxima(int, *int16, *int16, int, int, int) {}

func above(int, *uint64, *int16, *int16, int, int, int) int { return 0 }

func rankCells(int, int, *byte, int, *byte, int, int, *byte) uint64 { return 0 }

func cellMaxima(int, *float32, *int16, int, *uint32, int, int, *float32) {}

func floatPeak(level) PeakLoop { return PeakLoop{} }

func int8Peak(level) PeakLoop { return PeakLoop{} }

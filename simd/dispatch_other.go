//go:build !amd64 || noasm

package simd

// Without kernels the level is always levelGo, and nothing below is called.

func bestLevel() level { return levelGo }

func floatDots(level, int, *float32, int, *float32, *float32, int, int) {}

func floatMaxima(level, int, *float32, *float32, *float32, int, int) {}

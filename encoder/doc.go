// Package encoder holds what every encoder of texts to token vectors shares:
// the types Tokens and Encoder, and Func, which makes an Encoder of a plain
// function.
//
// Encoders themselves live in packages below this one: encoder/corpus is the
// default and needs no downloaded weights, encoder/bert runs models of
// sentence-transformers and ColBERT, and encoder/remote asks a service.
package encoder

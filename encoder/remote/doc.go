// Package remote is an encoder.Encoder that asks a service for token vectors
// over HTTP. Four kinds of service are spoken to, each in its own format:
//
//	next-plaid  next-plaid-api, POST /encode
//	jina        the multi-vector API of Jina AI, POST /v1/multi-vector
//	vllm        vLLM with a ColBERT model, POST /pooling, task token_embed
//	pylate      the server of PyLate, POST /v1/embeddings
//
// An Encoder is safe for concurrent use and never has more requests under way
// than Options.Concurrency. It tries again after errors that may pass (no
// connection, a timeout, status 408, 425, 429 and 5xx but 501), with growing
// waits of random length or as long as the service asks with Retry-After. It
// follows no redirects, so that texts and key go nowhere but to the named
// address.
//
// Nothing in an answer is trusted: its size is limited, every text must have
// vectors, all of the promised width and of finite values. The width is what
// gives away services that return raw hidden states without the projection of
// a ColBERT model. Vectors are scaled to length 1. Services do not say which
// tokens their vectors stand for: there are no ids and no spans.
//
// An index stores the Service, as MarshalBinary writes it, and never the key.
// Load takes it back only if the caller names the same address: an index may
// come from a stranger, and texts and key must not go where he likes.
package remote

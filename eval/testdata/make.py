"""Makes qrels.txt, run.txt, other.txt, expected.tsv and rbo.tsv (see README.md).

Two programs compute every number: pytrec_eval (the C code of trec_eval) on the
run as it is, ties included, and ir_measures on a run whose ties were already
resolved, once by descending and once by ascending document id, so that all of
its providers see the same ranking.
"""

import random
import sys

import numpy as np

PYTREC = {
    "nDCG": "ndcg", "nDCG@5": "ndcg_cut_5", "nDCG@10": "ndcg_cut_10", "RR": "recip_rank",
    "AP": "map", "AP@10": "map_cut_10", "P@5": "P_5", "P@10": "P_10", "R@5": "recall_5",
    "R@100": "recall_100", "Success@1": "success_1", "Success@5": "success_5",
    "Rprec": "Rprec", "NumRet": "num_ret", "NumRet(rel=1)": "num_rel_ret", "NumRel": "num_rel",
}
PYTREC2 = {
    "RR(rel=2)": "recip_rank", "AP(rel=2)": "map", "AP(rel=2)@10": "map_cut_10",
    "P(rel=2)@5": "P_5", "R(rel=2)@10": "recall_10", "Success(rel=2)@5": "success_5",
    "Rprec(rel=2)": "Rprec",
}
IRM = [m for m in [*PYTREC, *PYTREC2] if m not in ("NumRel",)] + [
    "RR@3", "RR@10", "RR(rel=2)@10", "Judged@5", "Judged@10", "Judged",
]


def make(rng):
    docs = [f"d{i}" for i in range(60)]
    qrels, run, other = {}, {}, {}
    for n in range(1, 21):
        q = f"q{n}"
        judged = rng.sample(docs, rng.randint(1, 25))
        grades = {0: [0], 1: [0, 0, 1], 2: [0, 0, 0, 1, 2, 3], 3: [-1, 0, 1, 2], 4: [-2, -1, 0]}[n % 5]
        qrels[q] = {d: rng.choice(grades) for d in judged}
        depth = rng.choice([1, 2, 3, 4, 7, 10, 15, 40])
        step = rng.choice([0.0, 0.25, 0.5, 1e-9, 0.01])
        if n % 10 == 7:
            continue  # judged, never answered
        found = rng.sample(docs, depth)
        run[q] = {d: 12.5 + step * rng.randint(0, depth) for d in found}
        other[q] = {d: rng.random() for d in rng.sample(found, max(1, depth // 2)) + rng.sample(docs, 3)}
    run["q99"] = {"d1": 2.0, "d2": 1.0}  # answered, never judged
    return qrels, run, other


def resolve(run, ascending):
    out = {}
    for q, docs in run.items():
        order = sorted(docs, reverse=not ascending)
        order.sort(key=lambda d: -float(np.float32(docs[d])))  # stable
        out[q] = {d: float(len(order) - i) for i, d in enumerate(order)}
    return out


def main():
    import ir_measures
    import pytrec_eval

    qrels, run, other = make(random.Random(7))
    with open("qrels.txt", "w") as f:
        for q, docs in qrels.items():
            f.writelines(f"{q} 0 {d} {g}\n" for d, g in docs.items())
    for name, r in (("run.txt", run), ("other.txt", other)):
        with open(name, "w") as f:
            for q, docs in r.items():
                # The rank column is wrong on purpose: it must not matter.
                f.writelines(f"{q} Q0 {d} {9 - i} {s!r} {name[:-4]}\n" for i, (d, s) in enumerate(docs.items()))

    rows = []
    for level, names in ((1, PYTREC), (2, PYTREC2)):
        ev = pytrec_eval.RelevanceEvaluator(qrels, {m.replace("_cut_", "_cut.").replace("recall_", "recall.").replace(
            "P_", "P.").replace("success_", "success.") for m in names.values()}, relevance_level=level)
        got = ev.evaluate(run)
        for name, trec in names.items():
            for q in qrels:
                if q in got:
                    rows.append(("pytrec_eval", "descending", name, q, got[q][trec]))
    for ties in ("descending", "ascending"):
        resolved = resolve(run, ties == "ascending")
        measures = [ir_measures.parse_measure(m) for m in IRM]
        names = dict(zip(map(str, measures), IRM))
        for r in ir_measures.iter_calc(measures, qrels, resolved):
            rows.append(("ir_measures", ties, names[str(r.measure)], r.query_id, r.value))
        for m, v in ir_measures.calc_aggregate(measures, qrels, resolved).items():
            rows.append(("ir_measures", ties, names[str(m)], "all", v))
    with open("expected.tsv", "w") as f:
        f.writelines("\t".join([*r[:4], f"{float(r[4]):.12g}"]) + "\n" for r in rows)


def rbo():
    """Rank-biased overlap of run.txt and other.txt, by the package rbo."""
    from rbo import RankingSimilarity

    runs = []
    for name in ("run.txt", "other.txt"):
        r = {}
        for line in open(name):
            q, _, d, _, s, _ = line.split()
            r.setdefault(q, {})[d] = float(s)
        runs.append({q: list(docs) for q, docs in resolve(r, False).items()})
    with open("rbo.tsv", "w") as f:
        for q in runs[1]:
            for p in (0.5, 0.9, 0.99):
                f.write(f"{q}\t{p}\t{RankingSimilarity(runs[0][q], runs[1][q]).rbo_ext(p=p):.12g}\n")


if __name__ == "__main__":
    rbo() if sys.argv[1:] == ["rbo"] else main()

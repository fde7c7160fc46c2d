"""Makes samples.tsv, expected.tsv and holm.tsv (see README.md)."""

import numpy as np
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import DescrStatsW

rng = np.random.default_rng(11)
samples = {}
for name, n, shift, spread in (
    ("small", 8, -0.02, 0.05), ("two", 2, 0.01, 0.02), ("topics", 43, 0.002, 0.05), ("equal", 400, -0.001, 0.03),
    ("worse", 150, -0.05, 0.1), ("better", 97, 0.04, 0.12), ("tiny", 12, 0.0, 1e-6),
):
    base = np.round(rng.beta(2, 1.5, n), 6)
    samples[name] = (base, np.round(np.clip(base + rng.normal(shift, spread, n), 0, 1), 9))

rows = []
for name, (a, b) in samples.items():
    d, margin = b - a, 0.02 * a.mean()
    t, p = stats.ttest_rel(b, a)
    ds = DescrStatsW(d)
    pe, (tl, _, _), (tu, _, _) = ds.ttost_mean(-margin, margin)
    lo, hi = ds.tconfint_mean(alpha=0.10)
    rows += [(name, k, v) for k, v in dict(t=t, p=p, tl=tl, tu=tu, pe=pe, lo=lo, hi=hi).items()]
    if len(d) > 2:
        for method in ("percentile", "BCa"):
            ci = stats.bootstrap((d,), np.mean, confidence_level=0.9, n_resamples=20000, method=method,
                                 random_state=1).confidence_interval
            rows += [(name, method + ".lo", ci.low), (name, method + ".hi", ci.high)]
    n = 2**20 if len(d) < 20 else 20000
    pp = stats.permutation_test((d,), np.mean, permutation_type="samples", n_resamples=n, rng=1).pvalue
    rows.append((name, "permutation.exact" if len(d) < 20 else "permutation", pp))

with open("samples.tsv", "w") as f:
    for name, (a, b) in samples.items():
        f.writelines(f"{name}\t{float(x)!r}\t{float(y)!r}\n" for x, y in zip(a, b))
with open("expected.tsv", "w") as f:
    f.writelines(f"{n}\t{k}\t{float(v):.15g}\n" for n, k, v in rows)
with open("holm.tsv", "w") as f:
    for p in ([0.01, 0.04, 0.03, 0.005], [0.2], [0.9, 0.8, 0.02, 0.02, 0.011], list(np.round(rng.random(12) ** 3, 5))):
        for a, b in zip(p, multipletests(p, method="holm")[1]):
            f.write(f"{len(p)}\t{float(a)!r}\t{float(b):.15g}\n")

"""Makes losses.tsv, risk.tsv and ratio.tsv (see README.md)."""

import numpy as np
from scipy import stats
from scipy.optimize import brentq

rng = np.random.default_rng(23)
losses = {
    "tenths": rng.binomial(10, 0.02, 180) / 10,
    "rare": (rng.random(90) < 0.02).astype(float),
    "often": (rng.random(60) < 0.3).astype(float),
    "zero": np.zeros(75),
    "wide": np.round(rng.beta(0.3, 3, 250), 6),
}


def hoeffding_bentkus(x, limit):
    n, mean = len(x), min(x.mean(), limit)
    kl = stats.entropy([mean, 1 - mean], [limit, 1 - limit])
    bentkus = np.e * stats.binom.cdf(np.ceil(round(x.sum(), 9)), n, limit)
    return min(np.exp(-n * kl), bentkus, 1)


def log_capital(x, limit, delta):
    """Waudby-Smith and Ramdas, all at once as in Bates et al. (JACM 2021, proposition 5)."""
    n = len(x)
    t = np.arange(1, n + 1)
    mean = (0.5 + np.cumsum(x)) / (1 + t)
    variance = (0.25 + np.cumsum((x - mean) ** 2)) / (1 + t)
    variance = np.concatenate([[0.25], variance[:-1]])
    stake = np.minimum(np.sqrt(2 * np.log(1 / delta) / (n * variance)), 1)
    return np.cumsum(np.log(1 - stake * (x - limit)))


with open("losses.tsv", "w") as f:
    for name, x in losses.items():
        f.writelines(f"{name}\t{float(v)!r}\n" for v in x)
with open("risk.tsv", "w") as f:
    for name, x in losses.items():
        for limit in (0.01, 0.05, 0.1, 0.4):
            row = dict(hb=hoeffding_bentkus(x, limit), betting=min(1, np.exp(-log_capital(x, limit, 0.05).max())))
            if set(x) <= {0, 1}:
                row["binomial"] = stats.binomtest(int(x.sum()), len(x), limit, alternative="less").pvalue
            f.writelines(f"{name}\t{limit}\t{k}\t{float(v):.15g}\n" for k, v in row.items())
        f.write(f"{name}\t0.05\thb.bound\t{brentq(lambda m: hoeffding_bentkus(x, m) - 0.05, 1e-9, 1 - 1e-9):.12g}\n")
        f.write(f"{name}\t0.05\tbetting.bound\t"
                f"{brentq(lambda m: log_capital(x, m, 0.05).max() + np.log(0.05), 1e-9, 1 - 1e-9):.12g}\n")
        if set(x) <= {0, 1}:
            high = stats.binomtest(int(x.sum()), len(x), alternative="less").proportion_ci(0.95, "exact").high
            f.write(f"{name}\t0.05\tbinomial.bound\t{high:.12g}\n")

pairs = {}
with open("samples.tsv") as f:
    for line in f:
        name, a, b = line.split()
        pairs.setdefault(name, []).append((float(a), float(b)))
pairs = {k: np.array(v).T for k, v in pairs.items()}
with open("ratio.tsv", "w") as f:
    for share in (0.01, 0.02, 0.1):
        for name, (a, b) in pairs.items():
            below = stats.ttest_1samp(b - (1 - share) * a, 0, alternative="greater").pvalue
            above = stats.ttest_1samp(b - (1 + share) * a, 0, alternative="less").pvalue
            f.write(f"{name}\t{share}\t{below:.15g}\t{above:.15g}\n")
        # The mean of two means is half of what Welch's test takes for a difference when one sample has the other sign.
        (a, b), (c, d) = pairs["topics"], pairs["equal"]
        below = stats.ttest_ind(b - (1 - share) * a, -(d - (1 - share) * c), equal_var=False, alternative="greater").pvalue
        above = stats.ttest_ind(b - (1 + share) * a, -(d - (1 + share) * c), equal_var=False, alternative="less").pvalue
        f.write(f"topics+equal\t{share}\t{below:.15g}\t{above:.15g}\n")

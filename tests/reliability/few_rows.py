"""Few rows, and more columns than rows, of every likelihood whose noise has a scale: do chains mix, and are they right?

python -m tests.reliability.few_rows [--fits 10] [--simulations 200] [--jobs 2] [--only gamma]

The first table has fits at the defaults of data sets that differ: how many are warned of, the worst R-hat and effective
sample size, and seconds of processor time (those of all threads together). The second has simulation-based calibration:
truths from the priors, whose ranks among the draws are uniform if draws come from the posterior.
"""

import argparse
import re
import sys
import time
import warnings

import numpy as np

from bayesglm import BayesianGLM, InverseGamma, Normal, families
from bayesglm.testing import simulation_based_calibration

SIZES = (15, 30), (40, 80), (5, 2), (30, 20)
FAMILIES = {
    "gaussian": families.Gaussian(),
    "student_t": families.StudentT(),
    "student_t, df=4": families.StudentT(df=4.0),
    "gamma": families.Gamma(),
    "inverse_gaussian": families.InverseGaussian(),
    "beta": families.Beta(),
    "negative_binomial": families.NegativeBinomial(),
}
#: Of the auxiliary parameters, where truths are drawn: means of 2.
AUX = {name: InverseGamma(3.0, 4.0) for name in ("sigma", "df", "shape", "precision", "phi")}
AUX["df"] = InverseGamma(4.0, 15.0)


def response(family: families.Family, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw a response that three of the columns have to do with."""
    eta = rows[:, :3] @ np.array([0.5, -0.3, 0.2])[: rows.shape[1]]
    values = {"sigma": 1.0, "df": 4.0, "shape": 3.0, "precision": 8.0, "phi": 2.0}
    y = family.draw(rng, eta, {name: np.array(values[name]) for name in family.aux})
    return np.clip(y, 1e-9, 1.0 - 1e-9) if isinstance(family, families.Beta) else y


def mixing(name: str, n: int, p: int, fits: int) -> float:
    """Print a line of the first table; return the worst R-hat."""
    family, rhat, ess, spent, warned = FAMILIES[name], 1.0, np.inf, [], 0
    for seed in range(fits):
        rng = np.random.default_rng([seed, n, p])
        rows = rng.normal(size=(n, p))
        y = response(family, rows, rng)
        begin = time.process_time()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = BayesianGLM(family=family, random_state=seed, progressbar=False).fit(rows, y).posterior_
        spent.append(time.process_time() - begin)
        rhat = max(rhat, float(found.diagnostics.rhat.max()))
        ess = min(ess, float(found.diagnostics.ess_bulk.min()), float(found.diagnostics.ess_tail.min()))
        warned += bool(caught)
    print(
        f"{name:<18} {n:3d} x {p:2d}  warned {warned:2d} of {fits}  R-hat to {rhat:.3f}  ESS from {ess:5.0f}  "
        f"{np.median(spent):5.2f} s, at most {max(spent):5.2f} s",
        flush=True,
    )
    return rhat


def calibration(name: str, n: int, p: int, simulations: int, jobs: int) -> float:
    """Print a line of the second table; return the p-value."""
    rows = np.random.default_rng([n, p]).normal(size=(n, p)) + 0.3
    model = BayesianGLM(
        family=FAMILIES[name],
        prior=Normal(0.1, 0.4),
        intercept_prior=Normal(0.2, 0.8),
        center=False,
        aux_priors={aux: AUX[aux] for aux in FAMILIES[name].aux},
        draws=300,
        n_jobs=1,
    )
    example = response(FAMILIES[name], rows, np.random.default_rng(0))
    found = simulation_based_calibration(
        model, rows, example, n_simulations=simulations, n_jobs=jobs, random_state=0
    )
    print(f"{name:<18} {n:3d} x {p:2d}  p = {found.p_value:.3f}", flush=True)
    return float(found.p_value)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fits", type=int, default=10)
    parser.add_argument("--simulations", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", default="", help="a regular expression of families")
    options = parser.parse_args()
    chosen = [name for name in FAMILIES if re.search(options.only, name)]
    worst = 1.0
    for name in chosen if options.fits else ():
        for n, p in SIZES:
            worst = max(worst, mixing(name, n, p, options.fits))
    least = 1.0
    for name in chosen if options.simulations else ():
        for n, p in ((5, 7), (8, 3), (20, 12)):
            least = min(least, calibration(name, n, p, options.simulations, options.jobs))
    if least < 1e-4:
        sys.exit("draws are not those of the posterior")
    if worst > 1.05:
        sys.exit("chains do not mix")


if __name__ == "__main__":
    main()

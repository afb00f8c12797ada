"""Every other likelihood on rescaled, shifted and relabelled data: the posterior moves as the mathematics says.

Draws are compared by `standard_scores`: 0.05 standard deviations, or 5 % of one, are seen.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from bayesglm import BayesianGLM, BayesianLogisticRegression, Laplace
from bayesglm.families import Bernoulli, Binomial, StudentT
from tests.acceptance.equivariance import Change, standard_scores, together

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
RNG = np.random.default_rng(8)
N, DRAWS = 40, 4000
X = np.rint(RNG.normal(size=(N, 2)) * [512, 256] + [0, 900]) / 512
ROWS = np.rint(RNG.uniform(-1.0, 1.0, (4, 2)) * 512 + [0, 900]) / 512
ETA = 0.4 + 0.6 * X[:, 0] - 0.4 * (X[:, 1] - X[:, 1].mean())
RESPONSES = {
    "poisson": RNG.poisson(np.exp(1.0 + ETA)),
    "negative_binomial": RNG.negative_binomial(2.0, 2.0 / (2.0 + np.exp(1.0 + ETA))),
    "bernoulli": RNG.random(N) < expit(ETA),
    "binomial": RNG.binomial(12, expit(ETA)),
    "gamma": np.exp(ETA) * RNG.gamma(3.0, 1 / 3.0, N),
    "inverse_gaussian": RNG.wald(np.exp(ETA), 10.0),
    "beta": RNG.beta(4 * expit(ETA), 4 * expit(-ETA)),
    # Numbers of few digits: y + 1e9 is exact.
    "student_t": np.rint(512 * (ETA + RNG.standard_t(4.0, N))) / 512,
    "laplace": np.rint(512 * (ETA + RNG.laplace(size=N))) / 512,
    "gaussian": np.rint(512 * (ETA + RNG.normal(size=N))) / 512,
}
RESPONSES["probit"] = RESPONSES["bernoulli"]
RESPONSES["cloglog"] = RESPONSES["binomial"]
FAMILIES = {
    "probit": Bernoulli(link="probit"),
    "cloglog": Binomial(link="cloglog"),
    "student_t": StudentT(df=4.0),
}
#: In units of y.
IN_UNITS = {"sigma", "scale"}


@dataclass(frozen=True)
class Move(Change):
    """A `Change`, and what rows bring; where the link is no identity ``y_scale`` is what becomes of coefficients.

    Attributes
    ----------
    factor : float
        Of positive responses, whose linear predictor is a logarithm.
    offset, exposure : float
        Of all rows.
    """

    factor: float = 1.0
    offset: float = 0.0
    exposure: float = 1.0

    @property
    def rows(self) -> dict[str, Any]:
        found = {} if self.offset == 0.0 else {"offset": self.offset}
        return found if self.exposure == 1.0 else found | {"exposure": self.exposure}

    def seen(self, y: np.ndarray, family: str) -> np.ndarray:
        """Return the responses as changed."""
        if family in ("student_t", "laplace", "gaussian"):
            return self.response(y)
        if self.y_scale < 0:  # failures and successes change places
            return (12 if family == "binomial" else 1) - y
        return self.factor * y


COLUMNS = {
    "columns times 1e12 and 1e-12": Move(scale=np.array([1e12, 1e-12])),
    "columns times 1e-100 and 3e100": Move(scale=np.array([1e-100, 3e100])),
    "columns reflected": Move(scale=np.array([-1.0, -3.0])),
    "columns shifted": Move(shift=np.array([1e6, -5.0])),
    "columns shifted by 1e12": Move(shift=np.array([-1e12, 1e12])),
    "columns permuted": Move(order=(1, 0)),
    "offsets": Move(offset=5.0),
}
COUNTS = {
    "exposures of 1e12": Move(exposure=1e12),
    "exposures of 1e-300": Move(exposure=1e-300),
    "columns, offsets, exposures": Move(scale=-1e6, shift=1e8, order=(1, 0), offset=-300.0, exposure=1e6),
}
SWAPPED = {
    "classes swapped": Move(y_scale=-1.0),
    "classes swapped, columns": Move(scale=1e9, shift=1e9, y_scale=-1.0, offset=2.0),
}
POSITIVE = {
    "y times 1e12": Move(factor=1e12),
    "y times 1e-12": Move(factor=1e-12),
    "y times 1e100, columns, offsets": Move(scale=-1e12, shift=1e12, factor=1e100, offset=20.0),
}
REAL = {
    "y times 1e12": Move(y_scale=1e12),
    "y times -1e-12": Move(y_scale=-1e-12),
    "y times 1e100": Move(y_scale=1e100),
    "y shifted by 1e9": Move(y_shift=1e9),
    "y, columns, offsets": Move(
        np.array([1e12, -1e-12]), np.array([1e15, 1e-9]), (1, 0), -1e6, 1e9, offset=1e5
    ),
}
OWN = {
    **dict.fromkeys(("poisson", "negative_binomial"), COUNTS),
    **dict.fromkeys(("bernoulli", "probit", "binomial", "beta"), SWAPPED),
    "cloglog": {},
    **dict.fromkeys(("gamma", "inverse_gaussian"), POSITIVE),
    **dict.fromkeys(("student_t", "laplace", "gaussian"), REAL),
}
MOVES = COLUMNS | COUNTS | SWAPPED
CASES = [(family, name) for family, own in OWN.items() for name in COLUMNS | own]
#: Other autoscaled priors and settings.
SETTINGS = {
    "laplace": {"prior": "laplace"},
    "cauchy": {"prior": "cauchy", "intercept_prior": "cauchy"},
    "mixed": {"prior": {"x0": Laplace(0.0, 0.5, autoscale=True)}},
    "horseshoe": {"prior": "horseshoe", "target_accept": 0.95},
    "R2D2": {"prior": "r2d2", "target_accept": 0.95},
    "learned scale": {"prior_scale": "learn"},
    "nuts": {"sampler": "nuts"},
    "float32": {"dtype": "float32"},
}


def fit(family, move, settings=()):
    settings = dict(settings)
    prior = settings.get("prior")
    if isinstance(prior, dict) and move.order is not None:
        settings["prior"] = {f"x{move.order.index(int(key[1:]))}": value for key, value in prior.items()}
    rows = move.rows | ({"trials": 12} if family in ("binomial", "cloglog") else {})
    model = BayesianGLM(family=FAMILIES.get(family, family), random_state=0, draws=DRAWS, **settings)
    return model.fit(move.columns(X), move.seen(RESPONSES[family].astype(float), family), **rows)


@cache
def original(family, settings):
    return fit(family, Move(), SETTINGS.get(settings, {}))


def back(model, move, family):
    """Return draws of a model of moved data in the coordinates of the data as they were."""
    draws = dict(model.posterior_.draws)
    coef = draws["coef"]
    # The linear predictor at the mean of the columns: at zero a shift of 1e12 leaves too few digits.
    middle = move.columns(X).astype(np.longdouble).mean(axis=0)
    level = draws["Intercept"] + (coef * middle).sum(axis=-1) + move.offset + np.log(move.exposure)
    level = (level - np.log(move.factor) - move.y_shift) / move.y_scale
    found = {"coef": move.coef_back(coef), "Intercept": level.astype(float)}
    for name in draws.keys() - found.keys():
        unit = abs(move.y_scale) if name in IN_UNITS else 1.0
        unit *= move.factor if family == "inverse_gaussian" and name == "shape" else 1.0
        found[name] = draws[name] / unit
    return together(dict(sorted(found.items())))


def agree(first, second, **limits):
    scores = standard_scores(first, second, **limits)
    assert np.abs(scores).max() < 4.5, scores.round(1)


@pytest.mark.parametrize(("family", "name"), CASES)
def test_posterior(family, name):
    move = (COLUMNS | OWN[family])[name]
    first, second = original(family, ""), fit(family, move)
    agree(back(first, Move(), family), back(second, move, family))
    trials = {"trials": 12} if family in ("binomial", "cloglog") else {}
    mean, sd = first.predict(ROWS, return_std=True, **trials)
    moved, width = second.predict(move.columns(ROWS), return_std=True, **trials, **move.rows)
    size = move.factor * abs(move.y_scale) if family in ("student_t", "laplace", "gaussian") else move.factor
    np.testing.assert_array_less(np.abs(moved - move.seen(mean, family)), 0.03 * size * sd)
    np.testing.assert_allclose(width, size * sd, rtol=0.05)
    y = RESPONSES[family][:4].astype(float)
    density = first.log_predictive_density(X[:4], y, **trials)
    found = second.log_predictive_density(move.columns(X[:4]), move.seen(y, family), **trials, **move.rows)
    np.testing.assert_allclose(found + np.log(size), density, atol=0.05)


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize(
    ("family", "name"),
    [
        ("bernoulli", "classes swapped, columns"),
        ("poisson", "columns, offsets, exposures"),
        ("gamma", "y times 1e100, columns, offsets"),
        ("student_t", "y, columns, offsets"),
    ],
)
def test_other_priors(family, name, settings):
    move = OWN[family][name]
    second = fit(family, move, SETTINGS[settings])
    agree(back(original(family, settings), Move(), family), back(second, move, family))


def test_unlike_offsets_and_errors_in_other_units():
    """A response, its offsets and its standard errors, all a thousand million times as large."""
    offset, error = RNG.normal(size=N), RNG.uniform(0.2, 2.0, N)
    draws = []
    for unit in (1.0, -1e9, 2.0**-90):
        model = BayesianGLM(family="gaussian", random_state=0, draws=DRAWS)
        model.fit(
            X, unit * RESPONSES["gaussian"], offset=unit * offset + 3 * unit, standard_error=abs(unit) * error
        )
        draws.append(back(model, Move(y_scale=unit, offset=3 * unit), "gaussian"))
    for other in draws[1:]:
        agree(draws[0], other)


@pytest.mark.parametrize("family", RESPONSES)
def test_a_row_of_weight_2_is_two_rows(family):
    """Bit for bit: the rows come to the chains in one order, equal ones merged."""
    y = RESPONSES[family].astype(float)
    extra = {"trials": np.full(N, 12)} if family in ("binomial", "cloglog") else {}
    settings = {"family": FAMILIES.get(family, family), "random_state": 0, "draws": 200}
    counts = np.arange(N) % 3
    weighted = BayesianGLM(**settings).fit(X, y, sample_weight=counts, **extra)
    again = np.random.default_rng(0).permutation(np.repeat(np.arange(N), counts))
    rows = {key: value[again] for key, value in extra.items()}
    repeated = BayesianGLM(**settings).fit(X[again], y[again], **rows)
    np.testing.assert_array_equal(repeated.posterior_.stacked(), weighted.posterior_.stacked())


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog"])
def test_trials_are_rows_of_their_own(link):
    """Twelve trials are rows of five and of seven, and twelve zeros and ones."""
    y = RESPONSES["binomial"]
    few = np.minimum(RNG.binomial(5, y / 12), 5)
    assert np.all((few <= y) & (y - few <= 7))
    settings = {"random_state": 0, "draws": DRAWS}
    whole = BayesianGLM(family=Binomial(link=link), **settings).fit(X, y, trials=12)
    halves = BayesianGLM(family=Binomial(link=link), **settings).fit(
        np.tile(X, (2, 1)), np.concatenate([few, y - few]), trials=np.repeat([5, 7], N)
    )
    single = BayesianGLM(family=Bernoulli(link=link), **settings).fit(
        np.repeat(X, 12, axis=0), (np.arange(12) < y[:, np.newaxis]).ravel()
    )
    for other in (halves, single):
        agree(back(whole, Move(), "binomial"), back(other, Move(), "binomial"))


LABELS = np.array(["b", "a", "d", "c"])
KINDS = np.argmax(
    np.column_stack([np.zeros(3 * N), RNG.normal(size=(3 * N, 3)) @ [[1, 0.5, 0], [0, 1, 0.5], [0, 0, 1]]]),
    axis=1,
)
WIDE = np.rint(512 * RNG.normal(size=(3 * N, 2)) + 300 * KINDS[:, np.newaxis]) / 512


def classes(X, kinds, **settings):
    return BayesianLogisticRegression(random_state=0, draws=DRAWS, **settings).fit(X, LABELS[kinds])


def by_class(model, move, kinds):
    """Return draws of differences from the first kind, in the order of kinds, of data as they were."""
    draws = model.posterior_.draws
    coef = move.coef_back(draws["coef"])
    level = draws["Intercept"] + draws["coef"] @ move.columns(WIDE).mean(axis=0)
    where = np.searchsorted(model.classes_, LABELS[kinds])
    coef, level = coef[..., where, :], level[..., where]
    return together(
        {"coef": coef[..., 1:, :] - coef[..., :1, :], "Intercept": level[..., 1:] - level[..., :1]}
    )


@cache
def original_classes(*settings):
    return by_class(classes(WIDE, KINDS, **dict(settings)), Move(), [1, 0, 3, 2])


@pytest.mark.parametrize("name", [name for name in COLUMNS if name != "offsets"])
def test_several_classes(name):
    move = COLUMNS[name]
    found = by_class(classes(move.columns(WIDE), KINDS), move, [1, 0, 3, 2])
    agree(original_classes(), found)


@pytest.mark.parametrize("order", [(0, 1, 3, 2), (0, 2, 1, 3), (3, 0, 1, 2)])
@pytest.mark.parametrize("prior", ["normal", "laplace"])
def test_names_of_classes(order, prior):
    """Classes change places, all of them or, where the first is the reference, all but the first: a fit to the bit."""
    settings = {"prior": prior}
    if prior == "laplace" and order[0]:
        pytest.skip("the first class is the reference")
    alphabet = np.argsort(LABELS)  # kinds in the order of their labels
    renamed = np.empty(4, int)
    renamed[alphabet] = alphabet[list(order)]
    model = classes(WIDE, renamed[KINDS], **settings)
    agree(original_classes(*settings.items()), by_class(model, Move(), renamed[[1, 0, 3, 2]]))
    before = classes(WIDE, KINDS, **settings)
    where = np.searchsorted(LABELS[alphabet], LABELS[renamed[alphabet]])
    np.testing.assert_array_equal(model.coef_[where], before.coef_)
    np.testing.assert_allclose(model.predict_proba(WIDE)[:, where], before.predict_proba(WIDE), rtol=1e-12)


@pytest.mark.parametrize("reference", [1, 2, 3])
def test_any_class_may_be_the_reference_under_flat_priors(reference):
    settings = {"prior": "flat", "intercept_prior": "flat"}
    alphabet = np.argsort(LABELS)
    renamed = np.empty(4, int)
    renamed[alphabet] = alphabet[np.roll(np.arange(4), reference)]
    found = by_class(classes(WIDE, renamed[KINDS], **settings), Move(), renamed[[1, 0, 3, 2]])
    agree(original_classes(*settings.items()), found)

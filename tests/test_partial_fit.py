"""However rows are divided, partial_fit and merge give the posterior of one fit to all of them."""

import copy
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import BayesianRidge

from bayesglm import BayesianLinearRegression, HalfNormal, Normal
from tests.sparse_data import random_sparse
from tests.test_several_responses import same_posterior

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:.*There is a single row"),  # the first of them
    pytest.mark.filterwarnings("ignore:The data are fitted to rounding error"),  # the first few of them
]
RNG = np.random.default_rng(0)
N = 48
X = RNG.normal(size=(N, 3)) * [1.0, 10.0, 0.1] + [0.0, 5.0, 2.0]
y = 1.0 + X @ [2.0, -0.3, 5.0] + RNG.normal(size=N)
Y = np.column_stack([y, RNG.normal(size=N), y**2])
WEIGHTS = RNG.exponential(size=N) + 0.01
FRAME = pd.DataFrame(X, columns=list("abc")).assign(y=y, g=list("uvw") * (N // 3))


def model(formula=None, **params):
    return BayesianLinearRegression(formula, **{"draws": 20, "chains": 2, "random_state": 0, **params})


BATCHES = {
    "all": [np.arange(N)],
    "halves": np.array_split(np.arange(N), 2),
    "shuffled, of many sizes": np.split(np.random.default_rng(1).permutation(N), [1, 2, 9, 30]),
    "one by one": np.array_split(np.arange(N), N),
}
every_batching = pytest.mark.parametrize("batching", BATCHES)


def in_batches(batching, X, y, weights=None, formula=None, **params):
    found = model(formula, **params)
    for rows in BATCHES[batching]:
        part = X.iloc[rows] if isinstance(X, pd.DataFrame) else X[rows]
        assert (
            found.partial_fit(
                part, None if y is None else y[rows], None if weights is None else weights[rows]
            )
            is found
        )
    return found


def check_alike(found, expected, rtol=1e-9):
    for ours, theirs in zip(found.posterior_.parts, expected.posterior_.parts, strict=True):
        same_posterior(ours, theirs, rtol)
        assert ours.n_rows == theirs.n_rows
        assert ours.weight == pytest.approx(theirs.weight, rel=1e-13)
        assert ours.features == theirs.features
    sd = np.array([part.exact.sd["coef"] for part in expected.posterior_.parts]).reshape(expected.coef_.shape)
    np.testing.assert_array_less(np.abs(found.coef_ - expected.coef_), rtol * sd)
    assert found.rank_ == expected.rank_
    size = expected.singular_.max(initial=0.0)
    np.testing.assert_allclose(found.singular_, expected.singular_, rtol=1e-9, atol=1e-9 * size)
    assert found.n_features_in_ == expected.n_features_in_


# -- any batching -----------------------------------------------------------------------------------------


SETTINGS = {
    "default": {},
    "own priors": {"prior": Normal(0.5, 1.0), "sigma_prior": HalfNormal(2)},
    "an intercept at zero": {"intercept_prior": Normal(0, 3), "center": False},
    "no intercept": {"fit_intercept": False},
    "weights": {"weights": WEIGHTS},
    "frequencies": {"weights": np.round(3 * WEIGHTS) + 1},
    "precision": {"weights": WEIGHTS, "weights_type": "precision"},
    "several responses": {"y": Y},
    "several responses, precision": {"y": Y, "weights": WEIGHTS, "weights_type": "precision"},
    "offsets": {"X": X + 1e9},
    "offsets of both": {"X": X - 1e9, "y": y + 1e9},
    "collinear": {"X": np.column_stack([X, X[:, 0] - X[:, 1], np.full(N, 0.1)])},
    "scales": {"X": X * [1e-40, 1e40, 1.0]},
    "more columns than rows": {"X": np.random.default_rng(2).normal(size=(N, 60))},
    "no columns": {"X": pd.DataFrame(index=range(N))},
}  # fmt: skip


@every_batching
@pytest.mark.parametrize("setting", SETTINGS)
def test_any_batching_is_one_fit(setting, batching):
    settings = {"X": X, "y": y, "weights": None, **SETTINGS[setting]}
    data = [settings.pop(name) for name in ("X", "y", "weights")]
    if setting == "more columns than rows" and batching == "one by one":
        data, settings = [each if each is None else each[:N] for each in data], {**settings, "draws": 2}
    expected = model(**settings).fit(*data)
    check_alike(in_batches(batching, *data, **settings), expected)


@every_batching
@pytest.mark.parametrize("change", [sparse.csr_array, sparse.csc_matrix], ids=lambda change: change.__name__)
def test_sparse_batches(change, batching):
    rows = random_sparse((N, 5), 0.4, 3)
    found = in_batches(batching, change(rows).tocsr(), y)
    check_alike(found, model().fit(rows.toarray(), y))
    mixed = model().partial_fit(rows.tocsr()[:10], y[:10]).partial_fit(rows.toarray()[10:], y[10:])
    check_alike(mixed, found)


@pytest.mark.parametrize("prior", ["laplace", "positive"])
def test_priors_without_closed_form(prior):
    params = {"positive": True} if prior == "positive" else {"prior": prior}
    params |= {"draws": 500, "chains": 4}
    found = model(**params).partial_fit(X[:20], y[:20]).partial_fit(X[20:], y[20:])
    expected = model(**params).fit(X, y)
    error = np.hypot(*(each.posterior_.diagnostics.mcse_mean for each in (found, expected)))
    ours, theirs = (each.posterior_.stacked().mean(axis=(1, 2)) for each in (found, expected))
    np.testing.assert_array_less(np.abs(ours - theirs), 4.5 * error)


def test_a_column_and_a_response_constant_in_the_first_batch():
    rows, response = X.copy(), Y.copy()
    rows[:20, 1], response[:20, 0] = 4.0, 0.3
    with pytest.warns(UserWarning, match="Response 'y0': y is constant"):
        found = model().partial_fit(rows[:20], response[:20])
    assert found.rank_ == 2
    found.partial_fit(rows[20:], response[20:])
    assert found.rank_ == 3
    check_alike(found, model().fit(rows, response))


def test_a_hundred_thousand_rows_in_batches():
    rng = np.random.default_rng(4)
    rows = rng.normal([0.0, 1e6, 0.0], size=(100_000, 3))
    response = rows @ [1.0, 0.5, 0.0] + rng.normal(size=100_000)
    found = model()
    for start in range(0, 100_000, 25_000):
        found.partial_fit(rows[start : start + 25_000], response[start : start + 25_000])
    check_alike(found, model().fit(rows, response))


# -- formulas ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "formula", ["y ~ a + np.log(b**2) + C(g)", "y ~ a*g - 1", "y ~ 1", "np.exp(y / 10) ~ a"]
)
def test_formulas(formula):
    expected = model(formula).fit(FRAME)
    found = model(formula)
    for rows in np.array_split(np.arange(N), 3):
        found.partial_fit(FRAME.iloc[rows])
    check_alike(found, expected)
    np.testing.assert_allclose(found.predict(FRAME), expected.predict(FRAME), rtol=1e-9)
    assert found.score(FRAME) == pytest.approx(expected.score(FRAME), rel=1e-9)
    np.testing.assert_array_equal(found.feature_names_in_, expected.feature_names_in_)


def test_a_formula_with_the_response_beside_it():
    expected = model("a + C(g)").fit(FRAME, y)
    frame = pl.DataFrame(FRAME.to_dict("list"))
    found = model("a + C(g)").partial_fit(frame[:30], y[:30]).partial_fit(frame[30:], y[30:])
    check_alike(found, expected)


def test_weights_of_formulas_go_with_the_rows_that_are_kept():
    frame = FRAME.copy()
    frame.loc[[2, 30], "a"], frame.loc[40, "y"] = np.nan, np.nan
    kept = frame.dropna().index
    expected = model("y ~ a + C(g)", weights_type="precision").fit(FRAME.loc[kept], None, WEIGHTS[kept])
    found = model("y ~ a + C(g)", weights_type="precision")
    with pytest.warns(UserWarning, match="dropped 1 of 24 rows"):
        found.partial_fit(frame[:24], None, WEIGHTS[:24])
    with pytest.warns(UserWarning, match="dropped 2 of 24 rows"):
        found.partial_fit(frame[24:], None, WEIGHTS[24:])
    check_alike(found, expected)


def test_what_a_formula_learnt_from_the_first_rows_stays():
    found = model("y ~ center(a) + b", prior=Normal(0, 3), intercept_prior=Normal(0, 3), center=False)
    found.partial_fit(FRAME[:10]).partial_fit(FRAME[10:])
    first = FRAME["a"][:10].mean()
    same = model("y ~ I(a - m) + b", prior=Normal(0, 3), intercept_prior=Normal(0, 3), center=False)
    same.set_params(formula_namespace={"m": first}).fit(FRAME)
    same_posterior(found.posterior_, same.posterior_, 1e-9)


# -- what is refused, and leaves everything as it was -----------------------------------------------------


def untouched(call, found, error, message):
    """See that a call is refused and changes nothing."""
    before = dict(vars(found))
    with pytest.raises(error, match=message):
        call()
    assert vars(found).keys() == before.keys()
    assert all(vars(found)[name] is before[name] for name in before)


BAD_BATCHES = {
    "fewer columns": (X[:, :2], y, None, "2 features"),
    "NaN": (np.where(X[3, 1] == X, np.nan, X), y, None, "NaN in column 'x1', row 3"),
    "NaN in y": (X, np.where(y == y[3], np.nan, y), None, "NaN in row 3"),
    "another length": (X, y[:-1], None, "inconsistent"),
    "another length of weights": (X, y, WEIGHTS[:-1], "sample_weight"),
    "negative weights": (X, y, -WEIGHTS, "negative"),
    "no rows": (X[:0], y[:0], None, "0 sample"),
    "two responses": (X, Y[:, :2], None, "as before"),
    "one response in two dimensions": (X, Y[:, :1], None, "as before"),
    "text": (pd.DataFrame({"x0": ["u"] * N, "x1": 1.0, "x2": 2.0}), y, None, "text"),
}


@pytest.mark.parametrize("name", BAD_BATCHES)
def test_bad_batches(name):
    X_, y_, weights, message = BAD_BATCHES[name]
    found = model().partial_fit(X, y)
    untouched(lambda: found.partial_fit(X_, y_, weights), found, ValueError, message)
    check_alike(found.partial_fit(X, y), model().fit(np.r_[X, X], np.r_[y, y]))


def test_other_names():
    frame = FRAME[["a", "b", "c"]]
    found = model().partial_fit(frame, y)
    untouched(lambda: found.partial_fit(frame[["b", "a", "c"]], y), found, ValueError, "feature names")
    untouched(
        lambda: found.partial_fit(frame.rename(columns={"a": "z"}), y), found, ValueError, "feature names"
    )


def test_responses_of_other_names():
    named = pd.DataFrame(Y, columns=["u", "v", "w"])
    found = model().partial_fit(X, named)
    untouched(lambda: found.partial_fit(X, named[["v", "u", "w"]]), found, ValueError, "'v', 'u', 'w'")
    untouched(
        lambda: found.partial_fit(X, named.rename(columns={"w": "z"})), found, ValueError, "'u', 'v', 'z'"
    )
    assert found.partial_fit(X, Y).posterior_.responses == ("u", "v", "w")
    assert model().partial_fit(X, Y).partial_fit(X, named).posterior_.responses == ("y0", "y1", "y2")
    single = model().partial_fit(X, pd.Series(y, name="u"))
    untouched(lambda: single.partial_fit(X, pd.Series(y, name="v")), single, ValueError, "'v'")
    assert "u ~ Normal" in str(single.partial_fit(X, y).summary())


def test_levels_that_come_later_are_unknown():
    found = model("y ~ a + C(g)").partial_fit(FRAME[:24])
    later = FRAME[24:].assign(g=["z"] * 24)
    untouched(lambda: found.partial_fit(later), found, ValueError, "'z'")
    with pytest.raises(ValueError, match="'z'"):
        found.predict(later)
    untouched(lambda: found.partial_fit(FRAME[24:].drop(columns="a")), found, ValueError, "'a'")
    untouched(
        lambda: found.partial_fit(FRAME[24:].assign(a=np.nan)), found, ValueError, "none of the 24 rows"
    )
    untouched(lambda: found.partial_fit(X, y), found, TypeError, "data frame")
    check_alike(found.partial_fit(FRAME[24:]), model("y ~ a + C(g)").fit(FRAME))


@pytest.mark.parametrize("formulas", [(None, "y ~ a"), ("y ~ a", None), ("y ~ a", "y ~ a + b")])
def test_another_formula_than_for_the_rows_before(formulas):
    given = [FRAME if formula else FRAME[["a"]] for formula in formulas]
    responses = [None if formula else y for formula in formulas]
    found = model(formulas[0]).partial_fit(given[0], responses[0])
    found.set_params(formula=formulas[1])
    untouched(lambda: found.partial_fit(given[1], responses[1]), found, ValueError, "formula")
    assert found.fit(given[1], responses[1]).posterior_.n_rows == N


# -- life -------------------------------------------------------------------------------------------------


def test_rows_that_do_not_determine_the_coefficients_yet():
    found = model(prior="flat", intercept_prior="flat")
    with pytest.warns(
        UserWarning, match="Not fitted yet, so give more rows: prior: 2 rows cannot determine 4"
    ):
        found.partial_fit(X[:2], y[:2])
    for call in (found.predict, found.predict_interval, found.to_arviz):
        with pytest.raises(NotFittedError):
            call(X)
    for attribute in ("coef_", "posterior_", "rank_", "sigma_", "intercept_"):
        assert not hasattr(found, attribute)
    untouched(lambda: found.partial_fit(X[:, :2], y), found, ValueError, "2 features")
    again = pickle.loads(pickle.dumps(found))
    for each in (found, again, copy.deepcopy(found)):
        each.partial_fit(X[2:], y[2:])
        check_alike(each, model(prior="flat", intercept_prior="flat").fit(X, y))


def test_flat_sigma_needs_rows_too():
    flat = {"prior": "flat", "intercept_prior": "flat", "sigma_prior": "flat"}
    found = model(**flat)
    with pytest.warns(UserWarning, match="Not fitted yet"):
        found.partial_fit(X[:5], y[:5])
    check_alike(found.partial_fit(X[5:], y[5:]), model(**flat).fit(X, y))


def test_what_was_fitted_can_become_undetermined():
    found = model().fit(X[:2], y[:2])
    found.set_params(prior="flat")
    with pytest.warns(UserWarning, match="Not fitted yet"):
        found.partial_fit(X[2:3], y[2:3])
    with pytest.raises(NotFittedError):
        found.predict(X)
    check_alike(found.partial_fit(X[3:], y[3:]), model(prior="flat").fit(X, y))


def test_fit_begins_anew_and_partial_fit_goes_on():
    found = model().partial_fit(X, y).partial_fit(X + 1, y)
    check_alike(found.fit(X[:30], y[:30]), model().fit(X[:30], y[:30]))
    check_alike(found.partial_fit(X[30:], y[30:]), model().fit(X, y))
    assert found.fit(X[:, :2], Y).coef_.shape == (3, 2)
    found.set_params(formula="y ~ a").fit(FRAME)
    check_alike(found, model("y ~ a").fit(FRAME))


def test_settings_may_change_between_batches():
    found = model().partial_fit(X[:20], y[:20], WEIGHTS[:20])
    found.set_params(prior=Normal(0, 0.3), fit_intercept=False, draws=7)
    found.partial_fit(X[20:], y[20:], WEIGHTS[20:])
    expected = model(prior=Normal(0, 0.3), fit_intercept=False).fit(X, y, WEIGHTS)
    check_alike(found, expected)
    assert found.posterior_.draws["sigma"].shape == (2, 7)


def test_going_on_after_pickling():
    found = pickle.loads(pickle.dumps(model("y ~ a + C(g)").partial_fit(FRAME[:24])))
    check_alike(found.partial_fit(FRAME[24:]), model("y ~ a + C(g)").fit(FRAME))


def test_rows_are_not_kept():
    rng = np.random.default_rng(5)
    found = model().partial_fit(X, y)
    size = len(pickle.dumps(found))
    found.partial_fit(rng.normal(size=(20_000, 3)), rng.normal(size=20_000))
    assert len(pickle.dumps(found)) < 1.5 * size


# -- merge ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("parts", [2, 5])
@pytest.mark.parametrize("setting", [name for name in SETTINGS if name != "more columns than rows"])
def test_merged_fits_are_one_fit(setting, parts):
    settings = {"X": X, "y": y, "weights": None, **SETTINGS[setting]}
    X_, y_, weights = (settings.pop(name) for name in ("X", "y", "weights"))
    fits = []
    for rows in np.array_split(np.random.default_rng(6).permutation(N), parts):
        part = X_.iloc[rows] if isinstance(X_, pd.DataFrame) else X_[rows]
        fits.append(model(**settings).fit(part, y_[rows], None if weights is None else weights[rows]))
    states = [dict(vars(each)) for each in fits[1:]]
    assert fits[0].merge(*fits[1:]) is fits[0]
    check_alike(fits[0], model(**settings).fit(X_, y_, weights))
    for each, state in zip(fits[1:], states, strict=True):
        assert vars(each).keys() == state.keys()
        assert all(vars(each)[name] is state[name] for name in state)


def test_merged_formulas():
    formula = "y ~ a + C(g)"
    fits = [model(formula).fit(FRAME[start : start + 16]) for start in (0, 16, 32)]
    check_alike(fits[0].merge(*fits[1:]), model(formula).fit(FRAME))
    np.testing.assert_allclose(fits[0].predict(FRAME), model(formula).fit(FRAME).predict(FRAME), rtol=1e-9)


def test_merge_takes_rows_that_determine_nothing_yet():
    with pytest.warns(UserWarning, match="Not fitted yet"):
        found = model(prior="flat").partial_fit(X[:2], y[:2])
    with pytest.warns(UserWarning, match="Not fitted yet"):
        other = model(prior="flat").partial_fit(X[2:4], y[2:4])
    untouched(lambda: found.merge(model(prior="flat").fit(X[:, :2], y)), found, ValueError, "other columns")
    with pytest.raises(ValueError, match="collinear"):
        copy.deepcopy(found).merge(found)
    check_alike(found.merge(other, model().fit(X[4:], y[4:])), model(prior="flat").fit(X, y))


def test_merge_with_nobody_samples_again():
    found = model().fit(X, y)
    check_alike(found.set_params(draws=33).merge(), model().fit(X, y))
    assert found.posterior_.draws["sigma"].shape == (2, 33)


OTHERS = {
    "unfitted": (lambda: model(), NotFittedError, r"others\[1\] .*not fitted"),
    "another class": (lambda: BayesianRidge().fit(X, y), TypeError, r"others\[1\] .*BayesianRidge"),
    "no estimator": (lambda: "model", TypeError, r"others\[1\] .*str"),
    "fewer columns": (lambda: model().fit(X[:, :2], y), ValueError, r"others\[1\] .*other columns"),
    "other columns": (lambda: model().fit(FRAME[["a", "b", "c"]], y), ValueError, r"others\[1\] .*other columns"),
    "more responses": (lambda: model().fit(X, Y), ValueError, r"others\[1\] .*other responses"),
    "a column of responses": (
        lambda: model().fit(X, pd.DataFrame({"y": y})), ValueError, r"others\[1\] .*dimensions of y",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_what_cannot_be_merged(name):
    make, error, message = OTHERS[name]
    found = model().fit(X, y)
    untouched(lambda: found.merge(model().fit(X, y), make()), found, error, message)
    if name == "unfitted":
        with pytest.raises(NotFittedError, match="this estimator"):
            model().merge(found)


def test_formulas_that_cannot_be_merged():
    found = model("y ~ a + b").fit(FRAME[:24])
    for other in (
        model("y ~ b + a").fit(FRAME[24:]),
        model("y ~ a + b - 1").fit(FRAME[24:]),
        model("y ~ a * b").fit(FRAME[24:]),
        model().fit(FRAME[["a", "b"]][24:], y[24:]),
    ):
        untouched(lambda other=other: found.merge(other), found, ValueError, r"others\[0\]")
        untouched(lambda other=other: other.merge(found), other, ValueError, r"others\[0\]")
    found = model("y ~ center(a)").fit(FRAME[:24])
    untouched(
        lambda: found.merge(model("y ~ center(a)").fit(FRAME[24:])),
        found,
        ValueError,
        "learnt something else",
    )
    found = model("y ~ C(g)").fit(FRAME[:24])
    fewer = model("y ~ C(g)").fit(FRAME[FRAME["g"] != "w"])
    untouched(lambda: found.merge(fewer), found, ValueError, "levels")

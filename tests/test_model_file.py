"""A saved model is what it was: the same numbers, the same draws to come, the same refits; nothing else is inside."""

import copy
import pickle
import re
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression

import bayesglm
from bayesglm import BayesianLinearRegression, HalfNormal, Laplace, Normal, load
from bayesglm.model_file import ESTIMATORS
from bayesglm.priors import PRIORS
from tests.saved_models import ARRAY, BOTH, CASES, COLUMNS, FRAME, WEIGHTS, Y, fitted, make_frame, rows_of

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

ROOT = Path(bayesglm.__file__).parents[1]


def by_file(model, tmp_path):
    model.save(tmp_path / "model.bayesglm")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return load(tmp_path / "model.bayesglm")


def by_skops(model, tmp_path):
    io = pytest.importorskip("skops.io")
    stored = io.dumps(model)
    assert io.get_untrusted_types(data=stored) == ["bayesglm.linear.BayesianLinearRegression"]
    return io.loads(stored, trusted=["bayesglm.linear.BayesianLinearRegression"])


WAYS = {"file": by_file, "skops": by_skops}


def sigmas(model, *arguments):
    return model.sample_posterior(*arguments)["posterior"]["sigma"].values


def table(model):
    """The summary without its duration."""
    return re.sub(r"\d+ ms", "", str(model.summary()))


def assert_same(mine, theirs, name, X=None):
    X = rows_of(name) if X is None else X
    for attribute in ("coef_", "intercept_", "sigma_", "rank_", "n_features_in_", "singular_"):
        np.testing.assert_array_equal(getattr(mine, attribute), getattr(theirs, attribute))
    assert [type(getattr(mine, a)) for a in ("coef_", "intercept_", "sigma_", "rank_")] == [
        type(getattr(theirs, a)) for a in ("coef_", "intercept_", "sigma_", "rank_")
    ]
    for one, other in zip(mine.predict(X, return_std=True), theirs.predict(X, return_std=True), strict=True):
        np.testing.assert_array_equal(one, other)
    for kind in ("response", "mean"):
        np.testing.assert_array_equal(
            mine.predict_interval(X, kind=kind), theirs.predict_interval(X, kind=kind)
        )
    np.testing.assert_array_equal(
        mine.sample_predictive(X, 5, random_state=1), theirs.sample_predictive(X, 5, random_state=1)
    )
    assert table(mine) == table(theirs)
    for arguments in ((), (7,), (7, 5)):  # the chains go on where they stopped
        np.testing.assert_array_equal(sigmas(mine, *arguments), sigmas(theirs, *arguments))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("way", WAYS)
def test_the_same_numbers(name, way, tmp_path):
    model = fitted(name)
    twin = WAYS[way](model, tmp_path)
    assert type(twin) is type(model)
    assert str(twin.summary()) == str(model.summary())
    assert set(vars(twin)) == set(vars(model))
    assert_same(twin, model, name)
    assert re.sub(r"0x\w+", "", repr(twin)) == re.sub(r"0x\w+", "", repr(model))
    assert repr(twin.posterior_.priors) == repr(model.posterior_.priors)
    for mine, theirs in zip(twin.posterior_.parts, model.posterior_.parts, strict=True):
        assert mine.settings == theirs.settings
        assert mine.features == theirs.features
        assert (mine.how, mine.tune, mine.entropy, mine.seconds) == (
            theirs.how,
            theirs.tune,
            theirs.entropy,
            theirs.seconds,
        )
        for group in ("draws", "stats"):
            assert list(getattr(mine, group)) == list(getattr(theirs, group))
            for key, values in getattr(theirs, group).items():
                assert getattr(mine, group)[key].dtype == values.dtype
                np.testing.assert_array_equal(getattr(mine, group)[key], values)
        for key, values in vars(theirs.diagnostics).items():
            np.testing.assert_array_equal(vars(mine.diagnostics)[key], values)
    # And so on: what was loaded can be saved, to the same bytes.
    model.save(tmp_path / "first")
    twin.save(tmp_path / "second")
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


@pytest.mark.parametrize(
    "name", ["arrays", "two responses, laplace", "precisions", "formula", "formula, responses"]
)
def test_the_same_arviz_object(name, tmp_path):
    _, X, y, weights = CASES[name]
    model = fitted(name)
    mine, theirs = (
        m.to_arviz(X, y, sample_weight=weights, prior=True) for m in (by_file(model, tmp_path), model)
    )
    for group in ("log_prior", "prior", "log_likelihood", "posterior_predictive", "sample_stats"):
        for variable, values in theirs[group].items():
            np.testing.assert_array_equal(mine[group][variable].values, values.values)


@pytest.mark.parametrize("name", [name for name in CASES if name != "generator"])
def test_fitting_again_gives_the_same_posterior(name, tmp_path):
    _, X, y, weights = CASES[name]
    twin = by_file(fitted(name), tmp_path)
    assert_same(clone(twin).fit(X, y, weights), fitted(name), name)


def test_a_generator_goes_on_where_it_was(tmp_path):
    """Two fits with one generator give two posteriors; the second follows the first across the file."""
    for random_state in (
        np.random.default_rng(3),
        np.random.RandomState(3),
        *(
            np.random.Generator(getattr(np.random, kind)(3))
            for kind in ("MT19937", "PCG64DXSM", "Philox", "SFC64")
        ),
    ):
        random_state.normal(size=3)  # which leaves RandomState with a second number in store
        random_state.integers(10, size=3, dtype=np.uint32) if hasattr(random_state, "integers") else None
        model = BayesianLinearRegression(draws=5, chains=1, random_state=random_state).fit(ARRAY, Y)
        twin = by_file(model, tmp_path)
        assert type(twin.random_state) is type(random_state)
        first, second = (sigmas(m.fit(ARRAY, Y)) for m in (model, twin))
        np.testing.assert_array_equal(first, second)
        np.testing.assert_array_equal(random_state.normal(size=5), twin.random_state.normal(size=5))


@pytest.mark.parametrize("way", WAYS)
def test_more_rows(way, tmp_path):
    """What is kept of the rows is in the file: the posterior of all is that of one fit."""
    for name in ("arrays", "two responses", "precisions", "formula", "laplace"):
        _, X, _, weights = CASES[name]
        more = make_frame(40, seed=8)
        responses = {"two responses": more[["y", "z"]], "formula": None}.get(name, more["y"].to_numpy())
        frame = more if name == "formula" else more[["a", "b", "c"]]
        frame = frame if isinstance(X, pd.DataFrame) else frame.to_numpy()
        if name == "formula":  # splines do not reach beyond the first rows
            frame = frame[frame["b"].between(FRAME["b"].min(), FRAME["b"].max())]
        given = None if weights is None else weights[:40]
        twin = WAYS[way](fitted(name), tmp_path)
        merged = WAYS[way](fitted(name), tmp_path)
        model = copy.deepcopy(fitted(name))
        for one in (twin, model):
            one.partial_fit(frame, responses, given)
        assert_same(twin, model, name)
        assert_same(merged.merge(fitted(name)), copy.deepcopy(fitted(name)).merge(fitted(name)), name)


def test_more_rows_are_those_of_least_squares(tmp_path):
    flat = {"prior": "flat", "intercept_prior": "flat", "draws": 5, "chains": 1, "random_state": 0}
    twin = by_file(BayesianLinearRegression(**flat).fit(ARRAY[:20], Y[:20]), tmp_path)
    expected = LinearRegression().fit(ARRAY, Y)
    np.testing.assert_allclose(twin.partial_fit(ARRAY[20:], Y[20:]).coef_, expected.coef_, rtol=1e-10)


def test_rows_that_do_not_suffice_yet(tmp_path):
    flat = {"prior": "flat", "intercept_prior": "flat", "draws": 5, "chains": 1, "random_state": 0}
    model = BayesianLinearRegression(**flat).partial_fit(ARRAY[:2], Y[:2])
    twin = by_file(model, tmp_path)
    with pytest.raises(NotFittedError):
        twin.predict(ARRAY)
    expected = LinearRegression().fit(ARRAY, Y)
    np.testing.assert_allclose(twin.partial_fit(ARRAY[2:], Y[2:]).coef_, expected.coef_, rtol=1e-10)


UNFITTED = {
    "defaults": {},
    "formula": {"formula": "y ~ a", "formula_namespace": {"unused": object(), "floor": np.floor}},
    "priors": {"prior": {"a": Laplace(0, [1.0]), "b": "laplace"}, "sigma_prior": HalfNormal(np.float64(2.0))},
    "numbers": {
        "draws": np.int32(7),
        "target_accept": np.float64(0.9),
        "positive": np.True_,
        "random_state": 1 << 70,
    },
    "not yet checked": {"draws": "many", "prior": 3, "prior_scale": -1.0, "chains": None, "tol": np.nan},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("params", UNFITTED.values(), ids=UNFITTED)
def test_unfitted(params, way, tmp_path):
    model = BayesianLinearRegression(**params)
    twin = WAYS[way](model, tmp_path)
    mine, theirs = twin.get_params(), model.get_params()
    for given in (mine, theirs):
        given.pop("formula_namespace")
    assert repr(mine) == repr(theirs)
    assert {name: type(value) for name, value in mine.items()} == {n: type(v) for n, v in theirs.items()}
    assert set(vars(twin)) == set(vars(model))
    with pytest.raises(NotFittedError):
        twin.predict(ARRAY)


@pytest.mark.parametrize("name", PRIORS)
def test_every_prior(name, tmp_path):
    own = {"df": 3.5, "shape": 2.5, "loc": -0.5, "scale": np.array([0.5, 2.0, 1.0]), "autoscale": True}
    prior = PRIORS[name](**{key: own[key] for key in PRIORS[name].names})
    model = BayesianLinearRegression(prior=prior, draws=20, chains=1, random_state=0).fit(np.abs(ARRAY), Y)
    for way in WAYS.values():
        twin = way(model, tmp_path)
        assert twin.prior == prior
        np.testing.assert_array_equal(sigmas(twin, 5), sigmas(model, 5))
        densities = [m.to_arviz(np.abs(ARRAY), Y)["log_prior"]["coef"].values for m in (twin, model)]
        np.testing.assert_array_equal(*densities)


def test_parameters_set_after_the_fit_do_not_change_the_posterior(tmp_path):
    model = copy.deepcopy(fitted("laplace")).set_params(
        prior=Normal(5, 0.1), draws=3, positive=True, center=False
    )
    twin = by_file(model, tmp_path)
    assert twin.prior == Normal(5, 0.1)
    assert_same(twin, model, "laplace")
    assert repr(twin.posterior_.priors) == repr(fitted("laplace").posterior_.priors)


def test_a_session_as_namespace(tmp_path):
    """Of all that there is in a module the file has what the formula names."""
    session = {name: value for name, value in globals().items() if name != "np"}
    model = BayesianLinearRegression(
        "y ~ I(a + shift) + floor(b)",
        formula_namespace={**session, "shift": 0.5, "floor": np.floor},
        draws=5,
        random_state=0,
    ).fit(FRAME)
    twin = by_file(model, tmp_path)
    assert twin.formula_namespace == {"shift": 0.5, "floor": np.floor}
    np.testing.assert_array_equal(sigmas(twin.fit(FRAME)), sigmas(model))


class Own(BayesianLinearRegression):
    pass


class OwnNormal(Normal):
    pass


REFUSED = {
    "function": (
        {"formula": "y ~ double(a)", "formula_namespace": {"double": lambda x: 2 * x}},
        r"'double'.*pickle the model instead",
    ),
    "object": (
        {"formula": "y ~ I(a * thing)", "formula_namespace": {"thing": object()}},
        r"'thing'.*pickle the model instead",
    ),
    "namespace": ({"formula_namespace": 3}, "formula_namespace is of type int"),
    "own prior": ({"prior": OwnNormal(0, 1)}, r"prior is of the class OwnNormal.*pickle the model instead"),
    "own prior, named": ({"prior": {"a": OwnNormal(0, 1)}}, r"prior\['a'\] is of the class OwnNormal"),
    "prior of objects": ({"sigma_prior": HalfNormal(object())}, r"scale of sigma_prior is of type object"),
    "seed": ({"random_state": np.random.SeedSequence(3)}, r"random_state is of type SeedSequence.*pickle"),
    "key": ({"prior": {0: Normal(0, 1)}}, "keys that are no texts"),
    "formula": ({"formula": 3}, "formula is of type int"),
    "array": ({"prior_scale": np.ones(2)}, "prior_scale is of type ndarray"),
}


@pytest.mark.parametrize(("params", "match"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_data_is_named(params, match, tmp_path):
    model = BayesianLinearRegression(**params)
    with pytest.raises(ValueError, match=match) as caught:
        model.save(tmp_path / "model")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_classes_of_the_users_own(tmp_path):
    with pytest.raises(ValueError, match=r"Own is a class of your own.*pickle"):
        Own().save(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_models_that_a_file_would_not_describe(tmp_path):
    with pytest.raises(ValueError, match=r"formula='y ~ b' was set after a fit with formula='y ~ 1'"):
        copy.deepcopy(fitted("formula, intercept")).set_params(formula="y ~ b").save(tmp_path / "model")
    old = pickle.loads((ROOT / "tests/pickles/0.1.0/arrays.pickle").read_bytes())
    with pytest.raises(ValueError, match="fit it again"):
        old.save(tmp_path / "model")
    rng = np.random.default_rng(0)
    old.fit(rng.normal(size=(20, 2)), rng.normal(size=20)).save(tmp_path / "model")
    assert sigmas(load(tmp_path / "model")).shape == (2, 20)


def test_draws_that_are_not_finite(tmp_path):
    """Sigma of one row under a prior that hardly ends may overflow."""
    model = copy.deepcopy(fitted("one row"))
    model.posterior_.draws["sigma"][0, 3] = np.inf
    with pytest.raises(ValueError, match=r"draws that are not finite.*HalfNormal.*pickle"):
        model.save(tmp_path / "model")


@pytest.mark.parametrize(
    "params",
    [
        {"draws": 1, "chains": 1, "tune": 0},
        {"draws": 3, "chains": 1, "prior": "cauchy", "tune": 10},
        {
            "draws": 40,
            "chains": 3,
            "prior": Laplace(0, 1e-4),
            "tune": 4,
            "max_treedepth": 3,
            "progressbar": np.False_,
        },
        {"draws": 40, "chains": 2, "prior": Laplace(0, 1e-4), "tune": 1, "target_accept": 0.2},
        {"draws": 40, "chains": 2, "positive": True, "tune": 2, "target_accept": 0.999, "n_jobs": 2},
    ],
)
def test_runs_of_all_lengths(params, tmp_path):
    """Few draws leave diagnostics undefined; little warm-up leads to short, long and diverging trajectories."""
    model = BayesianLinearRegression(random_state=1, **params).fit(ARRAY, Y)
    assert_same(by_file(model, tmp_path), model, "arrays")


def test_every_estimator_of_the_package_can_be_loaded():
    found = {
        name: kind
        for name, kind in vars(bayesglm).items()
        if isinstance(kind, type) and issubclass(kind, BaseEstimator)
    }
    assert found == ESTIMATORS


def test_size(tmp_path):
    """Draws and statistics, and what does not grow with them: no rows."""
    sizes = {}
    for rows in (200, 20_000):
        frame = make_frame(rows).assign(secret="s3cret-label")
        frame.loc[3, "a"], frame.loc[7, "y"] = 1.2345678901234, 9.8765432109876
        for params, X in (
            ({}, frame[["a", "b", "c"]]),
            ({"formula": "y ~ center(a) + bs(b, df=4) + g"}, frame),
        ):
            for prior in (None, "laplace"):
                model = BayesianLinearRegression(prior=prior, draws=100, random_state=0, **params)
                model.fit(X, frame["y"]).save(tmp_path / "model")
                stored = (tmp_path / "model").read_bytes()
                sizes.setdefault((len(params), prior), []).append(len(stored))
                for value in (1.2345678901234, 9.8765432109876):
                    assert np.float64(value).tobytes() not in stored
                    assert repr(value).encode() not in stored
                assert b"s3cret-label" not in stored
                k = len(model.posterior_.names)
                # Each draw: its parameters, five statistics as floats and eleven bytes of the others.
                assert len(stored) < 400 * (8 * k + 40 + 11) + 20_000
                assert len(stored) < len(pickle.dumps(model))
    for small, large in sizes.values():
        assert abs(large - small) < 500


def test_members_of_the_file(tmp_path):
    fitted("formula").save(tmp_path / "model")
    with zipfile.ZipFile(tmp_path / "model") as archive:
        assert {Path(name).suffix for name in archive.namelist()} == {".json", ".npy"}


READER = """
import sys, json
import bayesglm
model = bayesglm.load(sys.argv[1])
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
import pandas as pd
rows = pd.read_csv(sys.argv[2])
print(json.dumps([model.predict(rows).tolist(), model.predict_interval(rows).tolist(),
                  model.sample_posterior(3)["posterior"]["sigma"].values.tolist()]))
"""


@pytest.mark.parametrize("name", ["frame", "formula"])
def test_a_fresh_process(name, tmp_path):
    import json

    model, rows = fitted(name), rows_of(name)
    model.save(tmp_path / "model")
    rows.to_csv(tmp_path / "rows.csv", index=False, float_format="%.17g")
    found = subprocess.run(
        [sys.executable, "-c", READER, str(tmp_path / "model"), str(tmp_path / "rows.csv")],
        capture_output=True,
        check=True,
        text=True,
        cwd=ROOT,
    )
    modules, numbers = map(json.loads, found.stdout.splitlines())
    assert not {"arviz", "xarray", "matplotlib", *(["patsy"] if name == "frame" else [])} & set(modules)
    mean, ends, more = map(np.array, numbers)
    np.testing.assert_allclose(mean, model.predict(rows), rtol=1e-12)
    np.testing.assert_allclose(ends, model.predict_interval(rows), rtol=1e-12)
    np.testing.assert_allclose(more, sigmas(model, 3), rtol=1e-12)


def test_weights_and_names_are_there(tmp_path):
    assert list(by_file(fitted("frame"), tmp_path).feature_names_in_) == list(COLUMNS.columns)
    assert by_file(fitted("frequencies"), tmp_path).posterior_.weight == pytest.approx(WEIGHTS.sum())
    assert by_file(fitted("two responses"), tmp_path).posterior_.responses == tuple(BOTH.columns)
    with pytest.raises(ValueError, match="feature names"):
        by_file(fitted("frame"), tmp_path).predict(COLUMNS.rename(columns={"a": "q"}))


def test_over_an_existing_file(tmp_path):
    fitted("arrays").save(tmp_path / "model")
    fitted("formula").save(str(tmp_path / "model"))
    assert load(str(tmp_path / "model")).formula is not None
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "missing")
    with pytest.raises(TypeError, match="path must be"):
        load(3)

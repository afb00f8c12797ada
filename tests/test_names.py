"""What coefficients are called: beside ``coef_``, and in ArviZ as one variable or each under its own name."""

import pickle

import arviz as az
import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayesglm import (
    BayesianGLM,
    BayesianLinearRegression,
    BayesianLogisticRegression,
    BayesianNegativeBinomialRegressor,
    Horseshoe,
    load,
)
from bayesglm.arviz_export import to_arviz
from bayesglm.model_selection import LooSearch

ARVIZ_1 = int(az.__version__.split(".")[0]) >= 1
FEW = {"draws": 50, "random_state": 0}
RNG = np.random.default_rng(0)
FRAME = pd.DataFrame({"x": RNG.normal(size=60), "z": RNG.normal(size=60), "g": list("abc") * 20})
FRAME["y"] = 1.0 + 2.0 * FRAME["x"] + RNG.normal(size=60)
FRAME["k"] = RNG.poisson(2.0, size=60)
FRAME["label"] = np.array(["ash", "birch", "cedar"])[RNG.integers(3, size=60)]
FORMULA = "y ~ x + C(g)"
COLUMNS = ["C(g)[T.b]", "C(g)[T.c]", "x"]

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def model():
    return BayesianLinearRegression(FORMULA, **FEW).fit(FRAME)


def groups(exported):
    """Names of the groups, under either ArviZ."""
    names = exported.children if hasattr(exported, "children") else exported.groups()
    return {name.strip("/") for name in names}


# -- beside coef_ ----------------------------------------------------------------------------------------


Y = FRAME["y"].to_numpy()
FITS = {
    "formula": (lambda: BayesianLinearRegression(FORMULA, **FEW).fit(FRAME), COLUMNS),
    "frame": (lambda: BayesianLinearRegression(**FEW).fit(FRAME[["z", "x"]], Y), ["z", "x"]),
    "array": (lambda: BayesianLinearRegression(**FEW).fit(FRAME[["z", "x"]].to_numpy(), Y), ["x0", "x1"]),
    "responses": (lambda: BayesianLinearRegression(**FEW).fit(FRAME[["z", "x"]], np.c_[Y, -Y]), ["z", "x"]),
    "counts": (lambda: BayesianNegativeBinomialRegressor("k ~ x + C(g)", **FEW).fit(FRAME), COLUMNS),
    "glm": (lambda: BayesianGLM(family="poisson", **FEW).fit(FRAME[["x"]], FRAME["k"]), ["x"]),
    "classes": (lambda: BayesianLogisticRegression("label ~ x + C(g)", **FEW).fit(FRAME), COLUMNS),
    "intercept alone": (lambda: BayesianLinearRegression("y ~ 1", **FEW).fit(FRAME), []),
}


@pytest.mark.parametrize("kind", FITS)
def test_coef_names_are_those_of_the_columns_of_coef(kind, tmp_path):
    fit, names = FITS[kind]
    model = fit()
    model.save(tmp_path / "model")
    for twin in (model, load(tmp_path / "model"), pickle.loads(pickle.dumps(model))):
        assert isinstance(twin.coef_names_, np.ndarray)
        assert twin.coef_names_.tolist() == names
        assert np.shape(twin.coef_)[-1] == len(names)
    means = model.summary().to_frame()["mean"]
    for name, value in zip(names, np.atleast_2d(model.coef_)[0], strict=True):
        assert any(
            found == pytest.approx(value)
            for row, found in means.items()
            if row == name or row.startswith((f"{name}[", f"y0: {name}"))
        ), name


def test_there_are_no_names_before_fit():
    assert not hasattr(BayesianLinearRegression(), "coef_names_")
    assert not hasattr(BayesianLogisticRegression(), "coef_names_")


# -- each a variable of its own --------------------------------------------------------------------------


def test_each_coefficient_is_a_variable_under_its_own_name(model):
    found = model.to_arviz(FRAME, prior=True, names="terms")
    for group in ("posterior", "prior", "log_prior"):
        assert set(found[group].data_vars) == {"Intercept", *COLUMNS, "sigma"}
        usual = model.to_arviz(FRAME, prior=True)[group]["coef"]
        for name in COLUMNS:
            assert found[group][name].dims == ("chain", "draw")
            np.testing.assert_array_equal(found[group][name].values, usual.sel(feature=name).values)
    assert list(found["posterior"].data_vars) == ["Intercept", *COLUMNS, "sigma"]
    assert list(az.summary(found).index) == ["Intercept", *COLUMNS, "sigma"]
    assert "coef" in model.to_arviz(FRAME)["posterior"]
    own, more = (model.sample_posterior(draws, names="terms")["posterior"] for draws in (None, 7))
    np.testing.assert_array_equal(own["x"].values, found["posterior"]["x"].values)
    assert more["x"].shape == (4, 7)


@pytest.mark.filterwarnings("ignore")
def test_lines_of_the_tutorials_of_pymc_and_bambi_work_as_they_stand(model):
    idata = BayesianLinearRegression("y ~ x", **FEW).fit(FRAME).to_arviz(FRAME, names="terms")
    x = xr.DataArray(FRAME["x"].to_numpy(), dims="obs")
    idata.posterior["y_model"] = idata.posterior["Intercept"] + idata.posterior["x"] * x
    assert idata.posterior["y_model"].dims == ("chain", "draw", "obs")
    if ARVIZ_1:
        az.plot_lm(idata, x="x", y="y")
        az.plot_trace_dist(idata, var_names=["x"])
        table = az.psense_summary(idata, var_names=["Intercept", "x", "sigma"])
        assert list(table.index) == ["Intercept", "x", "sigma"]
    else:
        az.plot_lm(idata=idata, y="y", num_samples=20, y_model="y_model")
        titles = [ax.get_title() for ax in az.plot_trace(idata, var_names=["x"]).flat]
        assert titles == ["x", "x"]
    az.plot_forest(idata, var_names=["x", "sigma"])
    assert list(az.summary(idata, var_names=["x", "Intercept"]).index) == ["x", "Intercept"]
    az.loo(idata)
    plt.close("all")


@pytest.mark.parametrize("auxiliary", ["sigma", "phi"])
def test_a_name_that_is_taken_gets_an_underscore(auxiliary, tmp_path):
    taken = ["Intercept", "coef", auxiliary, "chain", "obs", "feature", "response", "class", "a/b", "free"]
    frame = pd.DataFrame(RNG.normal(size=(60, len(taken))), columns=taken)
    kind = BayesianLinearRegression if auxiliary == "sigma" else BayesianNegativeBinomialRegressor
    model = kind(**FEW).fit(frame, FRAME["k"])
    found = model.to_arviz(frame, FRAME["k"], prior=True, names="terms")
    shown = [*(f"{name}_" for name in taken[:-2]), "a_b", "free"]
    assert list(found["posterior"].data_vars) == ["Intercept", *shown, auxiliary]
    draws = model.posterior_.draws
    for j, name in enumerate(shown):
        np.testing.assert_array_equal(found["posterior"][name].values, draws["coef"][..., j])
    for name in ("Intercept", auxiliary):
        np.testing.assert_array_equal(found["posterior"][name].values, draws[name])
    assert (
        set(found["prior"].data_vars)
        == set(found["log_prior"].data_vars)
        == set(found["posterior"].data_vars)
    )
    if not ARVIZ_1:
        pytest.importorskip("h5netcdf")
    found.to_netcdf(tmp_path / "file.nc")
    assert set(az.from_netcdf(tmp_path / "file.nc")["posterior"].data_vars) == set(
        found["posterior"].data_vars
    )


def test_names_that_occur_again_are_numbered():
    features = ["x", "x", "x (2)", "a/b", "a_b", "sigma", "sigma_"]
    draws = {"coef": RNG.normal(size=(2, 5, 7)), "sigma": np.ones((2, 5))}
    found = to_arviz({"posterior": draws}, features=features, names="terms")["posterior"]
    own = ["x", "x (2)", "x (2) (2)", "a_b", "a_b (2)", "sigma_", "sigma_ (2)"]
    assert list(found.data_vars) == [*own, "sigma"]
    np.testing.assert_array_equal(found["x (2)"].values, draws["coef"][..., 1])


def test_several_responses_and_classes_keep_their_dimension():
    Y = FRAME[["y", "k"]]
    found = (
        BayesianLinearRegression("x + C(g)", **FEW)
        .fit(FRAME, Y)
        .to_arviz(FRAME, Y, prior=True, names="terms")
    )
    for group in ("posterior", "prior", "log_prior"):
        assert found[group]["x"].dims == found[group]["sigma"].dims == ("chain", "draw", "response")
        assert found[group]["response"].values.tolist() == ["y", "k"]
    classes = BayesianLogisticRegression("label ~ x + C(g)", **FEW).fit(FRAME)
    found, usual = (classes.to_arviz(FRAME, prior=True, names=names) for names in ("terms", "coef"))
    for group in ("posterior", "prior", "log_prior"):
        assert found[group]["x"].dims == found[group]["Intercept"].dims == ("chain", "draw", "class")
        np.testing.assert_array_equal(
            found[group]["x"].values, usual[group]["coef"].sel(feature="x").values, err_msg=group
        )
    assert list(found["posterior"].data_vars) == ["Intercept", *COLUMNS]


def test_what_a_prior_learns_keeps_its_name():
    model = BayesianLinearRegression(prior=Horseshoe(), **FEW).fit(FRAME[["x", "z"]], FRAME["y"])
    found = model.to_arviz(FRAME[["x", "z"]], FRAME["y"], names="terms")
    learned = set(model.posterior_.draws) - {"Intercept", "coef", "sigma"}
    assert learned
    assert set(found["posterior"].data_vars) == {"Intercept", "x", "z", "sigma"} | learned
    assert "coef" not in found["log_prior"], "coefficients have no prior of their own there"


def test_very_many_columns():
    X, y = RNG.normal(size=(30, 300)), RNG.normal(size=30)
    found = BayesianLinearRegression(draws=5, random_state=0).fit(X, y).to_arviz(names="terms")
    assert len(found["posterior"].data_vars) == 302
    assert found["posterior"]["x299"].shape == (4, 5)


@pytest.mark.parametrize("kind", [BayesianLinearRegression, BayesianNegativeBinomialRegressor])
def test_other_namings_are_refused(kind):
    model = kind("k ~ x", **FEW).fit(FRAME)
    for call in (
        lambda: model.to_arviz(FRAME, names="term"),
        lambda: model.to_arviz(names=None),
        lambda: model.sample_posterior(names=["x"]),
    ):
        with pytest.raises(ValueError, match=r"^names must be 'coef' or 'terms'; got "):
            call()


# -- without rows ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [BayesianLinearRegression, BayesianNegativeBinomialRegressor])
def test_without_rows_there_are_posterior_and_statistics(kind):
    model = kind("k ~ x", **FEW).fit(FRAME)
    found = model.to_arviz()
    assert groups(found) == {"posterior", "sample_stats"}
    for name, values in model.posterior_.draws.items():
        np.testing.assert_array_equal(found["posterior"][name].values, values)
    found["posterior"]["coef"].values[:] = 0.0
    assert np.all(model.posterior_.draws["coef"] != 0.0)
    with_prior = model.to_arviz(prior=True)
    assert groups(with_prior) == {"posterior", "sample_stats", "prior"}
    assert with_prior["prior"]["coef"].shape == (4, 50, 1)
    again, other = (
        model.to_arviz(prior=True, random_state=seed)["prior"]["coef"].values for seed in (None, 1)
    )
    np.testing.assert_array_equal(with_prior["prior"]["coef"].values, again)
    assert not np.any(other == again)
    for name, value in {"y": FRAME["k"], "sample_weight": np.ones(60)}.items():
        with pytest.raises(ValueError, match=rf"^{name} is given without the rows .*give X as well"):
            model.to_arviz(**{name: value})
    with pytest.raises(TypeError, match=r"^prior must be True or False"):
        model.to_arviz(prior="yes")


def test_what_rows_bring_needs_rows():
    model = BayesianNegativeBinomialRegressor("k ~ x", **FEW).fit(FRAME)
    with pytest.raises(ValueError, match=r"^exposure is given without the rows .*give X as well"):
        model.to_arviz(exposure=np.ones(60))
    for rows in ((), (FRAME,)):
        with pytest.raises(TypeError, match=r"^to_arviz has no argument 'exposures'"):
            model.to_arviz(*rows, exposures=np.ones(60))


def test_several_responses_without_rows():
    model = BayesianLinearRegression("x", **FEW).fit(FRAME, FRAME[["y", "k"]])
    found = model.to_arviz(prior=True)
    assert (
        found["posterior"]["coef"].dims
        == found["prior"]["coef"].dims
        == ("chain", "draw", "response", "feature")
    )


@pytest.mark.filterwarnings("ignore:PSIS-LOO is not reliable")
def test_a_search_hands_names_on():
    search = LooSearch(BayesianLinearRegression("y ~ x", **FEW), {"prior_scale": [1.0, 2.0]}).fit(FRAME)
    assert "x" in search.sample_posterior(names="terms")["posterior"]
    assert "x" in search.to_arviz(names="terms")["posterior"]
    assert "x" in search.to_arviz(FRAME, names="terms")["log_prior"]


def test_nothing_is_handed_out_before_fit():
    from sklearn.exceptions import NotFittedError

    with pytest.raises(NotFittedError):
        BayesianLinearRegression().to_arviz()

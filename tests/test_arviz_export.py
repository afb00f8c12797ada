"""The exported object has ArviZ's shape and works in its functions, on 0.x and on 1.x."""

import os
import subprocess
import sys
import warnings
from importlib.util import find_spec

import matplotlib

matplotlib.use("Agg")

import arviz as az
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from scipy.stats import halfnorm, norm

from bayesglm._version import __version__
from bayesglm.arviz_export import to_arviz

ARVIZ_1 = int(az.__version__.split(".")[0]) >= 1
needs_arviz_1 = pytest.mark.skipif(not ARVIZ_1, reason="only ArviZ 1.x has this")
needs_netcdf = pytest.mark.skipif(not all(map(find_spec, ("h5py", "h5netcdf"))), reason="files need both")

FEATURES = ("age", "np.log(a/b)", "C(group)[T.b]")
CHAINS, DRAWS, ROWS = 4, 150, 12
ATTRS = {"sampling_time": 0.25, "tuning_steps": 300, "sampler": "diagonal"}


def make_groups(features=FEATURES, response="y", chains=CHAINS, draws=DRAWS, rows=ROWS, seed=0):
    """Draws around a known line, and every group that an estimator may hand over."""
    rng = np.random.default_rng(seed)
    p, shape = len(features), (chains, draws)
    X = rng.normal(size=(rows, p))
    y = 1.0 + X @ np.arange(1.0, p + 1) + rng.normal(size=rows)

    def parameters(scale):
        return {
            "Intercept": rng.normal(1.0, scale, shape),
            "coef": rng.normal(np.arange(1.0, p + 1), scale, (*shape, p)),
            "sigma": np.exp(rng.normal(0.0, scale, shape)),
        }

    def lines(values):
        return values["Intercept"][..., np.newaxis] + values["coef"] @ X.T

    posterior, prior = parameters(0.1), parameters(1.0)
    noise = rng.normal(size=(*shape, rows))
    return {
        "posterior": posterior,
        "sample_stats": {
            "lp": rng.normal(size=shape),
            "acceptance_rate": rng.uniform(size=shape),
            "step_size": np.full(shape, 0.5),
            "tree_depth": np.full(shape, 3.0),
            "n_steps": np.full(shape, 7, dtype=np.int32),
            "index_in_trajectory": np.zeros(shape, dtype=np.int8),
            "diverging": np.zeros(shape, dtype=np.int8),
            "reached_max_treedepth": np.zeros(shape),
            "energy": rng.normal(size=shape),
            "max_energy_error": rng.normal(size=shape),
        },
        "observed_data": {response: y},
        "constant_data": {"X": X},
        "posterior_predictive": {response: lines(posterior) + posterior["sigma"][..., np.newaxis] * noise},
        "log_likelihood": {response: norm.logpdf(y, lines(posterior), posterior["sigma"][..., np.newaxis])},
        "log_prior": {
            "Intercept": norm.logpdf(posterior["Intercept"], 1.0, 1.0),
            "coef": norm.logpdf(posterior["coef"], 0.0, 3.0),
            "sigma": halfnorm.logpdf(posterior["sigma"]),
        },
        "prior": prior,
        "prior_predictive": {response: lines(prior) + prior["sigma"][..., np.newaxis] * noise},
    }


@pytest.fixture(scope="module")
def groups():
    return make_groups()


@pytest.fixture(scope="module")
def exported(groups):
    return to_arviz(groups, features=FEATURES, attrs=ATTRS)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def quiet():
    """Ignore what ArviZ 0.x makes of newer matplotlib and pandas, and its remarks on synthetic draws."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def group_names(exported):
    return set(exported.children) if ARVIZ_1 else set(exported.groups())


def dataset(exported, group):
    return exported[group].to_dataset() if ARVIZ_1 else exported[group]


def test_the_container_is_the_one_of_the_installed_version(exported):
    if ARVIZ_1:
        assert isinstance(exported, xr.DataTree)
    else:
        assert isinstance(exported, az.InferenceData)


def test_every_group_arrives(exported, groups):
    assert group_names(exported) == set(groups)
    for group, variables in groups.items():
        for name, values in variables.items():
            np.testing.assert_array_equal(exported[group][name].values, values, err_msg=f"{group}/{name}")


def test_groups_that_are_absent_or_empty_are_left_out(groups):
    few = {
        "posterior": groups["posterior"],
        "sample_stats": groups["sample_stats"],
        "prior": None,
        "log_prior": {},
    }
    assert group_names(to_arviz(few, features=FEATURES)) == {"posterior", "sample_stats"}


def test_dimensions_and_coordinates(exported):
    for group in ("posterior", "prior", "log_prior"):
        assert exported[group]["coef"].dims == ("chain", "draw", "feature")
        assert exported[group]["Intercept"].dims == exported[group]["sigma"].dims == ("chain", "draw")
        assert exported[group]["feature"].values.tolist() == list(FEATURES)
    for group in ("posterior_predictive", "prior_predictive", "log_likelihood"):
        assert exported[group]["y"].dims == ("chain", "draw", "obs")
    assert exported["observed_data"]["y"].dims == ("obs",)
    assert exported["constant_data"]["X"].dims == ("obs", "feature")
    assert exported["sample_stats"]["lp"].dims == ("chain", "draw")
    assert exported["posterior"]["coef"].sel(feature="age").shape == (CHAINS, DRAWS)
    np.testing.assert_array_equal(exported["posterior"]["chain"], np.arange(CHAINS))
    np.testing.assert_array_equal(exported["posterior"]["draw"], np.arange(DRAWS))
    np.testing.assert_array_equal(exported["observed_data"]["obs"], np.arange(ROWS))


def test_statistics_have_the_types_arviz_expects(exported):
    statistics = exported["sample_stats"]
    for name in ("diverging", "reached_max_treedepth"):
        assert statistics[name].dtype == bool
    for name in ("tree_depth", "n_steps", "index_in_trajectory"):
        assert statistics[name].dtype == np.int64
    assert statistics["energy"].dtype == float


def test_log_prior_may_have_one_value_for_all_coefficients(groups):
    total = {**groups["log_prior"], "coef": groups["log_prior"]["coef"].sum(axis=-1)}
    exported = to_arviz({"posterior": groups["posterior"], "log_prior": total}, features=FEATURES)
    assert exported["log_prior"]["coef"].dims == ("chain", "draw")


def test_an_unforeseen_variable_gets_generic_dimensions(groups):
    exported = to_arviz(
        {"posterior": {**groups["posterior"], "tau": np.zeros((CHAINS, DRAWS, 2))}}, features=FEATURES
    )
    assert exported["posterior"]["tau"].dims == ("chain", "draw", "tau_dim_0")


def test_changing_the_result_leaves_the_estimator_alone(groups):
    before = {name: values.copy() for name, values in groups["posterior"].items()}
    exported = to_arviz(groups, features=FEATURES)
    for group in ("posterior", "sample_stats", "observed_data", "constant_data"):
        for name, values in groups[group].items():
            assert not np.shares_memory(exported[group][name].values, values)
    exported["posterior"]["coef"].values[...] = 0.0
    for name, values in before.items():
        np.testing.assert_array_equal(groups["posterior"][name], values)


def test_attributes(exported):
    for attrs in (exported.attrs, exported["posterior"].attrs, exported["sample_stats"].attrs):
        assert attrs["inference_library"] == "bayesglm"
        assert attrs["inference_library_version"] == __version__
        assert attrs["created_at"].startswith("20")
        assert {name: attrs[name] for name in ATTRS} == ATTRS
    assert exported["prior"].attrs["inference_library"] == "bayesglm"
    assert "sampling_time" not in exported["prior"].attrs


def test_nothing_warns_even_with_more_chains_than_draws():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        to_arviz(make_groups(chains=5, draws=3), features=FEATURES)


def test_importing_the_module_imports_nothing_heavy():
    # scikit-learn imports pandas by itself where it is installed.
    heavy = {"arviz", "xarray", "matplotlib"}
    code = f"import sys, bayesglm.arviz_export; print({heavy} & set(sys.modules))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert run.stdout.strip() == "set()"


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(
    ("response", "shown"),
    [("price", "price"), ("X", "X"), ("np.log(a / b)", "np.log(a _ b)"), ("", "y")]
    + [(taken, taken + "_") for taken in ("chain", "draw", "obs", "feature", "Intercept", "coef", "sigma")],
)
def test_the_response_keeps_its_name_unless_it_is_taken(response, shown):
    exported = to_arviz(make_groups(response=response), features=FEATURES, response=response)
    for group in ("observed_data", "posterior_predictive", "prior_predictive", "log_likelihood"):
        assert list(dataset(exported, group).data_vars) == [shown]
    assert set(dataset(exported, "posterior").data_vars) == {"Intercept", "coef", "sigma"}
    az.loo(exported)


def test_columns_stand_under_their_own_names_where_they_can():
    features = ("age", "obs", "feature", "draw", "X", "y", "a/b", "weights", "sigma", "twice", "twice")
    groups = make_groups(features=features)
    groups["constant_data"]["weights"] = np.full(ROWS, 2.0)
    exported = to_arviz(groups, features=features)
    constant = dataset(exported, "constant_data")
    assert set(constant.data_vars) == {"X", "weights", "age", "twice", "twice (2)", "sigma"}
    np.testing.assert_array_equal(constant["age"], groups["constant_data"]["X"][:, 0])
    np.testing.assert_array_equal(constant["twice (2)"], groups["constant_data"]["X"][:, 10])
    np.testing.assert_array_equal(constant["weights"], 2.0)
    assert constant["X"].shape == (ROWS, len(features))
    assert len(az.summary(exported)) == len(features) + 2


def test_very_many_columns_appear_in_the_matrix_only():
    features = [f"x{j}" for j in range(101)]
    exported = to_arviz(make_groups(features=features, draws=10), features=features)
    assert list(dataset(exported, "constant_data").data_vars) == ["X"]


@pytest.mark.usefixtures("quiet")
def test_a_model_of_the_intercept_alone():
    exported = to_arviz(make_groups(features=()), features=())
    assert "constant_data" not in group_names(exported)
    assert set(dataset(exported, "posterior").data_vars) == {"Intercept", "sigma"}
    assert list(az.summary(exported).index) == ["Intercept", "sigma"]
    az.plot_trace(exported)
    az.loo(exported)


def test_a_model_without_intercept(groups):
    posterior = {name: values for name, values in groups["posterior"].items() if name != "Intercept"}
    exported = to_arviz({**groups, "posterior": posterior}, features=FEATURES)
    assert set(dataset(exported, "posterior").data_vars) == {"coef", "sigma"}


LABELS = pytest.mark.parametrize(
    "labels",
    [
        np.arange(100, 100 + ROWS),
        [f"row {i}" for i in range(ROWS)],
        np.arange(ROWS).astype("datetime64[D]"),
        [("a", i) for i in range(ROWS)],
        [("a",) * (1 + i % 2) for i in range(ROWS)],
        [None, *range(ROWS - 1)],
        ["same"] * ROWS,
        [True] * ROWS,
    ],
    ids=["integers", "strings", "dates", "tuples", "ragged", "mixed", "duplicates", "booleans"],
)


@pytest.mark.usefixtures("quiet")
@LABELS
def test_labels_of_rows(groups, labels):
    exported = to_arviz(groups, features=FEATURES, observations=labels)
    found = exported["observed_data"]["obs"].values
    assert found.shape == (ROWS,)
    if isinstance(labels, np.ndarray):
        np.testing.assert_array_equal(found, labels)
    else:
        assert found.tolist() == [str(label) for label in labels]
    az.loo(exported)


def test_labels_of_a_frame(groups):
    pd = pytest.importorskip("pandas")
    for index in (
        pd.RangeIndex(ROWS),
        pd.Index(list("abcdefghijkl")),
        pd.CategoricalIndex(list("abcdefghijkl")),
        pd.date_range("2026-01-01", periods=ROWS, tz="Europe/Berlin"),
        pd.MultiIndex.from_product([list("ab"), range(ROWS // 2)]),
    ):
        found = to_arviz(groups, features=FEATURES, observations=index)["observed_data"]["obs"].values
        assert [str(label) for label in found] == [str(label) for label in index]


def test_a_wrong_number_of_labels_is_refused(groups):
    with pytest.raises(ValueError, match="one label for each of the 12 rows, got 3"):
        to_arviz(groups, features=FEATURES, observations=[1, 2, 3])


@LABELS
@needs_netcdf
def test_labels_survive_a_file(groups, labels, tmp_path):
    exported = to_arviz(groups, features=FEATURES, observations=labels)
    exported.to_netcdf(tmp_path / "file.nc")
    again = az.from_netcdf(tmp_path / "file.nc")
    np.testing.assert_array_equal(
        again["log_likelihood"]["obs"].values, exported["log_likelihood"]["obs"].values
    )


@needs_netcdf
@pytest.mark.parametrize(
    ("features", "response"),
    [
        ((), "y"),
        (("a/b", "twice", "twice", "obs", " x ", "C(g)[T.é]"), "y"),
        (FEATURES, "np.log(a / b)"),
        (FEATURES, "coef"),
        (FEATURES, "obs"),
    ],
)
def test_awkward_names_survive_a_file(features, response, tmp_path):
    exported = to_arviz(make_groups(features, response), features=features, response=response)
    exported.to_netcdf(tmp_path / "file.nc")
    again = az.from_netcdf(tmp_path / "file.nc")
    for group in group_names(exported):
        assert set(dataset(exported, group).variables) == set(dataset(again, group).variables)


@needs_netcdf
def test_netcdf_round_trip(exported, groups, tmp_path):
    exported.to_netcdf(tmp_path / "file.nc")
    again = az.from_netcdf(tmp_path / "file.nc")
    assert group_names(again) == set(groups)
    for group in groups:
        one, two = dataset(exported, group), dataset(again, group)
        assert set(one.data_vars) == set(two.data_vars)
        for name in one.data_vars:
            np.testing.assert_array_equal(one[name].values, two[name].values)
            assert one[name].dtype == two[name].dtype
    assert again["posterior"].attrs["sampler"] == "diagonal"
    assert again.attrs["tuning_steps"] == 300


@needs_netcdf
def test_attributes_that_netcdf_cannot_hold_are_made_to_fit(groups, tmp_path):
    attrs = {
        "a": None,
        "b": True,
        "c": {"x": 1},
        "d": np.float64(2.0),
        "e": np.arange(3),
        "f": (1, 2),
        "g": 1j,
    }
    exported = to_arviz({"posterior": groups["posterior"]}, features=FEATURES, attrs=attrs)
    exported.to_netcdf(tmp_path / "file.nc")
    found = exported["posterior"].attrs
    assert "a" not in found
    assert (found["b"], found["c"], found["d"], found["f"], found["g"]) == (
        1,
        "{'x': 1}",
        2.0,
        "(1, 2)",
        "1j",
    )
    np.testing.assert_array_equal(found["e"], [0, 1, 2])


def test_summary_has_a_line_for_each_parameter(exported, groups):
    table = az.summary(exported)
    assert list(table.index) == ["Intercept", *(f"coef[{name}]" for name in FEATURES), "sigma"]
    assert abs(float(table["mean"].iloc[1]) - groups["posterior"]["coef"][..., 0].mean()) < 0.01


@pytest.mark.usefixtures("quiet")
def test_loo_and_compare(exported, groups):
    result = az.loo(exported, pointwise=True)
    other = to_arviz(make_groups(seed=1), features=FEATURES)
    table = az.compare({"one": exported, "two": other})
    assert set(table.index) == {"one", "two"}
    lppd = np.log(np.exp(groups["log_likelihood"]["y"]).mean(axis=(0, 1))).sum()
    elpd = result.elpd if ARVIZ_1 else result.elpd_loo
    assert abs(elpd - lppd) < 2.0


@pytest.mark.usefixtures("quiet")
def test_plots_of_draws(exported):
    az.plot_trace(exported)
    az.plot_forest(exported, var_names=["coef"])
    az.plot_energy(exported)
    (az.plot_rank_dist if ARVIZ_1 else az.plot_rank)(exported)


@pytest.mark.usefixtures("quiet")
def test_predictive_checks(exported):
    if ARVIZ_1:
        az.plot_ppc_dist(exported)
        az.plot_ppc_dist(exported, group="prior_predictive")
        az.plot_ppc_pit(exported)
        az.plot_loo_pit(exported)
    else:
        az.plot_ppc(exported)
        az.plot_ppc(exported, group="prior")
        az.plot_bpv(exported)
        az.plot_loo_pit(exported, y="y")


@pytest.mark.usefixtures("quiet")
def test_lines_against_a_predictor(exported):
    if ARVIZ_1:
        az.plot_lm(exported, x="age", y="y")
    else:
        az.plot_lm("y", idata=exported, x="age")


@pytest.mark.usefixtures("quiet")
def test_prior_against_posterior(exported):
    if ARVIZ_1:
        az.plot_prior_posterior(exported)
        assert az.bayes_factor(exported, var_names="Intercept", ref_vals=1.0) is not None
    else:
        az.plot_dist_comparison(exported, var_names=["sigma"])
        az.plot_bf(exported, var_name="Intercept", ref_val=1.0)


@needs_arviz_1
@pytest.mark.usefixtures("quiet")
def test_prior_sensitivity(exported):
    table = az.psense_summary(exported)
    assert list(table.index) == ["Intercept", *(f"coef[{name}]" for name in FEATURES), "sigma"]
    az.plot_psense_dist(exported, var_names=["sigma"])


@needs_arviz_1
@pytest.mark.usefixtures("quiet")
def test_diagnose_reads_the_statistics(groups, capsys):
    trouble = {**groups["sample_stats"], "reached_max_treedepth": np.ones((CHAINS, DRAWS), dtype=bool)}
    exported = to_arviz({**groups, "sample_stats": trouble}, features=FEATURES)
    az.diagnose(exported)
    printed = capsys.readouterr().out
    assert "treedepth" in printed.replace(" ", "").replace("_", "").lower()

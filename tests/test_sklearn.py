"""scikit-learn's own checks of estimators, what ours say they are, and their parameters."""

import pytest
from sklearn.base import BaseEstimator, clone, is_regressor
from sklearn.utils.estimator_checks import check_estimator

import bayesglm
from bayesglm import BayesianLinearRegression, Normal, StudentT

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:(?i).*the data are fitted"),
    pytest.mark.filterwarnings("ignore:(?i).*sd.y. = 0"),
]

QUICK = BayesianLinearRegression(draws=20, random_state=0)


# -- scikit-learn's checks -------------------------------------------------------------------------------

#: Every estimator of the package, found by its name in the package, and what it is checked with besides defaults.
ESTIMATORS = {
    name: kind
    for name, kind in vars(bayesglm).items()
    if isinstance(kind, type) and issubclass(kind, BaseEstimator)
}
VARIANTS = {
    "defaults": {},
    "no intercept": {"fit_intercept": False},
    "positive": {"positive": True, "draws": 50},
    "Laplace prior": {"prior": "laplace", "draws": 50},
    "Student-t prior": {"prior": StudentT(4, 0, 2.5), "draws": 50},
    "nearly flat prior": {"prior": Normal(0, 100.0), "sigma_prior": "half_cauchy"},
    "not centred": {"center": False, "intercept_prior": Normal(0, 10)},
    "two chains": {"chains": 2},
    "prior_scale": {"prior_scale": 1.0, "n_jobs": 1},
    "mapping": {"prior": {}, "draws": 50},
    "precision weights": {"weights_type": "precision", "draws": 50},
    "flat prior": {"prior": "flat", "draws": 50},
}
#: The same for the estimators of the general route, whose fits take longer.
GENERAL_VARIANTS = {
    "defaults": {"draws": 100},
    "NUTS": {"sampler": "nuts", "draws": 20, "chains": 2},
}
CHECKED = [
    pytest.param(kind, arguments, variant, id=f"{name}, {variant}")
    for name, kind in ESTIMATORS.items()
    for variant, arguments in (VARIANTS if kind is BayesianLinearRegression else GENERAL_VARIANTS).items()
]
#: What no estimator can do: a weight of two is no two rows if weights are precisions, and 15 rows of 30 columns
#: (that check's data) do not determine the coefficients under a flat prior, which is then an error.
EQUIVALENCE = {
    f"check_sample_weight_equivalence_on_{kind}_data": "the parameter asks for what the check excludes"
    for kind in ("dense", "sparse")
}
IMPOSSIBLE = {"precision weights": EQUIVALENCE, "flat prior": EQUIVALENCE}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.parametrize(("kind", "arguments", "variant"), CHECKED)
def test_check_estimator(kind, arguments, variant):
    expected = IMPOSSIBLE.get(variant, {})
    results = check_estimator(kind(**arguments), expected_failed_checks=expected, on_fail=None, on_skip=None)
    assert len(results) > 50
    failed = {r["check_name"]: repr(r["exception"])[:500] for r in results if r["status"] == "failed"}
    assert failed == {}
    assert {r["check_name"] for r in results if r["status"] == "xfail"} == expected.keys()
    assert {r["check_name"] for r in results if r["status"] == "skipped"} <= {"check_array_api_input"}


def test_what_it_says_it_is():
    tags = QUICK.__sklearn_tags__()
    assert is_regressor(QUICK)
    assert tags.input_tags.sparse
    assert not BayesianLinearRegression("x").__sklearn_tags__().input_tags.sparse
    assert tags.target_tags.multi_output
    assert tags.target_tags.required
    assert not tags.non_deterministic
    assert not BayesianLinearRegression("y ~ x").__sklearn_tags__().target_tags.required
    assert BayesianLinearRegression("x").__sklearn_tags__().target_tags.required
    assert BayesianLinearRegression("~ x").__sklearn_tags__().target_tags.required


def test_parameters_round_trip_and_nest():
    model = BayesianLinearRegression(prior=StudentT(4, 0, 2), sigma_prior="half_normal")
    params = model.get_params()
    assert params["prior__scale"] == 2
    assert params["prior__df"] == 4
    model.set_params(prior__scale=3.0, draws=7)
    assert model.prior.scale == 3.0
    twin = clone(model)
    assert twin.prior is not model.prior
    assert twin.get_params()["prior__scale"] == 3.0
    assert "StudentT" in repr(model)
    with pytest.raises(ValueError, match="Invalid parameter 'prior_width'"):
        model.set_params(prior_width=1)

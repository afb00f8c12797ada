"""From the estimator's prior arguments to bound priors: scales, names, messages, and the change of units."""

import numpy as np
import pytest
from scipy import stats

from bayesglm.inference.prior_set import resolve
from bayesglm.inference.sufficient import summarize
from bayesglm.kernel.positive_priors import PRIORS, Exponential, Gamma, HalfCauchy, HalfNormal, HalfStudentT
from bayesglm.kernel.priors import Cauchy, Flat, Laplace, Normal, StudentT

pytestmark = pytest.mark.filterwarnings("error")  # what a user would see of a fit

COLUMNS = ("x", "log(z)", "g[b]", "g[c]")
TERMS = {"x": [0], "log(z)": [1], "g": [2, 3]}


def data(intercept=True, n=40):
    rng = np.random.default_rng(0)
    X = np.column_stack(
        [10 * rng.normal(size=n) + 3, 0.1 * rng.normal(size=n), rng.random(n) < 0.3, rng.random(n) < 0.6]
    )
    y = 50 + 20 * rng.normal(size=n)
    return X, y, summarize(X, y, intercept=intercept)


X, Y, SUMMARY = data()
UNIT = Y.std() / X.std(axis=0)


def set_up(summary=SUMMARY, **arguments):
    return resolve(summary, COLUMNS, TERMS, **arguments)


def by_column(priors):
    """(type, loc, scale) of every coefficient's prior."""
    out = [None] * len(COLUMNS)
    for prior in priors.coef:
        for position, loc, scale in zip(*prior.bound[:3], strict=True):
            assert out[position] is None
            out[position] = (type(prior), loc, scale)
    assert None not in out
    return out


# -- defaults and scaling ---------------------------------------------------------------------------


def test_defaults():
    priors = set_up()
    for j, (cls, loc, scale) in enumerate(by_column(priors)):
        assert cls is Normal
        assert loc == 0.0
        assert scale == pytest.approx(2.5 * UNIT[j])
    assert priors.intercept.resolved() == Normal(priors.intercept.bound[1][0], priors.intercept.bound[2][0])
    assert priors.intercept.bound[1][0] == pytest.approx(Y.mean())
    assert priors.intercept.bound[2][0] == pytest.approx(2.5 * Y.std())
    assert isinstance(priors.sigma, HalfStudentT)
    assert priors.sigma.df == 4.0
    assert priors.sigma.bound[2][0] == pytest.approx(Y.std())
    assert priors.centred
    assert not priors.positive.any()
    assert not priors.exact_fit


def test_a_number_given_is_a_number_meant():
    priors = set_up(prior=Normal(1.0, 3.0), intercept_prior=Cauchy(2.0, 5.0), sigma_prior=HalfCauchy(10.0))
    assert by_column(priors) == [(Normal, 1.0, 3.0)] * 4
    assert (priors.intercept.bound[1][0], priors.intercept.bound[2][0]) == (2.0, 5.0)
    assert priors.sigma.bound[2][0] == 10.0


def test_autoscale_of_each_kind():
    priors = set_up(
        prior=Laplace(0.5, 2.0, autoscale=True),
        intercept_prior=StudentT(3.0, 1.0, 2.0, autoscale=True),
        sigma_prior=Exponential(0.5, autoscale=True),
    )
    for j, (cls, loc, scale) in enumerate(by_column(priors)):
        assert (cls, loc) == (Laplace, 0.5)
        assert scale == pytest.approx(2.0 * UNIT[j])
    assert priors.intercept.bound[1][0] == pytest.approx(1.0 + Y.mean())
    assert priors.intercept.bound[2][0] == pytest.approx(2.0 * Y.std())
    assert priors.sigma.bound[2][0] == pytest.approx(0.5 * Y.std())


def test_nothing_varies():
    """sd(y) = 0 and sd(x) = 0 count as 1."""
    constant_x = np.column_stack([np.full(9, 3.0), np.arange(9.0)])
    summary = summarize(constant_x, np.full(9, 7.0))
    priors = resolve(summary, ("a", "b"), {})
    np.testing.assert_allclose(priors.coef[0].bound[2], 2.5 / np.array([1.0, np.arange(9.0).std()]))
    assert priors.intercept.bound[2][0] == 2.5
    assert priors.intercept.bound[1][0] == 7.0


def test_weights_count_for_the_scale():
    w = np.random.default_rng(1).integers(0, 4, len(Y))
    weighted = resolve(summarize(X, Y, w.astype(float)), COLUMNS, TERMS)
    repeated = resolve(summarize(np.repeat(X, w, axis=0), np.repeat(Y, w)), COLUMNS, TERMS)
    np.testing.assert_allclose(weighted.coef[0].bound[2], repeated.coef[0].bound[2], rtol=1e-12)
    np.testing.assert_allclose(weighted.intercept.bound[1:3], repeated.intercept.bound[1:3], rtol=1e-12)


def test_without_an_intercept():
    priors = set_up(data(intercept=False)[2])
    assert priors.intercept is None
    np.testing.assert_allclose(priors.coef[0].bound[2], 2.5 * UNIT)
    assert [name for name, _ in priors.describe(COLUMNS)] == [*COLUMNS, "sigma"]
    assert [name for name, _ in priors.describe(COLUMNS, most=2)] == ["coef", "sigma"]


def test_center():
    assert set_up(intercept_prior=Normal(), center=True).centred
    assert not set_up(intercept_prior=Normal(), center=False).centred
    # The default prior knows where the data are, so it always speaks of their centre.
    assert set_up(center=False).centred


# -- one prior, names of priors, mappings ---------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(PRIORS))
def test_priors_by_name(name):
    for j, (cls, _, scale) in enumerate(by_column(set_up(prior=name))):
        assert cls is PRIORS[name]
        if name != "flat":
            assert scale == pytest.approx(2.5 * UNIT[j])
    if PRIORS[name].positive or name == "flat":
        sigma = set_up(sigma_prior=name).sigma
        assert type(sigma) is PRIORS[name]
        if name != "flat":
            assert sigma.bound[2][0] == pytest.approx(Y.std())


def test_mapping_from_terms_and_columns():
    priors = set_up(prior={"g": Laplace(0, 2.0), "x": Cauchy(1.0, 3.0), "g[c]": Normal(5.0, 6.0)})
    assert by_column(priors)[0] == (Cauchy, 1.0, 3.0)
    assert by_column(priors)[1] == (Normal, 0.0, pytest.approx(2.5 * UNIT[1]))
    assert by_column(priors)[2] == (Laplace, 0.0, 2.0)
    assert by_column(priors)[3] == (Normal, 5.0, 6.0)  # a column's own name comes before its term's
    assert priors.labels == ("coef[g]", "coef[x]", "coef[g[c]]", "coef, all others")


def test_order_of_a_mapping_does_not_matter():
    forth = {"g[c]": Normal(5.0, 6.0), "g": Laplace(0, 2.0), "x": "cauchy"}
    back = dict(reversed(forth.items()))
    assert by_column(set_up(prior=forth)) == by_column(set_up(prior=back))


def test_mappings_of_other_kinds():
    arrays = set_up(prior={"g": Normal([1.0, 2.0], [3.0, 4.0])})
    assert by_column(arrays)[2:] == [(Normal, 1.0, 3.0), (Normal, 2.0, 4.0)]
    every_column_of_a_term = set_up(prior={"g": Laplace(), "g[b]": Normal(1, 1), "g[c]": Normal(2, 2)})
    assert by_column(every_column_of_a_term)[2:] == [(Normal, 1.0, 1.0), (Normal, 2.0, 2.0)]
    assert by_column(set_up(prior={})) == by_column(set_up())


def test_prior_scale_replaces_scales():
    priors = set_up(prior_scale=0.5)
    for j, (cls, _, scale) in enumerate(by_column(priors)):
        assert cls is Normal
        assert scale == pytest.approx(0.5 * UNIT[j])
    assert by_column(set_up(prior=StudentT(3.0, 1.0, 9.0), prior_scale=2))[0] == (StudentT, 1.0, 2.0)
    mapped = set_up(prior={"g": Laplace(0, 2.0)}, prior_scale=np.float32(0.25))
    assert by_column(mapped)[3] == (Laplace, 0.0, 0.25)
    assert by_column(mapped)[0][2] == pytest.approx(0.25 * UNIT[0])
    # intercept and sigma are not coefficients
    assert priors.intercept.bound[2][0] == pytest.approx(2.5 * Y.std())


def test_arguments_are_not_changed():
    prior, mapping = Normal(0, 1, autoscale=True), {"g": Laplace(0, 2.0)}
    set_up(prior=prior, prior_scale=3.0)
    set_up(prior=mapping, prior_scale=3.0)
    assert prior == Normal(0, 1, autoscale=True)
    assert prior.bound is None
    assert mapping == {"g": Laplace(0, 2.0)}


def test_positive():
    priors = set_up(positive=True)
    assert all(cls is HalfNormal for cls, _, _ in by_column(priors))
    assert priors.positive.all()
    cut = set_up(prior=Normal(0.0, 2.0), positive=True)
    assert cut.coef[0].bound[3]
    assert ", cut off below 0" in dict(cut.describe(COLUMNS))["coef"]
    some = set_up(prior={"x": HalfNormal(2.0), "g": Gamma(2.0, 1.0)})
    np.testing.assert_array_equal(some.positive, [True, False, True, True])
    assert some.standardised(SUMMARY).gaussian() is None


# -- a perfect fit ----------------------------------------------------------------------------------------


def test_a_perfect_fit_bounds_sigma_by_rounding():
    y = X @ [1.0, 2.0, -1.0, 0.5] + 4.0
    summary = summarize(X, y)
    for given in (None, HalfNormal(1.0), HalfCauchy(3.0), "flat"):
        priors = resolve(summary, COLUMNS, TERMS, sigma_prior=given)
        assert priors.exact_fit
        assert 0 < priors.sigma.bound[2][0] < 1e-11
    # Coefficients that must be positive cannot reach the least-squares fit if that is negative somewhere.
    bounded = resolve(summary, COLUMNS, TERMS, positive=True, sigma_prior=HalfNormal(1.0))
    assert not bounded.exact_fit
    assert bounded.sigma.bound[2][0] == 1.0
    elsewhere = {"x": HalfNormal(), "log(z)": HalfNormal()}
    assert resolve(summary, COLUMNS, TERMS, prior=elsewhere).exact_fit


# -- messages -----------------------------------------------------------------------------------------------

BAD = [
    ({"prior": "norml"}, ValueError, "prior='norml' is not the name of a prior; did you mean 'normal'"),
    ({"prior": "qqq"}, ValueError, "prior='qqq' is not the name of a prior; known are flat, normal, "),
    (
        {"prior": 3.0},
        TypeError,
        r"prior must be a prior such as Normal\(0, 1\), the name of one, or None; got 3.0",
    ),
    ({"prior": [Normal()]}, TypeError, "prior must be a prior such as"),
    (
        {"prior": Normal},
        TypeError,
        r"prior must be a prior, not the class Normal: write one such as Normal\(0, 1\)",
    ),
    ({"prior": stats.norm(0, 1)}, TypeError, "prior must be a prior such as"),
    ({"prior": Normal(0, -1)}, ValueError, "prior: scale must be positive; got -1"),
    (
        {"prior": Normal(0, [1.0, 2.0])},
        ValueError,
        r"prior: scale has shape \(2,\), but there are 4 coefficients",
    ),
    (
        {"prior": {"y": Normal()}},
        ValueError,
        r"prior\['y'\]: no column or term of that name; there are 'x', 'log\(z\)'",
    ),
    ({"prior": {"log(y)": Normal()}}, ValueError, r"prior\['log\(y\)'\]: .* did you mean 'log\(z\)'"),
    ({"prior": {3: Normal()}}, ValueError, r"prior\[3\]: no column or term of that name"),
    (
        {"prior": {"Intercept": Normal()}},
        ValueError,
        r"prior\['Intercept'\]: give the intercept's prior as intercept_prior",
    ),
    ({"prior": {"x": 2.0}}, TypeError, r"prior\['x'\] must be a prior such as"),
    ({"prior": {"x": None}}, TypeError, r"prior\['x'\] must be a prior such as"),
    ({"prior": {"g": Normal(0, 0)}}, ValueError, r"prior\['g'\]: scale must be positive"),
    (
        {"prior": {"g": Normal(0, [1, 2, 3])}},
        ValueError,
        r"prior\['g'\]: scale has shape \(3,\), but there are 2 coefficients",
    ),
    ({"prior_scale": -1.0}, ValueError, r"prior_scale must be positive and finite; got -1.0"),
    ({"prior_scale": 0}, ValueError, r"prior_scale must be positive and finite; got 0"),
    ({"prior_scale": np.nan}, ValueError, r"prior_scale must be positive and finite; got nan"),
    ({"prior_scale": np.inf}, ValueError, r"prior_scale must be positive and finite; got inf"),
    (
        {"prior_scale": "big"},
        TypeError,
        r"positive number, 'learn', 'learn by term' or None; got 'big'",
    ),
    ({"prior_scale": True}, TypeError, r"prior_scale must be a positive number or None; got True"),
    ({"prior_scale": [1.0]}, TypeError, r"prior_scale must be a positive number or None; got \[1.0\]"),
    ({"prior_scale": 1.0, "prior": "flat"}, ValueError, r"prior_scale has no meaning for prior=Flat\(\)"),
    (
        {"prior_scale": 1.0, "prior": {"g": Flat()}},
        ValueError,
        r"prior_scale has no meaning for prior\['g'\]=Flat\(\)",
    ),
    (
        {"intercept_prior": HalfNormal()},
        ValueError,
        "intercept_prior must be a prior on the real line, such as Normal",
    ),
    ({"intercept_prior": 0.0}, TypeError, "intercept_prior must be a prior"),
    ({"intercept_prior": Normal(0, [1.0, 2.0])}, ValueError, r"intercept_prior: scale has shape \(2,\)"),
    (
        {"sigma_prior": Normal()},
        ValueError,
        "sigma_prior must be a prior on the positive numbers, such as HalfNormal",
    ),
    ({"sigma_prior": "normal"}, ValueError, "sigma_prior must be a prior on the positive numbers"),
    (
        {"sigma_prior": HalfStudentT(df=-1)},
        ValueError,
        "sigma_prior: df must be a positive finite number; got -1",
    ),
    ({"sigma_prior": 1.0}, TypeError, "sigma_prior must be a prior"),
]


@pytest.mark.parametrize(("arguments", "kind", "message"), BAD, ids=[str(case[0])[:60] for case in BAD])
def test_messages(arguments, kind, message):
    with pytest.raises(kind, match=message) as caught:
        set_up(**arguments)
    assert "\n" not in str(caught.value)


def test_a_sigma_prior_is_checked_even_if_the_fit_is_perfect():
    summary = summarize(X, X @ np.ones(4))
    for prior in (Normal(), HalfNormal(-1.0), HalfStudentT(df=0)):
        with pytest.raises(ValueError, match="sigma_prior"):
            resolve(summary, COLUMNS, TERMS, sigma_prior=prior)


# -- the change of units ------------------------------------------------------------------------------------

CHANGES = {
    "defaults": {},
    "at zero": {"intercept_prior": Normal(3.0, 20.0), "center": False},
    "every kind": {
        "prior": {"x": Laplace(0.1, 0.5), "g": StudentT(3.0, 1.0, 10.0)},
        "intercept_prior": Cauchy(40.0, 10.0),
        "sigma_prior": Gamma(2.0, 10.0),
    },
    "positive": {"prior": {"x": HalfNormal(0.3)}, "positive": True, "sigma_prior": HalfCauchy(5.0)},
    "flat": {"prior": "flat", "intercept_prior": "flat", "sigma_prior": "flat"},
}


@pytest.mark.parametrize("name", sorted(CHANGES))
@pytest.mark.parametrize("intercept", [True, False])
def test_a_prior_stays_where_the_user_put_it(name, intercept):
    """Densities of the same parameters in user's and in standardised units differ by a constant."""
    summary = data(intercept=intercept)[2]
    arguments = dict(CHANGES[name])
    if not intercept:
        arguments.pop("intercept_prior", None)
    priors = set_up(summary, **arguments)
    moved = priors.standardised(summary)
    rng = np.random.default_rng(2)
    differences = []
    for _ in range(8):
        coef = np.abs(rng.normal(size=4)) if priors.positive.any() else rng.normal(size=4)
        level, sigma = rng.normal(40, 20), rng.exponential(10.0)
        draws = {"coef": coef, "sigma": np.array(sigma)}
        if intercept:
            draws["Intercept"] = np.array(level)
        user = sum(float(np.sum(v)) for v in priors.log_density(draws, summary.x_mean).values())

        scaled = coef * summary.x_unit / summary.y_unit
        total = moved.joint().value_and_gradient(scaled)[0]
        total += moved.sigma.value_and_gradient([sigma / summary.y_unit])[0]
        if intercept:  # the kernel's intercept is that of centred predictors
            theta = (level + coef @ summary.x_mean - summary.y_mean) / summary.y_unit
            total += moved.intercept.value_and_gradient([theta - moved.shift @ scaled])[0]
        differences.append(total - user)
    np.testing.assert_allclose(differences, differences[0], rtol=1e-9, atol=1e-9)


def test_log_density_shapes_and_values():
    priors = set_up(
        prior=Normal(0, 2.0), intercept_prior=Normal(1.0, 3.0), center=False, sigma_prior=HalfNormal(4.0)
    )
    rng = np.random.default_rng(3)
    draws = {
        "coef": rng.normal(size=(2, 5, 4)),
        "Intercept": rng.normal(size=(2, 5)),
        "sigma": rng.exponential(size=(2, 5)),
    }
    found = priors.log_density(draws, SUMMARY.x_mean)
    np.testing.assert_allclose(found["coef"], stats.norm(0, 2).logpdf(draws["coef"]))
    np.testing.assert_allclose(found["Intercept"], stats.norm(1, 3).logpdf(draws["Intercept"]))
    np.testing.assert_allclose(found["sigma"], stats.halfnorm(0, 4).logpdf(draws["sigma"]))
    centred = set_up(prior=Normal(0, 2.0), intercept_prior=Normal(1.0, 3.0)).log_density(
        draws, SUMMARY.x_mean
    )
    level = draws["Intercept"] + draws["coef"] @ X.mean(axis=0)
    np.testing.assert_allclose(centred["Intercept"], stats.norm(1, 3).logpdf(level))


@pytest.mark.parametrize("center", [True, False])
def test_draws_from_the_prior(center):
    priors = set_up(
        prior={"x": Laplace(1.0, 0.5), "g": StudentT(5.0, 0.0, 2.0)},
        intercept_prior=Normal(7.0, 3.0),
        sigma_prior=Exponential(4.0),
        center=center,
    )
    draws = priors.draw(np.random.default_rng(4), 4000, SUMMARY.x_mean)
    assert draws["coef"].shape == (4000, 4)
    assert draws["sigma"].shape == draws["Intercept"].shape == (4000,)
    level = draws["Intercept"] + (draws["coef"] @ X.mean(axis=0) if center else 0.0)
    for values, truth in (
        (draws["coef"][:, 0], stats.laplace(1, 0.5)),
        (draws["coef"][:, 1], stats.norm(0, 2.5 * UNIT[1])),
        (draws["coef"][:, 3], stats.t(5, 0, 2)),
        (draws["sigma"], stats.expon(0, 4)),
        (level, stats.norm(7, 3)),
    ):
        assert stats.kstest(values, truth.cdf).pvalue > 1e-3


def test_gaussian_priors_are_recognised():
    flat = (
        set_up(prior={"x": Flat(), "g": Normal(2.0, 4.0)}, intercept_prior=Flat())
        .standardised(SUMMARY)
        .gaussian()
    )
    unit = SUMMARY.y_unit / SUMMARY.x_unit
    assert flat.precision[0] == flat.precision[1] == 0.0
    np.testing.assert_allclose(flat.precision[3:], (unit[2:] / 4.0) ** 2)
    np.testing.assert_allclose(flat.loc[3:], 2.0 / unit[2:])
    assert set_up(prior={"g": Laplace()}).standardised(SUMMARY).gaussian() is None
    assert set_up(intercept_prior=Cauchy()).standardised(SUMMARY).gaussian() is None
    # Any prior of sigma will do, since sigma is integrated numerically.
    assert set_up(sigma_prior=HalfCauchy(3.0)).standardised(SUMMARY).gaussian() is not None
    assert set_up(positive=True).standardised(SUMMARY).gaussian() is None


def test_stand_ins_of_other_priors():
    moved = set_up(
        prior={"x": Laplace(30.0, 0.5), "g": Flat()}, intercept_prior=Cauchy(10.0, 2.0)
    ).standardised(SUMMARY)
    normal = moved.surrogate()
    unit = SUMMARY.y_unit / SUMMARY.x_unit
    assert normal.loc[1] == pytest.approx(30.0 / unit[0])
    assert normal.loc[0] == pytest.approx((10.0 - SUMMARY.y_mean) / SUMMARY.y_unit)
    np.testing.assert_array_equal(normal.precision[3:], 0.0)
    assert np.all(normal.precision[:3] > 0)
    np.testing.assert_allclose(normal.precision[2], (unit[1] / (2.5 * UNIT[1])) ** 2)  # a normal one as it is


def test_what_the_report_says():
    priors = set_up(prior={"g": Laplace(0, 2.0)}, sigma_prior=HalfNormal(3.0))
    lines, short = priors.describe(COLUMNS), priors.describe(COLUMNS, most=1)
    level = "Intercept (at the predictors' means)"
    assert [name for name, _ in lines] == [level, "coef[g]", "x", "log(z)", "sigma"]
    assert [name for name, _ in short] == [level, "coef[g]", "coef, all others", "sigma"]
    assert dict(lines)["coef[g]"] == "Laplace(loc=0, scale=2)"
    assert dict(lines)["sigma"] == "HalfNormal(scale=3)"
    assert "autoscale" not in str(lines)
    assert set_up(intercept_prior=Normal(1, 2), center=False).describe(COLUMNS)[0] == (
        "Intercept",
        "Normal(loc=1, scale=2)",
    )


def test_no_columns():
    summary = summarize(np.zeros((10, 0)), Y[:10])
    priors = resolve(summary, (), {})
    assert priors.coef == ()
    assert priors.standardised(summary).joint() is None
    assert priors.standardised(summary).gaussian().loc.shape == (1,)
    assert priors.draw(np.random.default_rng(0), 3, summary.x_mean)["coef"].shape == (3, 0)
    with pytest.raises(ValueError, match="no column or term of that name"):
        resolve(summary, (), {}, prior={"x": Normal()})

"""Convergence diagnostics against ArviZ, their edge cases, and the warnings that follow from them."""

import logging
from dataclasses import fields, replace

import arviz as az
import numpy as np
import pytest
from scipy.signal import lfilter

from bayesglm.inference.diagnostics import (
    MAX_RHAT,
    MIN_ESS_PER_CHAIN,
    Diagnostics,
    bfmi,
    diagnose,
    warning_texts,
)

ARVIZ_1 = int(az.__version__.split(".")[0]) >= 1
NAMES = [field.name for field in fields(Diagnostics)]


def arviz_numbers(chains):
    """The same numbers of one parameter, (chain, draw), by ArviZ."""
    logging.getLogger("arviz").setLevel(logging.CRITICAL)
    with np.errstate(all="ignore"):
        return {
            "rhat": az.rhat(chains, method="rank"),
            "ess_bulk": az.ess(chains, method="bulk"),
            "ess_tail": az.ess(chains, method="tail", prob=(0.05, 0.95)),
            "ess_mean": az.ess(chains, method="mean"),
            "mcse_mean": az.mcse(chains, method="mean"),
            "mcse_sd": az.mcse(chains, method="sd"),
        }


def autoregressive(rng, phi, shape):
    return lfilter([1.0], [1.0, -phi], rng.standard_normal(shape), axis=-1)


def apart(chains, distance):
    return chains + distance * np.arange(len(chains))[:, np.newaxis]


PROCESSES = {
    "independent": lambda rng, shape: rng.standard_normal(shape),
    "AR(0.5)": lambda rng, shape: autoregressive(rng, 0.5, shape),
    "AR(0.9)": lambda rng, shape: autoregressive(rng, 0.9, shape),
    "AR(0.995)": lambda rng, shape: autoregressive(rng, 0.995, shape),
    "random walk": lambda rng, shape: np.cumsum(rng.standard_normal(shape), axis=1),
    "antithetic": lambda rng, shape: autoregressive(rng, -0.5, shape),
    "strongly antithetic": lambda rng, shape: autoregressive(rng, -0.95, shape),
    "heavy tails": lambda rng, shape: rng.standard_cauchy(shape),
    "skewed": lambda rng, shape: np.exp(3 * rng.standard_normal(shape)),
    "offset": lambda rng, shape: 1e6 + rng.standard_normal(shape),
    "chains disagree": lambda rng, shape: apart(rng.standard_normal(shape), 0.3),
    "chains far apart": lambda rng, shape: apart(1e-3 * rng.standard_normal(shape), 10.0),
    "scales disagree": lambda rng, shape: (
        np.geomspace(0.1, 10, shape[0])[:, None] * rng.standard_normal(shape)
    ),
    "rounded": lambda rng, shape: np.round(8 * rng.standard_normal(shape)) / 8,
    "integers": lambda rng, shape: np.round(rng.standard_normal(shape)),
    "repeated": lambda rng, shape: np.repeat(rng.standard_normal(shape), 3, axis=1)[:, : shape[1]],
    "one chain stuck": lambda rng, shape: rng.standard_normal(shape) * (np.arange(shape[0]) > 0)[:, None],
}
TIED = {"rounded", "integers", "repeated", "one chain stuck"}
SHAPES = [(4, 1000), (4, 501), (1, 1000), (2, 300), (3, 129), (8, 64), (4, 20), (4, 11)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("process", PROCESSES)
def test_equals_arviz(process, shape):
    rng = np.random.default_rng([SHAPES.index(shape), list(PROCESSES).index(process)])
    draws = np.stack([PROCESSES[process](rng, shape) for _ in range(3)])
    ours = diagnose(draws)
    for p, chains in enumerate(draws):
        for name, expected in arviz_numbers(chains).items():
            if name == "ess_tail" and process in TIED and not ARVIZ_1:
                continue  # ArviZ 0.x may round the quantile of tied draws to a value below all of them
            np.testing.assert_allclose(getattr(ours, name)[p], expected, rtol=1e-8, err_msg=f"{name} of {p}")


@pytest.mark.parametrize("n_draws", [4, 5, 6, 7, 8, 9])
@pytest.mark.parametrize("n_chains", [1, 2, 4])
def test_few_draws_equal_arviz(n_chains, n_draws):
    draws = np.random.default_rng(n_draws).standard_normal((10, n_chains, n_draws))
    ours = diagnose(draws)
    for p, chains in enumerate(draws):
        for name, expected in arviz_numbers(chains).items():
            np.testing.assert_allclose(getattr(ours, name)[p], expected, rtol=1e-9, err_msg=f"{name} of {p}")


def test_long_slow_chains_equal_arviz():
    """Thousands of lags, which go through the Fourier transform."""
    draws = autoregressive(np.random.default_rng(5), 0.999, (1, 2, 9001))
    ours = diagnose(draws)
    for name, expected in arviz_numbers(draws[0]).items():
        np.testing.assert_allclose(getattr(ours, name)[0], expected, rtol=1e-9, err_msg=name)


def test_parameters_strides_and_threads():
    """Parameters do not leak into each other, and neither strides nor threads change a digit."""
    rng = np.random.default_rng(8)
    draws = np.stack([process(rng, (4, 1000)) for process in PROCESSES.values()] * 2)
    whole = diagnose(draws)
    strided = diagnose(np.ascontiguousarray(draws.transpose(1, 2, 0)).transpose(2, 0, 1))
    threaded = diagnose(draws, n_threads=2)
    read_only = draws.copy()
    read_only.flags.writeable = False
    for name in NAMES:
        alone = np.concatenate([getattr(diagnose(draws[p : p + 1]), name) for p in range(len(draws))])
        for other in (
            alone,
            getattr(strided, name),
            getattr(threaded, name),
            getattr(diagnose(read_only), name),
        ):
            np.testing.assert_array_equal(getattr(whole, name), other, err_msg=name)


def test_draws_are_left_alone():
    draws = np.random.default_rng(0).standard_normal((2, 4, 100))
    before = draws.copy()
    diagnose(draws)
    np.testing.assert_array_equal(draws, before)


@pytest.mark.parametrize("value", [0.0, 1.0, 0.1, -1e-300, 1e300])
def test_constant_draws(value):
    ours = diagnose(np.full((1, 4, 100), value))
    assert np.isnan(ours.rhat[0])
    assert ours.ess_bulk[0] == ours.ess_tail[0] == ours.ess_mean[0] == 400
    assert ours.mcse_mean[0] == 0
    assert np.isnan(ours.mcse_sd[0])


def test_every_chain_stuck_at_a_place_of_its_own():
    chains = np.repeat(np.arange(4.0)[:, np.newaxis], 100, axis=1)
    ours = diagnose(chains[np.newaxis])
    assert ours.rhat[0] > 1e6  # nothing but rounding within the chains
    np.testing.assert_allclose(ours.ess_bulk[0], az.ess(chains, method="bulk"), rtol=1e-9)


def test_two_values_in_equal_numbers():
    """The square of the distance from the mean is constant but for rounding, which must not become NaN."""
    chains = np.tile([0.3, 0.7], (4, 100))
    assert diagnose(chains[np.newaxis]).mcse_sd[0] == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_draws_that_are_not_finite_spoil_their_parameter_only(bad):
    draws = np.random.default_rng(1).standard_normal((3, 4, 100))
    draws[1, 2, 50] = bad
    ours = diagnose(draws)
    for name in NAMES:
        np.testing.assert_array_equal(np.isnan(getattr(ours, name)), [False, True, False])


@pytest.mark.parametrize("shape", [(2, 4, 3), (2, 4, 0), (2, 0, 100), (0, 4, 100)])
def test_too_little_to_go_by(shape):
    ours = diagnose(np.zeros(shape))
    for name in NAMES:
        np.testing.assert_array_equal(getattr(ours, name), np.full(shape[0], np.nan))


def test_one_chain_has_no_rhat():
    ours = diagnose(np.random.default_rng(2).standard_normal((1, 1, 100)))
    assert np.isnan(ours.rhat[0])
    assert np.isfinite(ours.ess_bulk[0])


def test_unit_of_a_parameter_does_not_matter():
    """ArviZ takes draws (or their squares) within 1e-15 for constant, here only equal draws are."""
    draws = autoregressive(np.random.default_rng(3), 0.9, (1, 4, 500))
    base = diagnose(draws)
    for scale in (1e-8, 1e-20, 1e-100, 1e100):
        scaled = diagnose(draws * scale)
        np.testing.assert_allclose(scaled.ess_mean, base.ess_mean, rtol=1e-9)
        np.testing.assert_allclose(scaled.mcse_sd, scale * base.mcse_sd, rtol=1e-9)


def test_two_dimensions_are_refused():
    with pytest.raises(ValueError, match=r"parameter, chain, draw.*\(4, 100\)"):
        diagnose(np.zeros((4, 100)))


def test_bfmi():
    energy = autoregressive(np.random.default_rng(4), 0.3, (4, 500))
    np.testing.assert_allclose(bfmi(energy), az.bfmi(energy), rtol=1e-12)
    assert np.isnan(bfmi(np.zeros((2, 1)))).all()
    assert np.isnan(bfmi(np.ones((2, 10)))).all()


# -- warnings ----------------------------------------------------------------------------------------

GOOD = Diagnostics(
    rhat=np.array([1.001, 1.0005, np.nan]),
    ess_bulk=np.array([3000.0, 4000.0, 4000.0]),
    ess_tail=np.array([2500.0, 3500.0, 4000.0]),
    ess_mean=np.array([3000.0, 4000.0, 4000.0]),
    mcse_mean=np.zeros(3),
    mcse_sd=np.zeros(3),
)
PARAMETERS = ["Intercept", "age", "sigma"]


def good_stats():
    rng = np.random.default_rng(6)
    return {
        "diverging": np.zeros((4, 1000), dtype=bool),
        "reached_max_treedepth": np.zeros((4, 1000), dtype=bool),
        "energy": rng.standard_normal((4, 1000)),
    }


def texts(diagnostics=GOOD, stats=None, target_accept=0.8):
    return warning_texts(
        PARAMETERS,
        diagnostics,
        good_stats() if stats is None else stats,
        n_chains=4,
        target_accept=target_accept,
        max_treedepth=10,
    )


def only(found):
    assert len(found) == 1
    assert found[0].endswith(".")
    assert "\n" not in found[0]
    return found[0]


def test_nothing_to_say():
    assert texts() == []
    assert texts(stats={}) == []


def test_names_the_parameter_with_the_worst_rhat():
    text = only(texts(replace(GOOD, rhat=np.array([1.02, 1.234, np.nan]))))
    assert "'age' (and 1 more)" in text
    assert "1.234" in text
    assert "tune and draws" in text
    assert "inf" in only(texts(replace(GOOD, rhat=np.array([1.0, np.inf, np.nan]))))


@pytest.mark.parametrize("part", ["bulk", "tail"])
def test_names_the_parameter_with_the_smallest_sample(part):
    text = only(texts(replace(GOOD, **{f"ess_{part}": np.array([3000.0, 4000.0, 123.4])})))
    assert "'sigma' has" in text
    assert "123" in text
    assert part in text
    assert "400" in text
    assert "increase draws" in text


def test_a_sample_that_is_smaller_by_chance_is_no_news():
    for size, told in ((400.0, 0), (399.0, 0), (361.0, 0), (359.0, 1)):
        assert len(texts(replace(GOOD, ess_tail=np.array([3000.0, 4000.0, size])))) == told, size


@pytest.mark.parametrize(
    ("target_accept", "remedy"), [(0.8, "0.8 to 0.9"), (0.9, "0.9 to 0.95"), (0.99, "prior")]
)
def test_counts_divergences(target_accept, remedy):
    stats = good_stats()
    stats["diverging"][1, 3:20] = True
    text = only(texts(stats=stats, target_accept=target_accept))
    assert text.startswith("17 of 4000 draws")
    assert remedy in text


def test_trajectories_cut_short_matter_when_they_are_many():
    stats = good_stats()
    stats["reached_max_treedepth"][2, :50] = True
    assert texts(stats=stats) == []
    stats["reached_max_treedepth"][2, :70] = True
    text = only(texts(stats=stats))
    assert "max_treedepth=10 cut 7 % of the trajectories of chain 2" in text
    assert "to 12" in text


def test_names_the_chain_with_the_slowest_energy():
    stats = good_stats()
    stats["energy"][3] = np.cumsum(stats["energy"][3])
    assert "chain 3" in only(texts(stats=stats))


def test_says_when_convergence_cannot_be_judged():
    draws = np.random.default_rng(1).standard_normal((3, 4, 1000))
    draws[1, 0, 0] = np.nan
    assert "'age' cannot" in only(texts(diagnose(draws)))


def test_good_chains_raise_no_alarm():
    """Independent and mildly autocorrelated chains of the default length, many parameters."""
    rng = np.random.default_rng(7)
    for phi in (-0.3, 0.0, 0.3):
        ours = diagnose(autoregressive(rng, phi, (500, 4, 1000)))
        assert ours.rhat.max() < MAX_RHAT
        assert ours.ess_bulk.min() > 4 * MIN_ESS_PER_CHAIN
        assert ours.ess_tail.min() > 4 * MIN_ESS_PER_CHAIN

"""Log densities and gradients that NUTS samples badly, or that are wrong on purpose; quantiles of a mixture."""

from typing import Any

import numpy as np
from scipy import stats


def funnel(q: np.ndarray) -> tuple[float, np.ndarray]:
    """Neal's: q0 = v ~ N(0, 3²), the others N(0, exp(v)) given v."""
    v, x = q[0], q[1:]
    square = np.exp(-v) * x
    value = -(v**2) / 18.0 - 0.5 * x @ square - 0.5 * len(x) * v
    return value, np.append(-v / 9.0 + 0.5 * x @ square - 0.5 * len(x), -square)


SCHOOLS = np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0]), np.array([15, 10, 16, 11, 9, 11, 10, 18.0])


def schools(q: np.ndarray) -> tuple[float, np.ndarray]:
    """The eight schools of Gelman et al., centred: mean, log of the standard deviation, eight effects."""
    y, error = SCHOOLS
    mean, log_tau, effect = q[0], q[1], q[2:]
    tau = np.exp(log_tau)
    z, r = (effect - mean) / tau, (y - effect) / error
    value = -0.5 * z @ z - 8 * log_tau - 0.5 * r @ r - np.log1p((tau / 5.0) ** 2) + log_tau - mean**2 / 50.0
    shrink = 2.0 * (tau / 5.0) ** 2 / (1.0 + (tau / 5.0) ** 2)
    return value, np.concatenate(
        [[z.sum() / tau - mean / 25.0, z @ z - 8.0 - shrink + 1.0], -z / tau + r / error]
    )


def two_normals(distance: float, share: float, dim: int = 2) -> Any:
    """Modes ``distance`` standard deviations apart along q0, the upper one with a share of the mass."""

    def density(q: np.ndarray) -> tuple[float, np.ndarray]:
        centre = np.zeros(dim)
        centre[0] = 0.5 * distance
        up, down = q - centre, q + centre
        a, b = np.log(share) - 0.5 * up @ up, np.log1p(-share) - 0.5 * down @ down
        value = np.logaddexp(a, b)
        return value, -np.exp(a - value) * up - np.exp(b - value) * down

    return density


def mixture_truth(distance: float, share: float) -> dict[float, float]:
    grid = np.linspace(-0.5 * distance - 8.0, 0.5 * distance + 8.0, 100_001)
    below = share * stats.norm.cdf(grid - 0.5 * distance) + (1 - share) * stats.norm.cdf(
        grid + 0.5 * distance
    )
    return {level: float(np.interp(level, below, grid)) for level in (0.1, 0.5, 0.9)}


def cauchy(q: np.ndarray) -> tuple[float, np.ndarray]:
    return -np.sum(np.log1p(q**2)), -2.0 * q / (1.0 + q**2)


def banana(q: np.ndarray) -> tuple[float, np.ndarray]:
    """Rosenbrock's: q0 ~ N(1, 10), q1 ~ N(q0², 0.1²)."""
    gap = q[1] - q[0] ** 2
    value = -50.0 * gap**2 - 0.05 * (1.0 - q[0]) ** 2
    return value, np.array([200.0 * gap * q[0] + 0.1 * (1.0 - q[0]), -100.0 * gap])


def wall(q: np.ndarray) -> tuple[float, np.ndarray]:
    return (-0.5 * q @ q, -q) if q[0] > -0.3 else (-np.inf, -q)


def step(q: np.ndarray) -> tuple[float, np.ndarray]:
    """A normal density that falls to a hundredth where q0 exceeds 0.5."""
    return -0.5 * q @ q - (np.log(100.0) if q[0] > 0.5 else 0.0), -q


def cusp(q: np.ndarray) -> tuple[float, np.ndarray]:
    """exp(-|q|^0.5) in each coordinate: the gradient is infinite at the mode."""
    root = np.sqrt(np.abs(q))
    return -np.sum(root), -0.5 * np.sign(q) / np.maximum(root, 1e-150)


def hole(q: np.ndarray) -> tuple[float, np.ndarray]:
    return (-0.5 * q @ q, -q) if q[0] < 0.8 else (np.nan, -q)


def flat_direction(q: np.ndarray) -> tuple[float, np.ndarray]:
    return -0.5 * q[0] ** 2, np.array([-q[0], 0.0])


def half_gradient(q: np.ndarray) -> tuple[float, np.ndarray]:
    """The gradient of one coordinate is half of what it is: slower, but Metropolis' rule repairs it."""
    return -0.5 * q @ q, -q * [0.5, 1.0]


def wrong_gradient(q: np.ndarray) -> tuple[float, np.ndarray]:
    return -0.5 * q @ q, q


def needle(q: np.ndarray) -> tuple[float, np.ndarray]:
    """A normal density and, at four standard deviations, a needle of width 0.01 with three quarters of the mass."""
    broad, narrow = -0.5 * q @ q, -0.5 * ((q - 4.0) @ (q - 4.0)) * 1e4 + np.log(3.0) + len(q) * np.log(100.0)
    value = np.logaddexp(broad, narrow)
    return value, -np.exp(broad - value) * q - np.exp(narrow - value) * (q - 4.0) * 1e4

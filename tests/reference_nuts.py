"""Recursive NUTS in plain Python: slow and clear, the oracle that the Cython kernel must equal bit for bit.

The same numpy bit generator must give the same draws and the same statistics. So the order in which random
numbers are drawn and the order in which numbers are added are part of what is written here.

The kernel keeps a stack of subtrees and merges like a binary counter; here the tree is built as the papers
describe it, by recursion (Hoffman and Gelman 2014; Betancourt 2017 for the multinomial weights), and no code
is shared between the two. At the end stand the densities on which the two are compared.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

STATISTICS = (
    "lp",
    "acceptance_rate",
    "step_size",
    "tree_depth",
    "n_steps",
    "diverging",
    "energy",
    "max_energy_error",
    "index_in_trajectory",
    "reached_max_treedepth",
)

MAX_ENERGY_ERROR = 1000.0  # a leaf whose energy exceeds the start's by more has diverged

Density = tuple[float, np.ndarray]  # the log density at a point and its gradient
Function = Callable[[np.ndarray], Density]


def dot(a: np.ndarray, b: np.ndarray) -> float:
    """Return the scalar product, summed as the kernel sums it: four lanes, then the tail one by one."""
    x, y = a.tolist(), b.tolist()
    whole = len(x) - len(x) % 4
    lanes = [0.0, 0.0, 0.0, 0.0]
    for block in range(0, whole, 4):
        for lane in range(4):
            lanes[lane] += x[block + lane] * y[block + lane]
    total = (lanes[0] + lanes[1]) + (lanes[2] + lanes[3])
    for k in range(whole, len(x)):
        total += x[k] * y[k]
    return total


def logaddexp(a: float, b: float) -> float:
    """Return log(exp(a) + exp(b))."""
    if a == b:
        return a + math.log(2.0)
    largest = max(a, b)
    if largest == -math.inf:
        return -math.inf
    return largest + math.log1p(math.exp(-abs(a - b)))


@dataclass(frozen=True)
class Point:
    """A state of the Hamiltonian system; ``index`` counts leapfrog steps from the start, minus backward."""

    position: np.ndarray
    momentum: np.ndarray
    gradient: np.ndarray
    lp: float
    index: int = 0

    @property
    def energy(self) -> float:
        return 0.5 * dot(self.momentum, self.momentum) - self.lp


def leapfrog(function: Function, point: Point, step: float) -> Point:
    """Return the point one leapfrog step later; a negative step goes backward in time."""
    half = point.momentum + (0.5 * step) * point.gradient
    position = point.position + step * half
    lp, gradient = function(position)
    lp, gradient = float(lp), np.array(gradient, dtype=float)
    # Where the log density is not finite the gradient means nothing, and the point is a divergence anyway.
    momentum = half + (0.5 * step) * gradient if math.isfinite(lp) else half
    return Point(position, momentum, gradient, lp, point.index + (1 if step > 0 else -1))


@dataclass(frozen=True)
class Tree:
    """A stretch of consecutive points, known by its two ends and its sums.

    A subtree under construction runs from its first built to its last built leaf, the whole trajectory
    from its earliest to its latest point in time.
    """

    first: Point
    last: Point
    rho: np.ndarray  # the sum of all momenta
    logw: float  # the log of the sum of exp(H0 - H)
    proposal: Point
    leaves: int

    def reversed(self) -> Tree:
        """Return the same points in the opposite order."""
        return Tree(self.last, self.first, self.rho, self.logw, self.proposal, self.leaves)


def leaf(point: Point, logw: float) -> Tree:
    return Tree(point, point, point.momentum, logw, point, 1)


def turning(a: Tree, b: Tree) -> bool:
    """Return whether the stretch a, then b, has made a U-turn: as a whole, or across its middle."""

    def ahead(one: Point, other: Point, rho: np.ndarray) -> bool:
        return dot(one.momentum, rho) > 0 and dot(other.momentum, rho) > 0

    if not ahead(a.first, b.last, a.rho + b.rho):
        return True
    if a.leaves == 1:  # the cross checks would repeat the first one
        return False
    return not (
        ahead(a.first, b.first, a.rho + b.first.momentum) and ahead(a.last, b.last, b.rho + a.last.momentum)
    )


class Trajectory:
    """One transition's bookkeeping: what every leaf adds to, whatever becomes of its subtree."""

    def __init__(self, function: Function, random: np.random.Generator, start: Point, step: float) -> None:
        self.function = function
        self.random = random
        self.step = step
        self.start_energy = start.energy
        self.acceptance = 0.0
        self.n_steps = 0
        self.diverging = False
        self.max_energy_error = 0.0

    def accepts(self, log_probability: float) -> bool:
        """Draw one uniform number and return whether its log is below ``log_probability``."""
        u = self.random.random()
        return (math.log(u) if u > 0 else -math.inf) < log_probability

    def step_from(self, end: Point, direction: int) -> Tree | None:
        """Take one leapfrog step from ``end``; None when it diverges."""
        point = leapfrog(self.function, end, direction * self.step)
        error = point.energy - self.start_energy
        finite = math.isfinite(error)
        self.n_steps += 1
        if finite:
            self.acceptance += 1.0 if error <= 0 else math.exp(-error)
            if abs(error) > abs(self.max_energy_error):
                self.max_energy_error = error
        else:
            self.max_energy_error = math.inf
        if not finite or error > MAX_ENERGY_ERROR:
            self.diverging = True
            return None
        return leaf(point, -error)

    def build(self, end: Point, direction: int, depth: int) -> Tree | None:
        """Build the subtree of 2**depth leaves beyond ``end``; None when it diverges or turns."""
        if depth == 0:
            return self.step_from(end, direction)
        a = self.build(end, direction, depth - 1)
        if a is None:
            return None
        b = self.build(a.last, direction, depth - 1)
        if b is None:
            return None
        logw = logaddexp(a.logw, b.logw)
        proposal = b.proposal if self.accepts(b.logw - logw) else a.proposal
        if turning(a, b):
            return None
        return Tree(a.first, b.last, a.rho + b.rho, logw, proposal, a.leaves + b.leaves)


class DualAveraging:
    """Nesterov's dual averaging of the log step size (Hoffman and Gelman 2014, section 3.2)."""

    gamma, t0, kappa = 0.05, 10.0, 0.75

    def __init__(self, step_size: float, target_accept: float) -> None:
        self.mu = math.log(2.0 * step_size)
        self.target_accept = target_accept
        self.t = 0.0
        self.s = 0.0
        self.xbar = 0.0

    def update(self, acceptance_rate: float) -> float:
        """Take note of one transition and return the step size of the next."""
        self.t += 1.0
        eta = 1.0 / (self.t + self.t0)
        self.s = (1.0 - eta) * self.s + eta * (self.target_accept - acceptance_rate)
        x = self.mu - self.s * math.sqrt(self.t) / self.gamma
        weight = self.t**-self.kappa
        self.xbar = (1.0 - weight) * self.xbar + weight * x
        return math.exp(x)


class ReferenceChain:
    """The oracle with the face of ``bayesglm.kernel.nuts.Chain``; it takes the Python function itself."""

    def __init__(
        self,
        function: Function,
        bit_generator: np.random.BitGenerator,
        position: np.ndarray,
        step_size: float,
        max_treedepth: int = 10,
        target_accept: float = 0.8,
        jitter: float = 0.1,
    ) -> None:
        self.function = function
        self.random = np.random.Generator(bit_generator)
        self.position = np.array(position, dtype=float)
        self.step_size = step_size
        self.max_treedepth = max_treedepth
        self.target_accept = target_accept
        self.jitter = jitter
        self._averaging: DualAveraging | None = None
        lp, gradient = function(self.position)
        self._lp, self._gradient = float(lp), np.array(gradient, dtype=float)

    @property
    def adapting(self) -> bool:
        return self._averaging is not None

    @adapting.setter
    def adapting(self, on: bool) -> None:
        if on:
            self._averaging = DualAveraging(self.step_size, self.target_accept)
        elif self._averaging is not None:
            if self._averaging.t > 0:  # else nothing was learnt
                self.step_size = math.exp(self._averaging.xbar)
            self._averaging = None

    def advance(self, n: int, draws: np.ndarray, stats: np.ndarray) -> int:
        """Make ``n`` transitions, one row of ``draws`` and ``stats`` for each, and return ``n``."""
        with np.errstate(all="ignore"):
            for row in range(n):
                statistics = self.transition()
                draws[row] = self.position
                stats[row] = [statistics[name] for name in STATISTICS]
                if self._averaging is not None:
                    self.step_size = self._averaging.update(statistics["acceptance_rate"])
        return n

    def transition(self) -> dict[str, float]:
        """Replace the state by the next one and return the statistics of the transition."""
        step = self.step_size
        if self.jitter > 0:
            step = self.step_size * (1.0 + self.jitter * (2.0 * self.random.random() - 1.0))
        momentum = self.random.standard_normal(self.position.size)
        directions = self.random.bit_generator.random_raw()  # 64 bits, one for each doubling

        start = Point(self.position, momentum, self._gradient, self._lp)
        trajectory = Trajectory(self.function, self.random, start, step)
        tree = leaf(start, 0.0)
        depth = 0
        turned = False
        while depth < self.max_treedepth and not turned:
            forward = (directions >> depth) & 1
            if forward:
                new = trajectory.build(tree.last, 1, depth)
            else:
                new = trajectory.build(tree.first, -1, depth)
            if new is None:
                break
            # Biased progressive sampling: a new half that weighs more than all before it is always taken.
            # The sample is taken before the test for a turn, and a turn does not undo it.
            proposal = new.proposal if trajectory.accepts(new.logw - tree.logw) else tree.proposal
            left, right = (tree, new) if forward else (new.reversed(), tree)
            turned = turning(left, right)
            depth += 1
            tree = Tree(
                first=left.first,
                last=right.last,
                rho=tree.rho + new.rho,
                logw=logaddexp(tree.logw, new.logw),
                proposal=proposal,
                leaves=tree.leaves + new.leaves,
            )

        chosen = tree.proposal
        self.position, self._gradient, self._lp = chosen.position, chosen.gradient, chosen.lp
        return {
            "lp": chosen.lp,
            "acceptance_rate": trajectory.acceptance / trajectory.n_steps,
            "step_size": step,
            "tree_depth": depth,
            "n_steps": trajectory.n_steps,
            "diverging": trajectory.diverging,
            "energy": chosen.energy,
            "max_energy_error": trajectory.max_energy_error,
            "index_in_trajectory": chosen.index,
            "reached_max_treedepth": depth == self.max_treedepth and not turned,
        }


# Densities: functions from a point to (log density, gradient), constants left out. They sum elementwise
# products by numpy rather than by BLAS, whose last bit may depend on how an array lies in memory.


def standard_normal(q: np.ndarray) -> Density:
    return -0.5 * float((q * q).sum()), -q


def normal(precision: np.ndarray) -> Function:
    def function(q: np.ndarray) -> Density:
        gradient = -(precision * q).sum(axis=1)
        return 0.5 * float((q * gradient).sum()), gradient

    return function


def equicorrelated(dim: int, rho: float) -> Function:
    return normal(np.linalg.inv(np.full((dim, dim), rho) + (1 - rho) * np.eye(dim)))


def student_t(df: float) -> Function:
    def function(q: np.ndarray) -> Density:
        return -0.5 * (df + 1) * float(np.log1p(q * q / df).sum()), -(df + 1) * q / (df + q * q)

    return function


def logistic(q: np.ndarray) -> Density:
    """Return the logistic distribution in one dimension."""
    size = abs(float(q[0]))
    return -size - 2 * math.log1p(math.exp(-size)), -np.tanh(0.5 * q)


def funnel(q: np.ndarray) -> Density:
    """Return Neal's funnel: the first coordinate is the log variance of the others."""
    with np.errstate(all="ignore"):
        v, x = q[0], q[1:]
        precision = np.exp(-v)
        square = precision * (x * x).sum()
        lp = -v * v / 18 - 0.5 * x.size * v - 0.5 * square
        return float(lp), np.concatenate([[-v / 9 - 0.5 * x.size + 0.5 * square], -precision * x])


def ring(q: np.ndarray) -> Density:
    radius = math.sqrt(float((q * q).sum()))
    return -0.5 * ((radius - 3.0) / 0.2) ** 2, -(radius - 3.0) / 0.04 * q / radius


def banana(q: np.ndarray) -> Density:
    bend = q[1] - q[0] * q[0]
    return -0.5 * float(q[0] ** 2 + 25 * bend**2), np.array([-q[0] + 50 * q[0] * bend, -25 * bend])


def bad_above_one(value: float) -> Function:
    """Return a standard normal whose log density is ``value`` where the first coordinate exceeds 1."""

    def function(q: np.ndarray) -> Density:
        if q[0] > 1.0:
            return value, np.full_like(q, np.nan)
        return standard_normal(q)

    return function

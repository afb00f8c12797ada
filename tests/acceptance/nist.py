"""NIST's linear regression problems: data and certified values, as decimal strings.

Source: NIST Statistical Reference Datasets (public domain). Everything is kept as NIST prints it, so that
`solve`, which works with fifty digits, sees the decimal numbers and not their nearest doubles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mpmath as mp
import numpy as np

DIGITS = 50


@dataclass(frozen=True)
class Problem:
    """One data set: `columns` are the predictors, or their one column raised to 1..`degree`."""

    name: str
    y: tuple[str, ...]
    columns: tuple[tuple[str, ...], ...]
    estimates: tuple[str, ...]  # B0 first where there is an intercept
    errors: tuple[str, ...]  # standard errors of the estimates
    residual_sd: str
    degree: int = 1
    intercept: bool = True

    @property
    def X(self) -> np.ndarray:  # noqa: N802
        """The predictors as doubles, shape (n, p), powers formed in double precision."""
        base = np.array([[float(value) for value in column] for column in self.columns]).T
        if self.degree == 1:
            return base
        return np.column_stack([base[:, 0] ** k for k in range(1, self.degree + 1)])

    @property
    def target(self) -> np.ndarray:
        """The response as doubles, shape (n,)."""
        return np.array([float(value) for value in self.y])

    @property
    def certified(self) -> np.ndarray:
        """The certified estimates as doubles, the intercept first where there is one."""
        return np.array([float(value) for value in self.estimates])

    def response(self) -> list[mp.mpf]:
        """Return the exact response."""
        with mp.workdps(DIGITS):
            return [mp.mpf(value) for value in self.y]

    def design(self) -> mp.matrix:
        """Return the exact design matrix, with the column of ones where there is an intercept."""
        with mp.workdps(DIGITS):
            if self.degree > 1:
                x = [mp.mpf(value) for value in self.columns[0]]
                columns = [[value**k for value in x] for k in range(1, self.degree + 1)]
            else:
                columns = [[mp.mpf(value) for value in column] for column in self.columns]
            if self.intercept:
                columns = [[mp.mpf(1)] * len(self.y), *columns]
            return mp.matrix(columns).T


@dataclass(frozen=True)
class Solution:
    """A least-squares fit in `DIGITS` digits."""

    estimates: list[mp.mpf]
    errors: list[mp.mpf]
    residual_sd: mp.mpf


def solve(design: mp.matrix, y: Sequence[mp.mpf]) -> Solution:
    """Return the least-squares fit of `y` on `design` by normal equations in many digits."""
    with mp.workdps(2 * DIGITS):
        response = mp.matrix(list(y))
        gram = design.T * design
        inverse = gram**-1
        estimates = inverse * (design.T * response)
        residual = response - design * estimates
        rss = sum((value**2 for value in residual), mp.mpf(0))
        variance = rss / (design.rows - design.cols)
        errors = [mp.sqrt(variance * inverse[j, j]) for j in range(design.cols)]
        return Solution(list(estimates), errors, mp.sqrt(variance))


def solve_doubles(X: np.ndarray, y: np.ndarray, intercept: bool = True) -> Solution:
    """Return the fit of the given doubles, each taken at exactly its binary value."""
    with mp.workdps(DIGITS):
        rows = [([mp.mpf(1)] if intercept else []) + [mp.mpf(float(value)) for value in row] for row in X]
        return solve(mp.matrix(rows), [mp.mpf(float(value)) for value in y])


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


NORRIS = Problem(
    "Norris",
    _words("""
    0.1 338.8 118.1 888.0 9.2 228.1 668.5 998.5 449.1 778.9 559.2 0.3 0.1 778.1 668.8 339.3 448.9 10.8
    557.7 228.3 998.0 888.8 119.6 0.3 0.6 557.6 339.3 888.0 998.5 778.9 10.2 117.6 228.9 668.4 449.2 0.2"""),
    (
        _words("""
    0.2 337.4 118.2 884.6 10.1 226.5 666.3 996.3 448.6 777.0 558.2 0.4 0.6 775.5 666.9 338.0 447.5 11.6
    556.0 228.1 995.8 887.6 120.2 0.3 0.3 556.8 339.1 887.2 999.0 779.0 11.1 118.3 229.2 669.1 448.9 0.5"""),
    ),
    _words("-0.262323073774029 1.00211681802045"),
    _words("0.232818234301152 0.429796848199937E-03"),
    "0.884796396144373",
)

PONTIUS = Problem(
    "Pontius",
    _words("""
    .11019 .21956 .32949 .43899 .54803 .65694 .76562 .87487 .98292 1.09146
    1.20001 1.30822 1.41599 1.52399 1.63194 1.73947 1.84646 1.95392 2.06128 2.16844
    .11052 .22018 .32939 .43886 .54798 .65739 .76596 .87474 .98300 1.09150
    1.20004 1.30818 1.41613 1.52408 1.63159 1.73965 1.84696 1.95445 2.06177 2.16829"""),
    (tuple(str(150_000 * k) for k in range(1, 21)) * 2,),
    _words("0.673565789473684E-03 0.732059160401003E-06 -0.316081871345029E-14"),
    _words("0.107938612033077E-03 0.157817399981659E-09 0.486652849992036E-16"),
    "0.205177424076185E-03",
    degree=2,
)

NOINT1 = Problem(
    "NoInt1",
    tuple(str(130 + k) for k in range(11)),
    (tuple(str(60 + k) for k in range(11)),),
    ("2.07438016528926",),
    ("0.165289256198347E-01",),
    "3.56753034006338",
    intercept=False,
)

NOINT2 = Problem(
    "NoInt2",
    ("3", "4", "4"),
    (("4", "5", "6"),),
    ("0.727272727272727",),
    ("0.420827318078432E-01",),
    "0.369274472937998",
    intercept=False,
)

FILIP = Problem(
    "Filip",
    _words("""
    0.8116 0.9072 0.9052 0.9039 0.8053 0.8377 0.8667 0.8809 0.7975 0.8162 0.8515 0.8766 0.8885 0.8859
    0.8959 0.8913 0.8959 0.8971 0.9021 0.9090 0.9139 0.9199 0.8692 0.8872 0.8900 0.8910 0.8977 0.9035
    0.9078 0.7675 0.7705 0.7713 0.7736 0.7775 0.7841 0.7971 0.8329 0.8641 0.8804 0.7668 0.7633 0.7678
    0.7697 0.7700 0.7749 0.7796 0.7897 0.8131 0.8498 0.8741 0.8061 0.8460 0.8751 0.8856 0.8919 0.8934
    0.8940 0.8957 0.9047 0.9129 0.9209 0.9219 0.7739 0.7681 0.7665 0.7703 0.7702 0.7761 0.7809 0.7961
    0.8253 0.8602 0.8809 0.8301 0.8664 0.8834 0.8898 0.8964 0.8963 0.9074 0.9119 0.9228"""),
    (
        _words("""
    -6.860120914 -4.324130045 -4.358625055 -4.358426747 -6.955852379 -6.661145254 -6.355462942
    -6.118102026 -7.115148017 -6.815308569 -6.519993057 -6.204119983 -5.853871964 -6.109523091
    -5.79832982 -5.482672118 -5.171791386 -4.851705903 -4.517126416 -4.143573228 -3.709075441
    -3.499489089 -6.300769497 -5.953504836 -5.642065153 -5.031376979 -4.680685696 -4.329846955
    -3.928486195 -8.56735134 -8.363211311 -8.107682739 -7.823908741 -7.522878745 -7.218819279
    -6.920818754 -6.628932138 -6.323946875 -5.991399828 -8.781464495 -8.663140179 -8.473531488
    -8.247337057 -7.971428747 -7.676129393 -7.352812702 -7.072065318 -6.774174009 -6.478861916
    -6.159517513 -6.835647144 -6.53165267 -6.224098421 -5.910094889 -5.598599459 -5.290645224
    -4.974284616 -4.64454848 -4.290560426 -3.885055584 -3.408378962 -3.13200249 -8.726767166
    -8.66695597 -8.511026475 -8.165388579 -7.886056648 -7.588043762 -7.283412422 -6.995678626
    -6.691862621 -6.392544977 -6.067374056 -6.684029655 -6.378719832 -6.065855188 -5.752272167
    -5.132414673 -4.811352704 -4.098269308 -3.66174277 -3.2644011"""),
    ),
    _words("""
    -1467.48961422980 -2772.17959193342 -2316.37108160893 -1127.97394098372 -354.478233703349
    -75.1242017393757 -10.8753180355343 -1.06221498588947 -0.670191154593408E-01
    -0.246781078275479E-02 -0.402962525080404E-04"""),
    _words("""
    298.084530995537 559.779865474950 466.477572127796 227.204274477751 71.6478660875927 15.2897178747400
    2.23691159816033 0.221624321934227 0.142363763154724E-01 0.535617408889821E-03 0.896632837373868E-05"""),
    "0.334801051324544E-02",
    degree=10,
)

LONGLEY = Problem(
    "Longley",
    _words("""
    60323 61122 60171 61187 63221 63639 64989 63761 66019 67857 68169 66513 68655 69564 69331 70551"""),
    (
        _words("83.0 88.5 88.2 89.5 96.2 98.1 99.0 100.0 101.2 104.6 108.4 110.8 112.6 114.2 115.7 116.9"),
        _words("""
    234289 259426 258054 284599 328975 346999 365385 363112 397469 419180 442769 444546 482704 502601
    518173 554894"""),
        _words("2356 2325 3682 3351 2099 1932 1870 3578 2904 2822 2936 4681 3813 3931 4806 4007"),
        _words("1590 1456 1616 1650 3099 3594 3547 3350 3048 2857 2798 2637 2552 2514 2572 2827"),
        _words("""
    107608 108632 109773 110929 112075 113270 115094 116219 117388 118734 120445 121950 123366 125368
    127852 130081"""),
        tuple(str(year) for year in range(1947, 1963)),
    ),
    _words("""
    -3482258.63459582 15.0618722713733 -0.358191792925910E-01 -2.02022980381683 -1.03322686717359
    -0.511041056535807E-01 1829.15146461355"""),
    _words("""
    890420.383607373 84.9149257747669 0.334910077722432E-01 0.488399681651699 0.214274163161675
    0.226073200069370 455.478499142212"""),
    "304.854073561965",
)

_STEPS = range(21)
_WAMPLER_DELTA = (
    759, -2048, 2048, -2048, 2523, -2048, 2048, -2048, 1838, -2048, 2048,
    -2048, 1838, -2048, 2048, -2048, 2523, -2048, 2048, -2048, 759,
)  # fmt: skip
_WAMPLER_ERRORS = (
    ("2152.32624678170", "2363.55173469681", "779.343524331583",
     "101.475507550350", "5.64566512170752", "0.112324854679312"),
    ("215232.624678170", "236355.173469681", "77934.3524331583",
     "10147.5507550350", "564.566512170752", "11.2324854679312"),
    ("21523262.4678170", "23635517.3469681", "7793435.24331583",
     "1014755.07550350", "56456.6512170752", "1123.24854679312"),
)  # fmt: skip


def _wampler(name: str, y: tuple[str, ...], estimates: str, errors: tuple[str, ...], sd: str) -> Problem:
    x = tuple(str(step) for step in _STEPS)
    return Problem(name, y, (x,), _words(estimates), errors, sd, degree=5)


def _wampler_noisy(name: str, factor: int, errors: tuple[str, ...], sd: str) -> Problem:
    y = tuple(
        str(sum(x**k for k in range(6)) + factor * d) for x, d in zip(_STEPS, _WAMPLER_DELTA, strict=True)
    )
    return _wampler(name, y, "1 1 1 1 1 1", errors, sd)


WAMPLER1 = _wampler(
    "Wampler1", tuple(str(sum(x**k for k in range(6))) for x in _STEPS), "1 1 1 1 1 1", ("0",) * 6, "0"
)
WAMPLER2 = _wampler(
    "Wampler2",
    _words("""
    1.00000 1.11111 1.24992 1.42753 1.65984 1.96875 2.38336 2.94117 3.68928 4.68559 6.00000 7.71561
    9.92992 12.75603 16.32384 20.78125 26.29536 33.05367 41.26528 51.16209 63.00000"""),
    "1 0.1 0.01 0.001 0.0001 0.00001",
    ("0",) * 6,
    "0",
)
WAMPLER3 = _wampler_noisy("Wampler3", 1, _WAMPLER_ERRORS[0], "2360.14502379268")
WAMPLER4 = _wampler_noisy("Wampler4", 100, _WAMPLER_ERRORS[1], "236014.502379268")
WAMPLER5 = _wampler_noisy("Wampler5", 10_000, _WAMPLER_ERRORS[2], "23601450.2379268")

PROBLEMS = (
    NORRIS, PONTIUS, NOINT1, NOINT2, FILIP, LONGLEY, WAMPLER1, WAMPLER2, WAMPLER3, WAMPLER4, WAMPLER5,
)  # fmt: skip

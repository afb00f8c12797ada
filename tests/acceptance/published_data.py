"""Data sets of published fits: small tables of measurements, and simulations repeated from their seeds.

Figures are facts and are typed in, each with where it was printed first; nobody's code or text is copied.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import ndtri
from sklearn.datasets import load_iris

# Mesquite bushes in the order diam1, diam2, total_height, canopy_height (metres), density (stems), weight of
# the leaves (grams); the first 26 are one group, the last 20 another. Gelman and Hill, Data Analysis Using
# Regression and Multilevel/Hierarchical Models (2007), section 4.6; also in stan-dev/example-models
# (BSD licence), ARM/Ch.4/mesquite_vas.data.json.
MESQUITE = """
    1.8 1.15 1.3 1 1 401.3; 1.7 1.35 1.35 1.33 1 513.7; 2.8 2.55 2.16 0.6 1 1179.2; 1.3 0.85 1.8 1.2 1 308;
    3.3 1.9 1.55 1.05 1 855.2; 1.4 1.4 1.2 1 1 268.7; 1.5 0.5 1 0.9 1 155.5; 3.9 2.3 1.7 1.3 2 1253.2;
    1.8 1.35 0.8 0.6 1 328; 2.1 1.6 1.2 0.8 1 614.6; 0.8 0.63 0.9 0.6 1 60.2; 1.3 0.95 1.35 0.95 1 269.6;
    1.2 0.9 1.4 1.2 1 448.4; 1.5 0.7 1 0.7 1 120.4; 2.8 1.7 1.7 1.2 1 378.7; 1.4 0.85 1.5 1.1 1 266.4;
    1.5 0.6 0.65 0.64 1 138.9; 2.4 2.4 1.5 1.2 1 1020.8; 1.9 1.55 1.7 1.2 1 635.7; 2.3 1.6 1.7 1.3 1 621.8;
    2.1 1.7 1.5 1 1 579.8; 2.4 1.3 1.5 0.9 2 326.8; 1 0.4 1.2 1 1 66.7; 1.3 0.6 0.7 0.5 1 68;
    1.1 0.7 1.2 0.9 1 153.1; 1.3 1.2 0.8 0.6 1 256.4; 2.5 2.3 1.7 1.4 5 723; 5.2 4 3 2.5 9 4052;
    2 1.6 1.7 1.4 1 345; 1.6 1.6 1.6 1.3 1 330.9; 1.4 1 1.5 1.1 1 163.5; 3.2 1.9 1.9 1.5 3 1160;
    1.9 1.8 1.1 0.8 1 386.6; 2.4 2.4 1.6 1.1 3 693.5; 2.5 1.8 2 1.3 7 674.4; 2.1 1.5 1.25 0.85 1 217.5;
    2.4 2.2 2 1.5 2 771.3; 2.4 1.7 1.3 1.2 2 341.7; 1.9 1.2 1.45 1.15 2 125.7; 2.7 2.5 2.2 1.5 3 462.5;
    1.3 1.1 0.7 0.7 1 64.5; 2.9 2.7 1.9 1.9 1 850.6; 2.1 1 1.8 1.5 2 226; 4.1 3.8 2 1.5 2 1745.1;
    2.8 2.5 2.2 1.5 1 908; 1.27 1 0.92 0.62 1 213.5
"""

# Mean temperature of the summers of 1952 to 2013 at Kilpisjärvi, in degrees. Finnish Meteorological Institute,
# open data (CC BY 4.0); the numbers as in bbbales2/cmdstan-warmup, examples/kilpisjarvi/kilpisjarvi.dat.
KILPISJARVI = """
    8.3 10.9 9.4 8.1 8.1 7.7 8.6 9.1 11 10.1 7.6 8.8 8.3 7.2 9.3 8.8 7.6 10.5 11 8.9 11.3 10 10.1 6.4 8.2
    8.4 9.5 9.9 10.6 7.6 7.7 8.1 8.4 9.7 9.5 7.3 10.3 9.6 10.3 9.8 9 9.1 9.5 8.7 9.9 10.5 9.4 9 9 9.7 11.4
    10.7 10.1 10.8 10.4 10.3 8.8 9.8 8.8 10.8 8.6 11.1
"""

# Radon in 919 houses of Minnesota in pCi/l, sorted, "3.1*12" twelve times: measured in the basement, and on
# the first floor. State residential radon survey of the US Environmental Protection Agency (public domain),
# joined with the list of counties as posteriordb does (posterior_database/data/data-raw/radon/radon.R).
RADON_BASEMENT = """
    0.1 0.2 0.4*3 0.5*5 0.6*2 0.7*4 0.8*6 0.9*7 1*5 1.1*9 1.2*10 1.3*10 1.4*15 1.5*22 1.6*13 1.7*13 1.8*22
    1.9*12 2*10 2.1*15 2.2*13 2.3*10 2.4*11 2.5*10 2.6*12 2.7*11 2.8*13 2.9*16 3*12 3.1*12 3.2*10 3.3*16
    3.4*10 3.5*7 3.6*11 3.7*5 3.8*12 3.9*13 4*8 4.1*8 4.2*10 4.3*12 4.4*12 4.5*10 4.6*11 4.7*12 4.8*7 4.9*8
    5*12 5.1*8 5.2*3 5.3*3 5.4*9 5.5*8 5.6*6 5.7*6 5.8*3 5.9*4 6*6 6.2*4 6.3*4 6.4*7 6.5*4 6.6*5 6.7*7 6.8*7
    6.9*3 7*3 7.1 7.2*7 7.3*2 7.4*6 7.5*2 7.6*5 7.7*4 7.8*2 7.9*3 8*4 8.1*6 8.2 8.3*2 8.4*5 8.5*2 8.6*6
    8.7*3 8.8*3 8.9*2 9*4 9.1*2 9.2*2 9.3*2 9.4*4 9.5*3 9.6*5 9.7*2 9.8 9.9 10*2 10.1*3 10.2*3 10.3*2 10.6*4
    10.7 10.8*2 10.9*2 11 11.1 11.2*2 11.3*2 11.4*2 11.5 11.6 11.7 11.8 12*2 12.1*2 12.2 12.3 12.5 12.8
    12.9*2 13*3 13.1*2 13.2 13.4 13.8*2 14.3 14.5 14.6 14.9*2 15.3 15.7 15.9 16 16.5 17.5 19 19.3 19.5 20.4
    21.2 23.6 23.8 24 25.2 26.6 32.2 32.6 43.5 48.2
"""
RADON_FIRST_FLOOR = """
    0*3 0.2 0.3 0.4*3 0.5*5 0.6 0.7*4 0.8*5 0.9*9 1*3 1.1*9 1.2*5 1.3*4 1.4*3 1.5*2 1.6*5 1.7*5 1.8*3 2*2
    2.1*4 2.2*6 2.3 2.4 2.5*8 2.6 2.8*5 2.9*4 3 3.2*2 3.3 3.4 3.5*3 3.6 3.7*3 4 4.2*2 4.3*3 4.4 4.5*2 4.6
    4.7 4.8*2 5.6*2 5.7 5.8*2 6*2 6.7 6.9*3 7.2 7.6 9.1 9.8 10.1 10.2 11.1 11.3 12.6 14.3 14.7 19.3 20.7
    25.4
"""

# Children who were encouraged to watch Sesame Street or not, and who watched it regularly or not. Bogatz and
# Ball, The Second Year of Sesame Street (1971); counted in avehtari/ROS-Examples, Sesame/data/sesame.csv.
SESAME = {
    ("encouraged", "watched"): 138,
    ("encouraged", "not"): 14,
    ("not", "watched"): 48,
    ("not", "not"): 40,
}

# Speed in miles an hour and stopping distance in feet. Ezekiel, Methods of Correlation Analysis (1930).
CARS = """
    4 2; 4 10; 7 4; 7 22; 8 16; 9 10; 10 18; 10 26; 10 34; 11 17; 11 28; 12 14; 12 20; 12 24; 12 28; 13 26;
    13 34; 13 34; 13 46; 14 26; 14 36; 14 60; 14 80; 15 20; 15 26; 15 54; 16 32; 16 40; 17 32; 17 40;
    17 50; 18 42; 18 56; 18 76; 18 84; 19 36; 19 46; 19 68; 20 32; 20 48; 20 52; 20 56; 20 64; 22 66;
    23 54; 24 70; 24 92; 24 93; 24 120; 25 85
"""

# Air flow, water temperature, acid concentration and stack loss. Brownlee, Statistical Theory and Methodology
# in Science and Engineering (1960).
STACKLOSS = """
    80 27 89 42; 80 27 88 37; 75 25 90 37; 62 24 87 28; 62 22 87 18; 62 23 87 18; 62 24 93 19; 62 24 93 20;
    58 23 87 15; 58 18 80 14; 58 18 89 14; 58 17 88 13; 58 18 82 11; 58 19 93 12; 50 18 89 8; 50 18 86 7;
    50 19 72 8; 50 19 79 8; 50 20 80 9; 56 20 82 15; 70 20 91 15
"""

# Dried weights of plants. Dobson, An Introduction to Statistical Modelling (1983).
PLANTS = {
    "ctrl": "4.17 5.58 5.18 6.11 4.5 4.61 5.17 4.53 5.33 5.14",
    "trt1": "4.81 4.17 4.41 3.59 5.87 3.83 6.03 4.89 4.32 4.69",
    "trt2": "6.31 5.12 5.54 5.5 5.37 5.29 4.92 6.15 5.8 5.26",
}

# Miles a gallon, horsepower, weight in 1000 pounds, and 1 for a manual gearbox, of 32 cars. Motor Trend (1974),
# printed by Henderson and Velleman, Biometrics 37 (1981), 391-411.
MTCARS = """
    21 110 2.62 1; 21 110 2.875 1; 22.8 93 2.32 1; 21.4 110 3.215 0; 18.7 175 3.44 0; 18.1 105 3.46 0;
    14.3 245 3.57 0; 24.4 62 3.19 0; 22.8 95 3.15 0; 19.2 123 3.44 0; 17.8 123 3.44 0; 16.4 180 4.07 0;
    17.3 180 3.73 0; 15.2 180 3.78 0; 10.4 205 5.25 0; 10.4 215 5.424 0; 14.7 230 5.345 0; 32.4 66 2.2 1;
    30.4 52 1.615 1; 33.9 65 1.835 1; 21.5 97 2.465 0; 15.5 150 3.52 0; 15.2 150 3.435 0; 13.3 245 3.84 0;
    19.2 175 3.845 0; 27.3 66 1.935 1; 26 91 2.14 1; 30.4 113 1.513 1; 15.8 264 3.17 1; 19.7 175 2.77 1;
    15 335 3.57 1; 21.4 109 2.78 1
"""


def mesquite() -> pd.DataFrame:
    """Return the 46 bushes, with `group` 0 and 1."""
    columns = ["diam1", "diam2", "total_height", "canopy_height", "density", "weight"]
    return _table(MESQUITE, columns).assign(group=[0] * 26 + [1] * 20)


def kilpisjarvi() -> pd.DataFrame:
    """Return 62 summers: `y`, and the year as `x`, to which posteriordb adds 2000 to correlate the parameters."""
    y = _numbers(KILPISJARVI)
    return pd.DataFrame({"x": np.arange(3952, 3952 + len(y)), "y": y})


def radon() -> pd.DataFrame:
    """Return `log_radon`, log(activity + 0.1), and `floor`, 0 for basements and 1 for first floors."""
    below, above = _numbers(RADON_BASEMENT), _numbers(RADON_FIRST_FLOOR)
    floor = np.repeat([0, 1], [len(below), len(above)])
    return pd.DataFrame({"log_radon": np.log(np.concatenate([below, above]) + 0.1), "floor": floor})


def sesame() -> pd.DataFrame:
    """Return 240 children, both columns 0 or 1."""
    counts = list(SESAME.values())
    return pd.DataFrame(
        {"encouraged": np.repeat([1, 1, 0, 0], counts), "watched": np.repeat([1, 0, 1, 0], counts)}
    )


def cars() -> pd.DataFrame:
    """Return 50 stops."""
    return _table(CARS, ["speed", "dist"])


def stackloss() -> pd.DataFrame:
    """Return 21 days of a plant that oxidizes ammonia."""
    return _table(STACKLOSS, ["air_flow", "water_temp", "acid_conc", "stack_loss"])


def plants() -> pd.DataFrame:
    """Return 30 plants in three groups."""
    return pd.concat([pd.DataFrame({"group": g, "weight": _numbers(text)}) for g, text in PLANTS.items()])


def mtcars() -> pd.DataFrame:
    """Return 32 cars."""
    return _table(MTCARS, ["mpg", "hp", "wt", "am"])


def iris() -> pd.DataFrame:
    """Return the petals of Fisher's 150 flowers."""
    frame = load_iris(as_frame=True).frame
    return frame.rename(columns=lambda name: name.replace(" (cm)", "").replace(" ", "_"))


def independent() -> pd.DataFrame:
    """Return posteriordb's sblri: 100 rows of five predictors meant to be uncorrelated."""
    return _simulated(4711, np.diag(np.full(5, 0.01)))


def correlated() -> pd.DataFrame:
    """Return posteriordb's sblrc: 100 rows of five correlated predictors."""
    return _simulated(4712, np.full((5, 5), 0.008) + np.diag(np.full(5, 0.002)))


def _simulated(seed: int, posterior: np.ndarray) -> pd.DataFrame:
    """Return what R draws: n = 100 rows x ~ N(0, n inv(posterior)), and y = sum of x plus N(0, 1).

    posterior_database/data/data-raw/sblr/sblr.R says how: the rows by mvtnorm, which multiplies standard
    normal numbers, one row after the other, by the symmetric root of the covariance; then the noise of y.
    """
    n, p = 100, len(posterior)
    values, vectors = np.linalg.eigh(n * np.linalg.inv(posterior))
    normal = r_normal(seed, n * p + n)
    X = normal[: n * p].reshape(n, p) @ (vectors * np.sqrt(values)) @ vectors.T
    return pd.DataFrame(X, columns=[f"x{j}" for j in range(1, p + 1)]).assign(
        y=X.sum(axis=1) + normal[n * p :]
    )


def r_normal(seed: int, size: int) -> np.ndarray:
    """Return R's `set.seed(seed); rnorm(size)`, the generator and the inversion at R's defaults.

    The Mersenne Twister starts from a congruential generator that was run 50 steps (and one that R skips);
    a normal number inverts the distribution function at a uniform one of 27 + 32 bits.
    """
    state, key = seed, []
    for step in range(51 + 624):
        state = (69069 * state + 1) % 2**32
        if step > 50:
            key.append(state)
    twister = np.random.MT19937()
    twister.state = {
        "bit_generator": "MT19937",
        "state": {"key": np.array(key, dtype=np.uint32), "pos": 624},
    }
    uniform = np.asarray(twister.random_raw(2 * size), dtype=float) / 2**32
    return ndtri((np.floor(2**27 * uniform[::2]) + uniform[1::2]) / 2**27)


def _numbers(text: str) -> np.ndarray:
    """Return the numbers in text; "3.1*12" is 3.1 twelve times."""
    values: list[float] = []
    for word in text.split():
        value, _, times = word.partition("*")
        values += [float(value)] * int(times or 1)
    return np.array(values)


def _table(text: str, columns: list[str]) -> pd.DataFrame:
    """Return the rows in text, which semicolons separate."""
    return pd.DataFrame([[float(word) for word in row.split()] for row in text.split(";")], columns=columns)

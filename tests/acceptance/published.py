"""Fits that others have published: posteriors sampled with Stan, and least squares printed by R.

`SAMPLED` is from posteriordb (github.com/stan-dev/posteriordb): the figures are those of the files
posterior_database/reference_posteriors/summary_statistics/mean_value/mean_value/NAME.json and
.../mean_squared_value/mean_squared_value/NAME.json, cut to a hundredth of their standard errors; the priors are
those of posterior_database/models/stan/MODEL.stan, where NAME is DATA-MODEL. `LEAST_SQUARES` keeps what R or
others print, as decimal strings, so that the digits printed say how exact they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pandas as pd
from sklearn.datasets import load_diabetes

from bayesglm import Flat, HalfNormal, Normal
from tests.acceptance import published_data

REFERENCE_DRAWS = 10_000  # posteriordb keeps 10 chains x 1000, thinned until they are as good as independent

FLAT = {"prior": Flat(), "intercept_prior": Flat(), "sigma_prior": Flat()}
SBLR = {"prior": Normal(0, 10), "sigma_prior": HalfNormal(10)}  # blr.stan
RADON = {  # radon_pooled.stan
    "prior": Normal(0, 10),
    "intercept_prior": Normal(0, 10),
    "sigma_prior": HalfNormal(1),
    "center": False,
}
KILPISJARVI = {  # kilpisjarvi.stan, with the numbers of cmdstan-warmup's examples/kilpisjarvi/kilpisjarvi.dat
    "prior": Normal(0, 0.0333333333333333),
    "intercept_prior": Normal(9.31290322580645, 100),
    "sigma_prior": Flat(),
    "center": False,
}
VOLUME = "np.log(diam1 * diam2 * canopy_height)"
AREA = "np.log(diam1 * diam2)"
SHAPE = "np.log(diam1 / diam2)"


@dataclass(frozen=True)
class Sampled:
    """A posterior that was sampled: its parameters are the intercept (if any), the coefficients and sigma.

    `figures` has for each of them the mean, its Monte Carlo standard error, the mean of the square and its
    standard error.
    """

    name: str
    formula: str
    data: Callable[[], pd.DataFrame]
    settings: dict[str, Any]
    figures: tuple[tuple[float, float, float, float], ...]


@dataclass(frozen=True)
class LeastSquares:
    """A fit by least squares, the intercept first: estimates, their standard errors, residual sd, its freedom.

    `slack` is what the data at hand may move the estimates, beyond the rounding of what was printed.
    """

    name: str
    formula: str
    data: Callable[[], pd.DataFrame]
    estimates: tuple[str, ...]
    errors: tuple[str, ...]
    residual_sd: str
    dof: int
    slack: float = 0.0


def rounding(figure: str) -> float:
    """Return half a unit of the last digit that figure shows."""
    exponent = Decimal(figure).as_tuple().exponent
    assert isinstance(exponent, int)
    return 0.5 * 10.0**exponent


SAMPLED = (
    Sampled(
        "sblri-blr",
        "y ~ x1 + x2 + x3 + x4 + x5 - 1",
        published_data.independent,
        SBLR,
        (
            (0.99946614, 9.85e-06, 0.9989335, 1.97e-05),
            (1.0002286, 1.17e-05, 1.0004586, 2.34e-05),
            (1.00042261, 9.64e-06, 1.0008463, 1.94e-05),
            (1.0011475, 1.06e-05, 1.0022975, 2.13e-05),
            (1.0015625, 1.05e-05, 1.0031286, 2.12e-05),
            (0.962633, 0.00071, 0.93173, 0.0014),
        ),
    ),
    Sampled(
        "sblrc-blr",
        "y ~ x1 + x2 + x3 + x4 + x5 - 1",
        published_data.correlated,
        SBLR,
        (
            (0.9996474, 1e-05, 0.9992959, 2.01e-05),
            (0.99873177, 9.88e-06, 0.9974662, 1.98e-05),
            (0.9981989, 1.09e-05, 0.9964023, 2.2e-05),
            (0.9988437, 1.04e-05, 0.9976897, 2.1e-05),
            (0.99859308, 9.91e-06, 0.9971891, 1.99e-05),
            (1.042291, 0.000773, 1.09225, 0.00164),
        ),
    ),
    Sampled(
        "mesquite-mesquite",
        "weight ~ diam1 + diam2 + canopy_height + total_height + density + group",
        published_data.mesquite,
        FLAT,
        (
            (-727.04, 1.5, 551680, 2.23e03),
            (187.04, 1.2, 48834, 502),
            (373.7, 1.3, 156750, 1e03),
            (355.61, 2.27, 175440, 1.77e03),
            (-101.69, 1.92, 47500, 682),
            (132.059, 0.363, 18733.4, 97.5),
            (-365.33, 1.07, 144531, 805),
            (277.762, 0.321, 78206, 186),
        ),
    ),
    Sampled(
        "mesquite-logmesquite",
        "np.log(weight) ~ np.log(diam1) + np.log(diam2) + np.log(canopy_height)"
        " + np.log(total_height) + np.log(density) + group",
        published_data.mesquite,
        FLAT,
        (
            (5.35036, 0.00177, 28.658, 0.019),
            (0.39857, 0.00293, 0.2448, 0.00271),
            (1.1492, 0.00217, 1.36811, 0.00505),
            (0.37721, 0.0029, 0.22812, 0.00254),
            (0.39004, 0.00334, 0.25996, 0.00307),
            (0.10925, 0.00126, 0.028021, 0.000366),
            (-0.58467, 0.00135, 0.35984, 0.0016),
            (0.34068, 0.000403, 0.117669, 0.000287),
        ),
    ),
    Sampled(
        "mesquite-logmesquite_logvolume",
        f"np.log(weight) ~ {VOLUME}",
        published_data.mesquite,
        FLAT,
        (
            (5.170848, 0.000873, 26.74513, 0.00906),
            (0.722009, 0.000564, 0.524454, 0.000815),
            (0.42667, 0.00048, 0.184331, 0.000428),
        ),
    ),
    Sampled(
        "mesquite-logmesquite_logva",
        f"np.log(weight) ~ {VOLUME} + {AREA} + group",
        published_data.mesquite,
        FLAT,
        (
            (5.224136, 0.000918, 27.3002, 0.00966),
            (0.61223, 0.002, 0.4149, 0.00255),
            (0.29242, 0.00247, 0.14708, 0.00167),
            (-0.52732, 0.00119, 0.2922, 0.00127),
            (0.347907, 0.000397, 0.122598, 0.000289),
        ),
    ),
    Sampled(
        "mesquite-logmesquite_logvas",
        f"np.log(weight) ~ {VOLUME} + {AREA} + {SHAPE} + np.log(total_height) + np.log(density) + group",
        published_data.mesquite,
        FLAT,
        (
            (5.35152, 0.00178, 28.6703, 0.0192),
            (0.37589, 0.00291, 0.22537, 0.00254),
            (0.39744, 0.00303, 0.24967, 0.00276),
            (-0.37489, 0.00244, 0.19833, 0.00206),
            (0.38936, 0.00329, 0.25989, 0.00302),
            (0.11004, 0.00126, 0.028026, 0.000362),
            (-0.58471, 0.00134, 0.35963, 0.00159),
            (0.340757, 0.000406, 0.117742, 0.00029),
        ),
    ),
    Sampled(
        "mesquite-logmesquite_logvash",
        f"np.log(weight) ~ {VOLUME} + {AREA} + {SHAPE} + np.log(total_height) + group",
        published_data.mesquite,
        FLAT,
        (
            (5.30991, 0.0017, 28.224, 0.0181),
            (0.38718, 0.00283, 0.23198, 0.00251),
            (0.40964, 0.003, 0.25776, 0.0028),
            (-0.31746, 0.00229, 0.15293, 0.00164),
            (0.42346, 0.00317, 0.28262, 0.00316),
            (-0.53855, 0.00122, 0.30506, 0.00133),
            (0.339395, 0.000394, 0.116735, 0.000278),
        ),
    ),
    Sampled(
        "kilpisjarvi_mod-kilpisjarvi",
        "y ~ x",
        published_data.kilpisjarvi,
        KILPISJARVI,
        (
            (-60.712, 0.307, 4583.8, 39.1),
            (0.0175836, 7.7e-05, 0.00036579, 2.81e-06),
            (1.13167, 0.00106, 1.29229, 0.00247),
        ),
    ),
    Sampled(
        "radon_mn-radon_pooled",
        "log_radon ~ floor",
        published_data.radon,
        RADON,
        (
            (1.362768, 0.000291, 1.857948, 0.000793),
            (-0.587035, 0.000708, 0.349551, 0.000833),
            (0.790983, 0.000188, 0.626, 0.000298),
        ),
    ),
    Sampled(
        "sesame_data-sesame_one_pred_a",
        "watched ~ encouraged",
        published_data.sesame,
        FLAT,
        (
            (0.54537, 0.00041, 0.299074, 0.000448),
            (0.36256, 0.000512, 0.134052, 0.000373),
            (0.382866, 0.000186, 0.146904, 0.000143),
        ),
    ),
)

LEAST_SQUARES = (
    # R's summary(lm(dist ~ speed, cars)), as in rstudio-pubs 437286 and on many other pages.
    LeastSquares(
        "cars",
        "dist ~ speed",
        published_data.cars,
        ("-17.5791", "3.9324"),
        ("6.7584", "0.4155"),
        "15.38",
        48,
    ),
    # R's summary(lm(mpg ~ wt, mtcars)): riptutorial.com/r/example/2738.
    LeastSquares(
        "mtcars: weight",
        "mpg ~ wt",
        published_data.mtcars,
        ("37.2851", "-5.3445"),
        ("1.8776", "0.5591"),
        "3.046",
        30,
    ),
    # R's summary of lm(mpg ~ hp + wt + am + hp2 + am:wt), hp2 the square of hp: rstudio-pubs 1171793.
    LeastSquares(
        "mtcars: a square and an interaction",
        "mpg ~ hp + wt + am + I(hp ** 2) + am:wt",
        published_data.mtcars,
        ("3.593e+01", "-1.113e-01", "-1.999e+00", "1.203e+01", "2.320e-04", "-4.093e+00"),
        ("2.962e+00", "3.038e-02", "7.691e-01", "3.568e+00", "8.003e-05", "1.290e+00"),
        "2.066",
        26,
    ),
    # R's summary(lm(weight ~ group, PlantGrowth)), the fit of R's help page ?PlantGrowth, printed in many courses.
    LeastSquares(
        "plants: a factor",
        "weight ~ group",
        published_data.plants,
        ("5.0320", "-0.3710", "0.4940"),
        ("0.1971", "0.2788", "0.2788"),
        "0.6234",
        27,
    ),
    # R's summary(lm(stack.loss ~ ., stackloss)), the fit of R's help page ?stackloss, printed in many courses.
    LeastSquares(
        "stack loss",
        "stack_loss ~ air_flow + water_temp + acid_conc",
        published_data.stackloss,
        ("-39.9197", "0.7156", "1.2953", "-0.1521"),
        ("11.8960", "0.1349", "0.3680", "0.1563"),
        "3.243",
        17,
    ),
    # R's summary(lm(Petal.Width ~ Petal.Length, iris)): warwick.ac.uk/fac/sci/moac/people/students/peter_cock/r/iris_lm
    LeastSquares(
        "iris",
        "petal_width ~ petal_length",
        published_data.iris,
        ("-0.363076", "0.415755"),
        ("0.039762", "0.009582"),
        "0.2065",
        148,
    ),
    # The full least-squares fit that ends the path of Efron, Hastie, Johnstone and Tibshirani, Least Angle
    # Regression, Annals of Statistics 32 (2004), 407-499. Coefficients as R prints them for lars's data, whose
    # columns have length 1 like scikit-learn's; intercept and residual squares, 1263983.15625, as many printed
    # them with scikit-learn before 1.1, which gave the same coefficients. Since 1.1 it scales the raw data
    # itself, which moves coefficients by up to 0.01. No standard errors were found.
    LeastSquares(
        "diabetes",
        "target ~ age + sex + bmi + bp + s1 + s2 + s3 + s4 + s5 + s6",
        lambda: load_diabetes(as_frame=True).frame,
        (
            *("152.13348", "-10.01220", "-239.81909", "519.83979", "324.39043", "-792.18416"),
            *("476.74584", "101.04457", "177.06418", "751.27932", "67.62539"),
        ),
        (),
        "54.154",  # sqrt(1263983.15625 / 431)
        431,
        slack=0.01,
    ),
)

# R's predict(lm(stack.loss ~ ...), interval=...) for a day: air flow 72, water 20, acid 85; level 0.95. r-tutor.com,
# elementary-statistics/multiple-linear-regression, pages confidence-interval-mlr and prediction-interval-mlr.
STACKLOSS_DAY = {"air_flow": 72.0, "water_temp": 20.0, "acid_conc": 85.0}
STACKLOSS_FIT = "24.582"
STACKLOSS_INTERVALS = {"mean": ("20.218", "28.945"), "response": ("16.466", "32.697")}

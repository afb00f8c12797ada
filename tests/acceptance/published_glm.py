"""Published fits of other likelihoods than the normal one: posteriors by Stan, modes printed by R and others.

`SCHOOLS` is from posteriordb (see `published`): means and their standard errors.
"""

import pandas as pd

# eight_schools_noncentered.stan: mu ~ normal(0, 5), tau ~ cauchy(0, 5); of these the means only.
SCHOOLS = {"mu": (4.41051834, 0.0330), "tau": (3.60205952, 0.0319)}
EFFECTS = pd.DataFrame(
    {
        "y": [28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0],
        "se": [15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0],
    }
)

#: Bliss (1935) as in Dobson, An Introduction to Generalized Linear Models: dose, beetles, beetles killed.
BEETLES = pd.DataFrame(
    {
        "dose": [1.6907, 1.7242, 1.7552, 1.7842, 1.8113, 1.8369, 1.8610, 1.8839],
        "n": [59, 60, 62, 56, 63, 59, 62, 60],
        "killed": [6, 13, 18, 28, 52, 53, 61, 60],
    }
)
# Dobson's tables; the logit to more digits as GLMLAB prints it.
BEETLE_FITS = {
    "logit": (("-60.717455", "34.270326"), ("5.180701", "2.912134")),
    "probit": (("-34.94", "19.73"), ("2.64", "1.48")),
    "cloglog": (("-39.57", "22.04"), ("3.23", "1.79")),
}
#: Dobson (1990), the example of R's help page ?glm, and what R prints: the treatments' coefficients are rounding.
TRIAL = pd.DataFrame(
    {
        "counts": [18, 17, 15, 20, 10, 20, 25, 13, 12],
        "outcome": ["1", "2", "3"] * 3,
        "treatment": ["1"] * 3 + ["2"] * 3 + ["3"] * 3,
    }
)
TRIAL_FIT = ("3.045e+00", "-4.543e-01", "-2.930e-01")
TRIAL_ERRORS = ("1.709e-01", "2.022e-01", "1.927e-01", "2.000e-01", "2.000e-01")

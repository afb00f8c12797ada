"""Linear regressions at the edge of what doubles hold: each posterior against fifty digits, or one clear error."""

from dataclasses import replace

import numpy as np
import pytest

from tests.acceptance.extreme_cases import CASES
from tests.acceptance.extreme_errors import fit, least_errors, oracle, perfect_errors, standard_scores

#: Cases whose answers cannot be as good as 1e-9 posterior standard deviations: how good they are, and why.
_LAST = "of 1e12 observations a coefficient is known to 1e-7 of itself, of which doubles have nine digits"
LIMITED = {
    "nearly perfect fit: noise 1e-09": (1e-5, "the last digits of a coefficient are 1e-7 of its sd"),
    "nearly perfect fit: noise 1e-12": (1e-2, "the last digits of a coefficient are 1e-4 of its sd"),
    "weights: 1e12 each": (1e-6, _LAST),
    "weights: 1e-12 to 1e12": (1e-6, _LAST),
    "weights: 1e12 on one row, offset 1e9": (1e-6, _LAST),
}


@pytest.mark.parametrize("name", CASES)
def test_extremes(name):
    case = CASES[name]()
    if name in LIMITED:
        case = replace(case, tolerance=LIMITED[name][0])
    if case.error:
        with pytest.raises(ValueError, match=case.error):
            fit(case)
        return
    model, warned = fit(case)
    assert len(warned) == len(case.warns), warned
    assert all(words in "".join(warned) for words in case.warns)
    assert np.isfinite(model.posterior_.stacked()).all()
    if case.perfect:
        off, tolerance = perfect_errors(case, model), 50.0
    else:
        off, tolerance = least_errors(case, model), case.tolerance
    worst = max(off, key=off.get)
    assert off[worst] < tolerance, (worst, off[worst])
    if not case.perfect and case.nearby is None:
        scores = standard_scores(model, oracle(case))
        assert max(map(abs, scores.values())) < 4.0, scores


def test_list_names_cases():
    assert {*LIMITED} <= {*CASES}

"""Whatever comes in, the outcome is a model that keeps its promises or a refusal of ours: a few hundred cases.

The long run, with other seeds, is `tests/reliability/fuzz.py`.
"""

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.fuzz_checks import check
from tests.fuzz_models import GROUPS, cases


@pytest.mark.parametrize("group", GROUPS)
def test_fitted_or_refused(group):
    fitted = []

    @settings(
        max_examples=50,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases(group))
    def run(case):
        fitted.append(check(case).fitted)

    run()
    assert len(fitted) >= 45
    assert sum(fitted) >= 8

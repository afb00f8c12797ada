"""What cannot be sampled well is refused or warned of; the long run is tests/reliability/pathologies.py."""

import pytest

from tests.reliability.pathologies import PATHOLOGIES, one

#: Too long for every day, or seen only by some seeds: see docs/reliability.md.
LONG = (
    "a needle beside a normal",
    "banana",
    "eight schools, centred",
    "improper direction",
    "infinite cusp at the mode",
    "horseshoe, twin signals",
    "gradient of the wrong sign",
    "Cauchy, 5 dimensions",
    "robust, df=1, two clusters of 500",
    "step by a factor of 100",
    "two normals 10 sd apart, 9 : 1",
)


@pytest.mark.parametrize("name", [name for name in PATHOLOGIES if name not in LONG])
def test_nothing_wrong_goes_unnoticed(name):
    case = PATHOLOGIES[name]
    found = one(name, 0)
    if case.must == "refusal":
        assert found.word == "refused"
        assert "prior" in found.refusal
    elif case.may_pass:
        assert found.word in ("warned", "right")
    else:
        assert found.word == "warned"
    assert all("increase" in t or "use " in t or "raise" in t or "give " in t for t in found.texts)

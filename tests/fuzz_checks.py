"""What must hold whatever the estimators are fed with: a fitted model that keeps its promises, or a refusal of ours."""

from dataclasses import dataclass, field

import numpy as np

from tests import fuzz_probes
from tests.fuzz_models import Case
from tests.fuzz_promises import (
    expect,
    good_data,
    good_model,
    good_more,
    patience,
    refusal,
    state,
    strict,
    words,
)


@dataclass
class Outcome:
    """What came of a case: fitted or the words of the refusal, and what was refused of the model afterwards."""

    fitted: bool
    refusal: str = ""
    later: list[str] = field(default_factory=list)


def check(case: Case) -> Outcome:
    """Do what the case says and see that everything holds; BrokenPromise, or whatever error, if not."""
    with patience(), strict():
        model, (X, y) = good_model(case), good_data(case)
        kept = None
        if case.before:
            model.fit(X, y, **good_more(case))
            kept = model.predict(X)
        model.set_params(**case.model().get_params(deep=False))
        before, given = state(model), words((case.X, case.y, case.more))
        try:
            model.fit(case.X, case.y, **case.more)
        except Exception as error:
            said = refusal(error)
            expect(state(model) == before, "a failed fit changed the estimator")
            expect(words((case.X, case.y, case.more)) == given, "a failed fit changed its data")
            if kept is not None:
                expect(np.array_equal(model.predict(X), kept), "a failed fit changed the predictions")
            good = good_more(case)
            model.set_params(**good_model(case).get_params(deep=False)).fit(X, y, **good)
            other = good_model(case).fit(X, y, **good)
            expect(np.array_equal(model.predict(X), other.predict(X)), "a failed fit leaves traces")
            return Outcome(False, said)
        expect(words((case.X, case.y, case.more)) == given, "a fit changed its data")
        fuzz_probes.check_fitted(model, case)
        later = []
        for probe in case.probes:
            before = state(model)
            try:
                getattr(fuzz_probes, f"probe_{probe.replace(' ', '_')}")(model, case)
            except Exception as error:
                later.append(f"{probe}: {refusal(error)}")
            expect(state(model) == before, f"{probe} changed the estimator")
        return Outcome(True, later=later)

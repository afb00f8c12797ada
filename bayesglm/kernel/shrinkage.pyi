from numpy.typing import ArrayLike

from bayesglm.kernel.coefficient_maps import CoefMap
from bayesglm.kernel.priors import Prior

class LearnedScaleMap(CoefMap):
    def __init__(
        self,
        unit: ArrayLike,
        hyperprior: Prior,
        group: ArrayLike | None = None,
        information: float | ArrayLike = 0.0,
    ) -> None: ...
    @property
    def n_groups(self) -> int: ...

class R2D2Map(CoefMap):
    def __init__(
        self,
        n_coef: int,
        mean: float = 0.5,
        precision: float = 2.0,
        concentration: float = 0.5,
        unit: float | ArrayLike = 1.0,
        scaled: bool = False,
        information: float | ArrayLike = 0.0,
    ) -> None: ...

from numpy.typing import ArrayLike

from bayesglm.kernel.priors import Prior

PRIORS: dict[str, type[Prior]]

class PositiveScale(Prior):
    scale: float | ArrayLike

class HalfNormal(PositiveScale):
    def __init__(self, scale: float | ArrayLike = 1.0, autoscale: bool = False) -> None: ...

class HalfStudentT(PositiveScale):
    df: float
    def __init__(self, df: float = 4.0, scale: float | ArrayLike = 1.0, autoscale: bool = False) -> None: ...

class HalfCauchy(PositiveScale):
    def __init__(self, scale: float | ArrayLike = 1.0, autoscale: bool = False) -> None: ...

class Exponential(PositiveScale):
    def __init__(self, scale: float | ArrayLike = 1.0, autoscale: bool = False) -> None: ...

class Gamma(PositiveScale):
    shape: float
    def __init__(
        self, shape: float = 2.0, scale: float | ArrayLike = 1.0, autoscale: bool = False
    ) -> None: ...

class InverseGamma(PositiveScale):
    shape: float
    def __init__(
        self, shape: float = 2.0, scale: float | ArrayLike = 1.0, autoscale: bool = False
    ) -> None: ...

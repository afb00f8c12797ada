"""Types of `bayesglm.kernel.continuous`."""

import numpy as np

from bayesglm.kernel.family import Family

class RealFamily(Family): ...

class Gaussian(RealFamily):
    sigma: float | None
    def __init__(self, link: str = "identity", sigma: float | None = None) -> None: ...

class StudentT(RealFamily):
    df: float | None
    def __init__(self, link: str = "identity", df: float | None = None) -> None: ...

class Laplace(RealFamily):
    def __init__(self, link: str = "identity") -> None: ...

def weighted_median(values: np.ndarray, weight: np.ndarray | None = None) -> float: ...

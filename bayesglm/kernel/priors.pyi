from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

class Prior:
    # Each class has parameters of its own, which `names` lists.
    def __init__(self, *args: Any, **params: Any) -> None: ...
    names: ClassVar[tuple[str, ...]]
    positive: ClassVar[bool]
    autoscale: bool
    @property
    def bound(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]: ...
    def get_params(self, deep: bool = True) -> dict[str, Any]: ...
    def set_params(self, **params: Any) -> Self: ...
    def bind(
        self,
        index: ArrayLike,
        *,
        unit: float | np.ndarray = 1.0,
        shift: float = 0.0,
        positive: bool = False,
        name: str = "prior",
    ) -> Self: ...
    def _attach(self, state: tuple[np.ndarray, np.ndarray, np.ndarray, bool]) -> None: ...
    def resolved(self) -> Self: ...
    def transformed(self, shift: float | np.ndarray, unit: float | np.ndarray) -> Self: ...
    def surrogate(self) -> tuple[np.ndarray, np.ndarray]: ...
    def gaussian(self) -> tuple[np.ndarray, np.ndarray] | None: ...
    def value_and_gradient(self, x: ArrayLike) -> tuple[float, np.ndarray]: ...
    def distribution(self) -> Any: ...
    def logpdf(self, x: ArrayLike) -> np.ndarray: ...
    def draw(self, rng: np.random.Generator, size: int) -> np.ndarray: ...

class JointPrior(Prior):
    def __init__(self, first: Prior, second: Prior) -> None: ...

class LocationScale(Prior):
    loc: float | ArrayLike
    scale: float | ArrayLike

class Flat(Prior):
    def __init__(self) -> None: ...

class Normal(LocationScale):
    def __init__(
        self, loc: float | ArrayLike = 0.0, scale: float | ArrayLike = 1.0, autoscale: bool = False
    ) -> None: ...

class StudentT(LocationScale):
    df: float
    def __init__(
        self,
        df: float = 4.0,
        loc: float | ArrayLike = 0.0,
        scale: float | ArrayLike = 1.0,
        autoscale: bool = False,
    ) -> None: ...

class Cauchy(LocationScale):
    def __init__(
        self, loc: float | ArrayLike = 0.0, scale: float | ArrayLike = 1.0, autoscale: bool = False
    ) -> None: ...

class Laplace(LocationScale):
    def __init__(
        self, loc: float | ArrayLike = 0.0, scale: float | ArrayLike = 1.0, autoscale: bool = False
    ) -> None: ...

def student_constant(df: float) -> float: ...

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from bayesglm.kernel.target import Target

class MovingTarget(Target):
    def __init__(
        self,
        inner: Target,
        pivot: int,
        first_knot: float,
        knot_step: float,
        centre: ArrayLike,
        centre_slope: ArrayLike,
        log_width: ArrayLike,
        log_width_slope: ArrayLike,
    ) -> None: ...
    # Whichever target it is has methods of its own, which its maker knows.
    @property
    def inner(self) -> Any: ...
    @property
    def pivot(self) -> int: ...
    @property
    def settings(self) -> tuple[Any, ...]: ...
    def unwhiten(self, q: ArrayLike) -> np.ndarray: ...
    def raise_error(self) -> None: ...

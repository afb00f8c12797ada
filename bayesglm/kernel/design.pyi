"""Types of `bayesglm.kernel.design`."""

from typing import Any

import numpy as np

BLOCK_ROWS: int

def make_design(
    X: Any, center: np.ndarray | None = None, unit: np.ndarray | None = None, dtype: Any = ...
) -> Design: ...

class Design:
    n_rows: int
    n_columns: int
    n_blocks: int
    center: np.ndarray
    unit: np.ndarray
    @property
    def shape(self) -> tuple[int, int]: ...
    def block(self, block: int) -> np.ndarray: ...

class DenseDesign(Design):
    @property
    def dtype(self) -> np.dtype: ...

class SparseDesign(Design): ...

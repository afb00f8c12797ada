from numpy.typing import ArrayLike

from bayesglm.kernel.coefficient_maps import CoefMap

class HorseshoeMap(CoefMap):
    def __init__(
        self,
        n_coef: int,
        global_scale: float,
        slab_scale: float = 2.5,
        slab_df: float = 4.0,
        df_local: float = 1.0,
        df_global: float = 1.0,
        unit: float | ArrayLike = 1.0,
        scaled: bool = False,
        information: float | ArrayLike = 0.0,
    ) -> None: ...

from typing import Any

import numpy as np

from bayesglm.kernel.family import Family

class Categorical(Family):
    n_classes: int
    def __init__(self, n_classes: int = 3, link: str = "softmax") -> None: ...
    def log_probabilities(self, eta: Any) -> np.ndarray: ...
    def probabilities(self, eta: Any) -> np.ndarray: ...

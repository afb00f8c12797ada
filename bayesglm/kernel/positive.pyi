"""Types of `bayesglm.kernel.positive`."""

from bayesglm.kernel.family import Family

class PositiveFamily(Family): ...

class Gamma(PositiveFamily):
    def __init__(self, link: str = "log") -> None: ...

class InverseGaussian(PositiveFamily):
    def __init__(self, link: str = "log") -> None: ...

class Beta(PositiveFamily):
    def __init__(self, link: str = "logit") -> None: ...

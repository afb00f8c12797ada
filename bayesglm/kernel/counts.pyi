from bayesglm.kernel.family import Family

class CountFamily(Family): ...

class Poisson(CountFamily):
    def __init__(self, link: str = "log") -> None: ...

class NegativeBinomial(CountFamily):
    phi: float | None
    def __init__(self, link: str = "log", phi: float | None = None) -> None: ...

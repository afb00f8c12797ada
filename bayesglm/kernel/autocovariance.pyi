import numpy as np

COLUMNS: tuple[str, ...]

def diagnose(draws: np.ndarray, scores: np.ndarray) -> np.ndarray: ...

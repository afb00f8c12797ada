"""Random sparse matrices, made without scipy's own function, whose name for the seed depends on its version."""

import numpy as np
from scipy import sparse


def random_sparse(shape, density, seed, kind="csr"):
    """Return a sparse array of uniform numbers, of which about a share of ``density`` is not zero."""
    rng = np.random.default_rng(seed)
    size = round(density * shape[0] * shape[1])
    places = np.unique(rng.integers(0, shape[0] * shape[1], size))
    entries = sparse.coo_array((rng.random(len(places)), np.divmod(places, shape[1])), shape=shape)
    return entries.asformat(kind)

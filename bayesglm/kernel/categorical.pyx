"""The likelihood of several classes: softmax of a linear predictor for each."""

import numpy as np

from bayesglm.kernel._vector cimport softmax_rows
from bayesglm.kernel.family cimport Rows
from libc.math cimport exp


cdef class Categorical(Family):
    """Classes 0, 1, ..., n_classes - 1, whose probabilities are as exp(eta_k) to each other.

    The same number added to all linear predictors of a row changes nothing: what there is one of for each class too
    many is for whoever makes the linear predictors (see `bayesglm.inference.contrasts`).

    Parameters
    ----------
    n_classes : int, default=3
    link : {"softmax"}, default="softmax"
    """

    names = ("n_classes", "link")
    links = ("softmax",)
    discrete = True

    def __init__(self, n_classes=3, link="softmax"):
        self.n_classes, self.link = n_classes, link

    @property
    def n_predictors(self):
        """Number of linear predictors a row has."""
        return self.n_classes

    def check(self):
        """Raise ValueError unless n_classes is a whole number from 2 up."""
        super().check()
        if isinstance(self.n_classes, bool) or self.n_classes != int(self.n_classes) or self.n_classes < 2:
            raise ValueError(f"n_classes must be a whole number, 2 or more; got {self.n_classes!r}.")

    def check_response(self, y, extra=None):
        """Raise ValueError unless y holds class numbers."""
        wrong = np.flatnonzero((y != np.floor(y)) | (y < 0.0) | (y >= self.n_classes))
        if wrong.size:
            raise ValueError(f"y must be class numbers from 0 to {self.n_classes - 1}; row {wrong[0]} has "
                             f"{y[wrong[0]]:g}.")

    def _attach(self, y, weight, extra):
        super()._attach(y, weight, extra)
        self.K = self.n_predictors

    def start(self, y, *, weight=None, extra=None, offset=None):
        """Return the logarithms of the classes' shares less their mean, shape (n_classes,)."""
        share = np.log(np.bincount(np.asarray(y).astype(np.intp), weights=weight, minlength=self.n_classes) + 0.5)
        return share - share.mean(), {}

    cdef double loglik(self, const Rows* rows, const double* eta, const double* aux, double* score,
                       double* d_aux) noexcept nogil:
        return softmax_rows(rows.n, self.K, rows.y, rows.weight, eta, score)

    cdef double value(self, const Rows* rows, const double* eta, const double* aux) noexcept nogil:
        return self.loglik(rows, eta, aux, NULL, NULL)

    cdef void curvature(self, const Rows* rows, const double* eta, const double* aux, double* out) noexcept nogil:
        cdef Py_ssize_t i, k, l, n = rows.n, K = self.K
        cdef double top, sum, w, p, q
        for i in range(n):
            w = rows.weight[i] if rows.weight != NULL else 1.0
            top = eta[i]
            for k in range(1, K):
                if eta[k * n + i] > top:
                    top = eta[k * n + i]
            sum = 0.0
            for k in range(K):
                # On the diagonal of the row's matrix for a while.
                out[(k * K + k) * n + i] = exp(eta[k * n + i] - top)
                sum += out[(k * K + k) * n + i]
            for k in range(K):
                p = out[(k * K + k) * n + i] / sum
                for l in range(k):
                    q = out[(l * K + l) * n + i]
                    out[(k * K + l) * n + i] = out[(l * K + k) * n + i] = -p * q * w
                out[(k * K + k) * n + i] = p
            for k in range(K):
                p = out[(k * K + k) * n + i]
                out[(k * K + k) * n + i] = w * p * (1.0 - p)

    # -- predictions: eta has the linear predictors along its last axis --------------------------

    def log_probabilities(self, eta):
        """Return the log probabilities of all classes along the last axis; ``eta`` has shape (..., n_classes)."""
        full = np.asarray(eta)
        full = full - full.max(axis=-1, keepdims=True)
        return full - np.log(np.exp(full).sum(axis=-1, keepdims=True))

    def probabilities(self, eta):
        """Return the probabilities of all classes along the last axis."""
        return np.exp(self.log_probabilities(eta))

    def logpdf(self, y, eta, aux, extra=None):
        """Return the log probabilities of class numbers y, of the shape of eta without its last axis."""
        found = self.log_probabilities(eta)
        which = np.broadcast_to(np.asarray(y).astype(np.intp), found.shape[:-1])[..., np.newaxis]
        return np.take_along_axis(found, which, axis=-1)[..., 0]

    def draw(self, rng, eta, aux, extra=None):
        """Draw class numbers."""
        edges = np.cumsum(self.probabilities(eta), axis=-1)[..., :-1]
        return (rng.random(edges.shape[:-1])[..., np.newaxis] > edges).sum(axis=-1).astype(np.float64)

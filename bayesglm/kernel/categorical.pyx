"""The likelihood of more than two classes: softmax of linear predictors, that of the first class being zero."""

import numpy as np

from bayesglm.kernel.family cimport Rows
from libc.math cimport exp, log


cdef class Categorical(Family):
    """Classes 0, 1, ..., n_classes - 1 with log odds eta_k against class 0.

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
        return self.n_classes - 1

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
        """Return the log ratios of the classes' shares to the first one's, shape (n_classes - 1,)."""
        share = np.bincount(np.asarray(y).astype(np.intp), weights=weight, minlength=self.n_classes) + 0.5
        return np.log(share[1:] / share[0]), {}

    cdef double loglik(self, const Rows* rows, const double* eta, const double* aux, double* score,
                       double* d_aux) noexcept nogil:
        cdef Py_ssize_t i, k, n = rows.n, observed
        cdef double total = 0.0, top, sum, w
        for i in range(n):
            w = rows.weight[i] if rows.weight != NULL else 1.0
            top = 0.0
            for k in range(self.K):
                if eta[k * n + i] > top:
                    top = eta[k * n + i]
            sum = exp(-top)
            for k in range(self.K):
                sum += exp(eta[k * n + i] - top)
            observed = <Py_ssize_t>rows.y[i] - 1
            total += w * ((eta[observed * n + i] if observed >= 0 else 0.0) - top - log(sum))
            if score != NULL:
                for k in range(self.K):
                    score[k * n + i] = w * ((1.0 if k == observed else 0.0) - exp(eta[k * n + i] - top) / sum)
        return total

    cdef double value(self, const Rows* rows, const double* eta, const double* aux) noexcept nogil:
        return self.loglik(rows, eta, aux, NULL, NULL)

    cdef void curvature(self, const Rows* rows, const double* eta, const double* aux, double* out) noexcept nogil:
        cdef Py_ssize_t i, k, l, n = rows.n, K = self.K
        cdef double top, sum, w, p, q
        for i in range(n):
            w = rows.weight[i] if rows.weight != NULL else 1.0
            top = 0.0
            for k in range(K):
                if eta[k * n + i] > top:
                    top = eta[k * n + i]
            sum = exp(-top)
            for k in range(K):
                sum += exp(eta[k * n + i] - top)
            for k in range(K):
                p = exp(eta[k * n + i] - top) / sum
                for l in range(K):
                    q = exp(eta[l * n + i] - top) / sum
                    out[(k * K + l) * n + i] = w * ((p if k == l else 0.0) - p * q)

    # -- predictions: eta has the linear predictors along its last axis --------------------------

    def log_probabilities(self, eta):
        """Return the log probabilities of all classes along the last axis; ``eta`` has shape (..., n_classes - 1)."""
        eta = np.asarray(eta)
        full = np.concatenate([np.zeros((*eta.shape[:-1], 1)), eta], axis=-1)
        full -= full.max(axis=-1, keepdims=True)
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

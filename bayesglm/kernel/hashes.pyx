"""Hashes of rows of numbers, which do not depend on how the rows are stored."""

import numpy as np

from libc.stdint cimport uint64_t
from libc.string cimport memcpy


cdef inline uint64_t mix(uint64_t word) noexcept nogil:
    """Spread every bit over the word: MurmurHash3's finaliser (Appleby, public domain)."""
    word ^= word >> 33
    word *= <uint64_t>0xFF51AFD7ED558CCD
    word ^= word >> 33
    word *= <uint64_t>0xC4CEB9FE1A85EC53
    return word ^ (word >> 33)


cdef inline uint64_t hash_of(double value, uint64_t key) noexcept nogil:
    """Return a hash of a number in the column of a key; that of zero, of either sign, is zero."""
    cdef uint64_t bits
    if value == 0.0:
        return 0
    memcpy(&bits, &value, sizeof(bits))
    return mix(bits + key)


def hash_rows(const double[:, ::1] values, Py_ssize_t first):
    """Return a hash of each row, an array of shape (n,).

    Parameters
    ----------
    values : array of shape (n, p)
    first : int
        Number of the first column: hashes of two parts of a row add up to that of the whole.
    """
    cdef Py_ssize_t i, j
    found = np.zeros(values.shape[0], dtype=np.uint64)
    cdef uint64_t[::1] out = found
    cdef uint64_t[::1] keys = np.empty(values.shape[1], dtype=np.uint64)
    cdef uint64_t total
    with nogil:
        for j in range(values.shape[1]):
            keys[j] = mix(first + j + 1)
        for i in range(values.shape[0]):
            total = 0
            for j in range(values.shape[1]):
                total += hash_of(values[i, j], keys[j])
            out[i] = total
    return found


def hash_sparse_rows(const double[::1] data, const long long[::1] indices, const long long[::1] starts):
    """Return the hashes that the rows of a CSR matrix would have as dense ones, an array of shape (n,).

    Parameters
    ----------
    data, indices : arrays of shape (nnz,)
        Entries, none twice, and their columns.
    starts : array of shape (n + 1,)
        Where each row begins.
    """
    cdef Py_ssize_t i, j
    found = np.zeros(starts.shape[0] - 1, dtype=np.uint64)
    cdef uint64_t[::1] out = found
    with nogil:
        for i in range(starts.shape[0] - 1):
            for j in range(starts[i], starts[i + 1]):
                out[i] += hash_of(data[j], mix(<uint64_t>indices[j] + 1))
    return found

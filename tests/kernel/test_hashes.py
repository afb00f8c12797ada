"""Hashes of rows: the same however rows are stored, additive over parts of a row, without collisions in practice."""

import numpy as np
import pytest
from scipy import sparse
from scipy.stats import chisquare

from bayesglm.kernel.hashes import hash_rows, hash_sparse_rows

RNG = np.random.default_rng(0)


def sparse_hashes(matrix):
    matrix = sparse.csr_array(matrix)
    return hash_sparse_rows(matrix.data, matrix.indices.astype(np.int64), matrix.indptr.astype(np.int64))


@pytest.mark.parametrize("density", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (50, 300), (3, 0), (0, 3)])
def test_sparse_rows_hash_as_dense_ones(shape, density):
    dense = RNG.normal(size=shape) * (RNG.random(shape) < density)
    found = hash_rows(dense, 0)
    assert found.shape == shape[:1]
    assert found.dtype == np.uint64
    np.testing.assert_array_equal(sparse_hashes(dense), found)


def test_stored_zeros_of_either_sign_count_for_nothing():
    data, starts = np.array([1.5, 0.0, -0.0]), np.array([0, 3])
    expected = hash_rows(np.array([[1.5, 0.0, 0.0]]), 0)
    np.testing.assert_array_equal(hash_sparse_rows(data, np.array([0, 1, 2]), starts), expected)
    np.testing.assert_array_equal(hash_rows(np.array([[1.5, -0.0, -0.0]]), 0), expected)


def test_the_order_of_entries_within_a_sparse_row_does_not_matter():
    data, columns = np.array([1.0, -2.0, 3.0]), np.array([4, 0, 9])
    other = np.array([2, 0, 1])
    np.testing.assert_array_equal(
        hash_sparse_rows(data, columns, np.array([0, 3])),
        hash_sparse_rows(data[other], columns[other], np.array([0, 3])),
    )


def test_rows_of_zeros_hash_to_zero():
    np.testing.assert_array_equal(hash_rows(np.zeros((3, 4)), 7), np.zeros(3, np.uint64))
    np.testing.assert_array_equal(sparse_hashes(np.zeros((3, 4))), np.zeros(3, np.uint64))


@pytest.mark.parametrize("cut", [0, 1, 4, 9, 10])
def test_parts_of_a_row_add_up(cut):
    rows = RNG.normal(size=(40, 10))
    left, right = np.ascontiguousarray(rows[:, :cut]), np.ascontiguousarray(rows[:, cut:])
    np.testing.assert_array_equal(hash_rows(left, 0) + hash_rows(right, cut), hash_rows(rows, 0))


def test_the_place_of_a_number_matters():
    rows = np.array([[1.0, 2.0], [2.0, 1.0], [1.0, 1.0], [3.0, 0.0], [0.0, 3.0]])
    assert len(np.unique(hash_rows(rows, 0))) == 5
    assert not np.any(hash_rows(rows, 0) == hash_rows(rows, 1))


STRUCTURED = {
    "counting": lambda: np.arange(1_000_000.0)[:, np.newaxis],
    "small integers": lambda: np.stack(np.meshgrid(*[np.arange(10.0)] * 6, indexing="ij"), axis=-1).reshape(
        -1, 6
    ),
    "dummies": lambda: ((np.arange(1 << 20)[:, np.newaxis] >> np.arange(20)) & 1).astype(float),
    "one unit in the last place": lambda: (np.float64(1.0).view(np.int64) + np.arange(1_000_000)).view(
        np.float64
    )[:, np.newaxis],
    "small multiples and their negatives": lambda: np.stack(
        [0.1 * np.arange(1_000_000), -0.1 * np.arange(1_000_000)], axis=1
    ),
}


@pytest.mark.parametrize("name", STRUCTURED)
def test_no_two_of_a_million_structured_rows_collide(name):
    # Chance alone makes 2.7e-8 collisions of 1e6 rows in 64 bits.
    rows = np.ascontiguousarray(STRUCTURED[name]())
    assert len(rows) >= 1_000_000
    assert len(np.unique(hash_rows(rows, 0))) == len(rows)


def test_hashes_of_counting_are_uniform_in_every_byte():
    found = hash_rows(np.arange(1.0, 200_001.0)[:, np.newaxis], 3)
    p_values = [
        chisquare(np.bincount((found >> np.uint64(8 * byte)).astype(np.uint8), minlength=256)).pvalue
        for byte in range(8)
    ]
    assert min(p_values) > 1e-5


def test_read_only_arrays_are_taken():
    rows = RNG.normal(size=(3, 2))
    rows.flags.writeable = False
    assert hash_rows(rows, 0).shape == (3,)

"""The likelihood of more than two classes."""

from bayesglm.kernel.family cimport Family


cdef class Categorical(Family):
    cdef public object n_classes
    cdef Py_ssize_t K

"""Whose line a warning is about: the first one outside of this package."""

import sys

#: Packages whose frames lie between a method and its caller: ours, and the decorator of scikit-learn's callbacks.
_OURS = ("bayesglm", "sklearn.callback")


def stack_level() -> int:
    """Return the ``stacklevel`` with which `warnings.warn` points at the line that called into the package.

    To be called in the arguments of `warnings.warn`. (From Python 3.12 on its ``skip_file_prefixes`` does this.)
    """
    level = 1
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(_OURS):
        frame = frame.f_back
        level += 1
    return level

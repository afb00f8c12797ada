"""How estimators are saved: as a file of plain data, by pickle as they are, by skops as plain data."""

from __future__ import annotations

import copyreg
import inspect
import os
from typing import Any, ClassVar

from sklearn.base import BaseEstimator

from bayesglm import archive, model_data
from bayesglm._version import __version__
from bayesglm.hints import Elsewhere, Hints
from bayesglm.inference.posterior import JointPosterior, Posterior
from bayesglm.snapshot import of_one_fit

_PLAIN = {"plain_data", "version", "written_by"}


class Saving(Hints, BaseEstimator):
    """Saving of the estimators."""

    load: Any = Elsewhere("bayesglm.load(path) reads a model of any class back")

    #: The module that turns the estimator into plain data and back.
    _data: ClassVar[Any] = model_data
    posterior_: Posterior | JointPosterior
    _intercept: bool
    _responses: tuple[str, ...]
    _routes: tuple[Any, ...]
    _shape: tuple[int, ...]

    @of_one_fit
    def save(self, path: str | os.PathLike[str]) -> None:
        """Save the estimator, fitted or not, to a file that runs no code when `bayesglm.load` reads it.

        The file is a zip of JSON and NumPy arrays and holds what the estimator can do: predict, go on sampling,
        see more rows. It holds no rows, and not the callbacks.

        Parameters
        ----------
        path : str or path-like
            An existing file is replaced, once the new one is complete.

        Raises
        ------
        ValueError
            In one sentence, if something cannot be data, such as a function of one's own in
            `formula_namespace`. No file is written.
        OSError
            If the file cannot be written.
        """
        kind = type(self)
        if kind.__module__.partition(".")[0] != "bayesglm":
            raise ValueError(
                f"{kind.__name__} is a class of your own, whose code no file of data can hold: pickle the model instead"
            )
        archive.write(path, self._data.describe(self), kind.__name__, self._data.VERSION)

    def __reduce__(self) -> tuple[Any, ...]:
        # Pickle and copy take everything as it is, functions of the user's too.
        return copyreg.__newobj__, (type(self),), super().__getstate__()  # type: ignore[attr-defined]

    @of_one_fit
    def __getstate__(self) -> dict[str, Any]:
        # For skops, which would lose what compiled objects hold, and whose promise it is that no code runs.
        return {
            "plain_data": self._data.describe(self),
            "version": self._data.VERSION,
            "written_by": __version__,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        if state.keys() == _PLAIN:
            if state["version"] > self._data.VERSION:
                raise ValueError(
                    f"the model was saved by bayesglm {state['written_by']}, which is newer than {__version__}: "
                    "upgrade to load it"
                )
            self._data.restore(self, state["plain_data"])
            return
        super().__setstate__(state)
        # Version 0.1.0 had fewer parameters, fitted one response at a time, and kept no moments.
        for name, parameter in inspect.signature(type(self)).parameters.items():
            self.__dict__.setdefault(name, parameter.default)
        if "_route" in self.__dict__:
            self._routes = (self.__dict__.pop("_route"),)
            self._responses = (self.__dict__.pop("_response"),)
            self._intercept = "Intercept" in self.posterior_.draws
            self._shape = ()

"""A tree of plain data in one file that runs no code when it is read: a zip of JSON and NumPy arrays.

The zip holds ``model.json`` and, for every array, an ``.npy``. Nothing in it is compressed: deflate takes 4
to 10 % off draws, at 35 ns a byte, and it is what lets a small file ask for much memory. As it is, no file
can make its reader allocate more than a few times its own size.
"""

import contextlib
import json
import math
import os
import secrets
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import numpy as np

from bayesglm._version import __version__
from bayesglm.plain_data import decode, encode, is_array_name, is_numeric

_FORMAT = "bayesglm"
#: of the container; what is in it has its own version
_FORMAT_VERSION = 1
_JSON = "model.json"
# Names of columns and levels are in it, no draws.
_MOST_JSON = 64_000_000
_ZIP64_FROM = 2**31 - 2**20


@dataclass(frozen=True)
class Archive:
    """What was in a file.

    Attributes
    ----------
    kind : str
        What the data are, for example the name of a class.
    version : int
        The version of the layout of data of this kind.
    data : object
        The tree of plain data.
    written_by : str
        The version of bayesglm that wrote it.
    """

    kind: str
    version: int
    data: Any
    written_by: str


class _RefusalError(ValueError):
    """Why a file is refused, as the end of a sentence that begins with its name."""


def write(path: str | os.PathLike[str], data: Any, kind: str, version: int) -> None:
    """Write a tree of plain data to a file, all or nothing.

    Parameters
    ----------
    path : str or path-like
        The file. An existing one is replaced in one step, once the new one is complete.
    data : object
        As `bayesglm.plain_data.encode` takes it. Equal data give equal bytes.
    kind : str
        What the data are.
    version : int
        The version of their layout.

    Raises
    ------
    TypeError
        If `path` is no path.
    ValueError
        If `data` holds something else than plain data.
    OSError
        If the file cannot be written; then nothing is left of it, and an existing one is as it was.
    """
    target = Path(os.path.realpath(_path(path)))  # through a link, not in place of it
    content, arrays = encode(data)
    header = {
        "format": _FORMAT,
        "format_version": _FORMAT_VERSION,
        "written_by": __version__,
        "kind": kind,
        "version": version,
        "data": content,
    }
    text = json.dumps(header, allow_nan=False, separators=(",", ":")).encode()
    if len(text) > _MOST_JSON:
        raise ValueError(f"the data hold {len(text):,} bytes of text, more than fits into a file")
    with _replacing(target) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(_member(_JSON), text)
        for name, array in arrays.items():
            large = array.nbytes >= _ZIP64_FROM
            with archive.open(_member(f"{name}.npy"), "w", force_zip64=large) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def read(path: str | os.PathLike[str], known: Mapping[str, int]) -> Archive:
    """Read a file that `write` has written, and refuse any other.

    Parameters
    ----------
    path : str or path-like
    known : mapping from str to int
        The kinds that the caller can read, with the newest version of each.

    Returns
    -------
    Archive

    Raises
    ------
    TypeError
        If `path` is no path.
    OSError
        If the file cannot be opened.
    ValueError
        If it is not such a file, damaged, of another kind, or newer than this package.
    """
    with open(_path(path), "rb") as file:
        try:
            return _read(file, known)
        except _RefusalError as refusal:
            reason: str = str(refusal)
        except MemoryError:
            raise
        except RecursionError:
            reason = "it is nested too deeply"
        except Exception as error:  # zipfile and NumPy raise errors of many kinds
            first = str(error).strip().partition("\n")[0]
            reason = f"it is damaged, or no model that bayesglm saved ({type(error).__name__}: {first[:200]})"
    raise ValueError(f"{os.fspath(path)!r} cannot be loaded: {reason}")


def _path(path: Any) -> str:
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path must be a str or a path, got {type(path).__name__}")
    return str(os.fspath(path))


def _member(name: str) -> zipfile.ZipInfo:
    """An entry that says nothing of when and where it was written."""
    info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    info.create_system, info.external_attr = 3, 0o644 << 16
    return info


@contextlib.contextmanager
def _replacing(target: Path) -> Iterator[BinaryIO]:
    """A new file that takes the place of `target` if nothing goes wrong, and else disappears."""
    if not target.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {str(target.parent)!r} to save {target.name!r} in")
    if target.is_dir():
        raise IsADirectoryError(f"{str(target)!r} is a folder; add a name for the file")
    # tempfile would make it readable for the user alone.
    temporary = target.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _read(file: BinaryIO, known: Mapping[str, int]) -> Archive:
    if file.read(4) != b"PK\x03\x04" or not zipfile.is_zipfile(file):
        raise _RefusalError("it is no model that bayesglm saved, or not all of it")
    with zipfile.ZipFile(file) as archive:
        members = _members(archive, os.fstat(file.fileno()).st_size)
        header = _header(archive.read(members.pop(_JSON)), known)
        arrays = {}
        for name, info in members.items():
            stem, _, ending = name.rpartition(".")
            if ending != "npy" or not is_array_name(stem):
                raise _RefusalError(f"it has the unknown member {name[:80]!r}")
            arrays[stem] = _array(archive, info)
    try:
        data = decode(header["data"], arrays)
    except ValueError as error:
        raise _RefusalError(str(error)) from None
    return Archive(header["kind"], header["version"], data, header["written_by"])


def _members(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """The entries by name, after checks that hold whatever the format's version."""
    members: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        name = info.filename
        if name in members:
            raise _RefusalError(f"it has the member {name[:80]!r} twice")
        if name != info.orig_filename or "/" in name or "\\" in name or name in ("", ".", ".."):
            raise _RefusalError(f"it has a member with a path as its name ({info.orig_filename[:80]!r})")
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
            raise _RefusalError(f"its member {name[:80]!r} is compressed, which bayesglm never does")
        members[name] = info
    if _JSON not in members:
        raise _RefusalError(f"it is no model that bayesglm saved: it has no {_JSON!r}")
    if sum(info.file_size for info in members.values()) > size:  # the same bytes in several members
        raise _RefusalError("its members are larger than the file itself")
    if members[_JSON].file_size > _MOST_JSON:
        raise _RefusalError(f"its {_JSON!r} is larger than bayesglm writes it")
    return members


def _header(text: bytes, known: Mapping[str, int]) -> dict[str, Any]:
    header = json.loads(text.decode(), object_pairs_hook=_once, parse_constant=_no_constant)
    if not isinstance(header, dict) or header.get("format") != _FORMAT:
        raise _RefusalError("it is a zip, but no model that bayesglm saved")
    writer = header.get("written_by")
    by = f" (it was written by bayesglm {writer[:40]!r})" if isinstance(writer, str) else ""
    if header.get("format_version") != _FORMAT_VERSION or isinstance(header["format_version"], bool):
        raise _RefusalError(
            f"its format is not known to bayesglm {__version__}{by}; a newer bayesglm may read it"
        )
    kinds = {"format": str, "format_version": int, "written_by": str, "kind": str, "version": int}
    if header.keys() != {*kinds, "data"} or any(type(header[key]) is not kinds[key] for key in kinds):
        raise _RefusalError("its header has other entries than bayesglm writes")
    kind, version = header["kind"], header["version"]
    if kind not in known:
        raise _RefusalError(f"it holds a {kind[:80]!r}, which bayesglm {__version__} does not know{by}")
    if version < 1:
        raise _RefusalError(f"its version is {version}, which bayesglm never writes")
    if version > known[kind]:
        raise _RefusalError(f"it is newer than bayesglm {__version__}{by}; upgrade to load it")
    return header


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _RefusalError("its text has an entry twice")
    return found


def _no_constant(name: str) -> NoReturn:
    raise _RefusalError(f"its text holds {name}, which is no JSON")


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    """One array, whose header is checked against the bytes that are there before anything is allocated."""
    with archive.open(info) as member:
        if np.lib.format.read_magic(member) != (1, 0):
            raise _RefusalError(f"its array {info.filename!r} is in a format that bayesglm does not write")
        shape, _, dtype = np.lib.format.read_array_header_1_0(member)
        if dtype.hasobject or not is_numeric(dtype):
            raise _RefusalError(f"its array {info.filename!r} holds {str(dtype)[:40]!r}, not numbers")
        if any(type(length) is not int or length < 0 for length in shape):
            raise _RefusalError(f"its array {info.filename!r} has a negative length")
        if math.prod(shape) * dtype.itemsize != info.file_size - member.tell():
            raise _RefusalError(f"its array {info.filename!r} has not as many numbers as it says")
    with archive.open(info) as member:
        array: np.ndarray = np.lib.format.read_array(member, allow_pickle=False)
    if dtype.kind == "b" and (array.view(np.uint8) > 1).any():
        raise _RefusalError(f"its array {info.filename!r} holds what is neither true nor false")
    return array.astype(dtype.newbyteorder("="), copy=False)

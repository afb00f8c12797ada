"""Files of plain data: the same bits back, all or nothing, and every other file refused in one sentence."""

import io
import json
import os
import stat
import zipfile
import zlib

import numpy as np
import pytest

import bayesglm
from bayesglm import archive
from bayesglm.archive import read, write

KNOWN = {"thing": 3}
RNG = np.random.default_rng(0)
DATA = {
    "name": "thing",
    "seed": 2**127 + 12345,
    "limits": (float("-inf"), float("inf")),
    "draws": {"coef": RNG.normal(size=(2, 3, 2)), "$odd": np.asfortranarray(RNG.normal(size=(3, 2)))},
    "stats": [np.arange(4), np.array([True, False]), np.float32(0.1), None],
}


def equal(a, b):
    if isinstance(a, np.ndarray):
        same_order = a.flags.c_contiguous == b.flags.c_contiguous
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes() and same_order
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(equal, a, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(equal(a[key], b[key]) for key in a)
    return type(a) is type(b) and repr(a) == repr(b)


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "thing.model"
    write(file, DATA, "thing", 3)
    return file


def crafted(path, members, header=None, info=None):
    """A zip with the given members, bytes by name; `header` replaces entries of a sound header."""
    sound = {
        "format": "bayesglm",
        "format_version": 1,
        "written_by": "0",
        "kind": "thing",
        "version": 3,
        "data": {"$array": "array-0"},
    }
    with zipfile.ZipFile(path, "w") as file:
        if header is not None:
            file.writestr("model.json", json.dumps({**sound, **header}))
        for name, content in members:
            file.writestr(name if info is None else info(name), content)
    return path


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def npy_with(header, content=b"\0" * 16):
    """An .npy with whatever header."""
    text = header.encode("latin1")
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + content


def test_round_trip(path):
    found = read(path, KNOWN)
    assert (found.kind, found.version, found.written_by) == ("thing", 3, bayesglm.__version__)
    assert equal(found.data, DATA)
    assert found.data["draws"]["coef"].flags.writeable
    assert found.data["draws"]["$odd"].flags.f_contiguous
    assert equal(read(str(path), KNOWN).data, DATA)


def test_others_can_read_it(path):
    """With nothing but the standard library and np.load."""
    with zipfile.ZipFile(path) as file:
        assert file.testzip() is None
        content = json.loads(file.read("model.json"))
        name = content["data"]["draws"]["$dict"]["coef"]["$array"]
        array = np.load(io.BytesIO(file.read(f"{name}.npy")), allow_pickle=False)
    np.testing.assert_array_equal(array, DATA["draws"]["coef"])
    assert content["data"]["seed"] == DATA["seed"]


def test_equal_data_give_equal_bytes(path, tmp_path):
    write(tmp_path / "again", read(path, KNOWN).data, "thing", 3)
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_little_more_than_the_arrays(tmp_path):
    draws = RNG.normal(size=(4, 1000, 10))
    write(tmp_path / "draws", {"draws": draws}, "thing", 1)
    assert draws.nbytes < (tmp_path / "draws").stat().st_size < draws.nbytes + 1000
    assert len(zlib.compress(draws.tobytes())) > 0.9 * draws.nbytes  # why nothing is compressed


# -- writing -------------------------------------------------------------------------------------------------


def test_an_old_file_stays_if_the_new_one_fails(path, tmp_path, monkeypatch):
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"data\['a'\] is of type object"):
        write(path, {"a": object()}, "thing", 3)

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array", full)
    with pytest.raises(OSError, match="No space"):
        write(path, DATA, "thing", 3)
    monkeypatch.undo()

    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write(path, DATA, "thing", 3)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [path.name]


def test_replaces_files_and_follows_links(path, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(path)
    write(link, [1], "thing", 2)
    assert link.is_symlink()
    assert read(path, KNOWN).data == [1]


def test_others_may_read_the_file_as_any_other(path, tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


def test_places_where_no_file_can_be(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        write(tmp_path / "nowhere" / "file", 1, "thing", 1)
    with pytest.raises(IsADirectoryError, match="is a folder"):
        write(tmp_path, 1, "thing", 1)
    with pytest.raises(FileNotFoundError, match="missing"):
        read(tmp_path / "missing", KNOWN)
    for bad in (3, None, io.BytesIO(), b"file"):
        with pytest.raises(TypeError, match="path must be a str or a path"):
            write(bad, 1, "thing", 1)
        with pytest.raises(TypeError, match="path must be a str or a path"):
            read(bad, KNOWN)


def test_too_much_text(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "_MOST_JSON", 1000)
    with pytest.raises(ValueError, match="bytes of text"):
        write(tmp_path / "file", ["x" * 1000], "thing", 1)
    crafted(tmp_path / "file", [], {"data": "x" * 1000})
    with pytest.raises(ValueError, match="larger than bayesglm writes it"):
        read(tmp_path / "file", KNOWN)


# -- reading what is none of ours ------------------------------------------------------------------------------


def refused(path, match, known=KNOWN):
    with pytest.raises(ValueError, match=match) as caught:
        read(path, known)
    message = str(caught.value)
    assert str(path) in message
    assert "cannot be loaded" in message
    assert "\n" not in message


def test_the_sound_one_is_read(tmp_path):
    """So that the others fail for the reason they are given."""
    path = crafted(tmp_path / "f", [("array-0.npy", npy(np.arange(3)))], {})
    np.testing.assert_array_equal(read(path, KNOWN).data, [0, 1, 2])


@pytest.mark.parametrize("content", [b"", b"PK", b"hello", b"\x80\x04N.", npy(np.zeros(3)), b"\0" * 1000])
def test_no_zip(tmp_path, content):
    (tmp_path / "f").write_bytes(content)
    refused(tmp_path / "f", "no model that bayesglm saved")


def test_other_zips(tmp_path):
    np.savez(tmp_path / "f.npz", a=np.zeros(3))
    refused(tmp_path / "f.npz", "no 'model.json'")
    crafted(tmp_path / "f", [("model.json", b"{}")])
    refused(tmp_path / "f", "it is a zip, but no model")
    (tmp_path / "g").write_bytes(b"MZ executable" + (tmp_path / "f").read_bytes())
    refused(tmp_path / "g", "no model that bayesglm saved")


def test_truncated(path):
    whole = path.read_bytes()
    for length in (*range(0, len(whole), 13), *range(len(whole) - 30, len(whole))):
        path.write_bytes(whole[:length])
        refused(path, "damaged|not all of it")


def test_bit_flips(path):
    """One flipped bit is either noticed, or in a place that says nothing of the data."""
    whole = path.read_bytes()
    places = RNG.choice(len(whole), size=300, replace=False)
    noticed = 0
    for place in places:
        for bit in RNG.choice(8, size=2, replace=False):
            changed = bytearray(whole)
            changed[place] ^= 1 << bit
            path.write_bytes(changed)
            try:
                found = read(path, KNOWN)
            except ValueError as error:
                noticed += str(path) in str(error)
            else:
                assert equal(found.data, DATA), (place, bit)
    assert noticed > 450


@pytest.mark.parametrize(
    ("header", "match"),
    [
        ({"format": "other"}, "no model that bayesglm saved"),
        ({"format_version": 2, "written_by": "9.1"}, "written by bayesglm '9.1'.*a newer bayesglm"),
        ({"format_version": 2, "and": "more"}, "a newer bayesglm"),
        ({"format_version": True}, "a newer bayesglm"),
        ({"version": 4, "written_by": "9.1"}, "newer than bayesglm .*written by bayesglm '9.1'.*upgrade"),
        ({"version": 0}, "its version is 0"),
        ({"version": "3"}, "other entries"),
        ({"version": True}, "other entries"),
        ({"kind": "unheard of"}, "it holds a 'unheard of'"),
        ({"kind": ["thing"]}, "other entries"),
        ({"and": "more"}, "other entries"),
        ({"data": {"$call": "os.system"}}, "unknown kind"),
        ({"data": float("nan")}, "NaN, which is no JSON"),
        ({"data": None}, "'array-0' belongs nowhere"),
        ({"data": {"$array": "array-1"}}, "missing"),
        ({"data": [{"$array": "array-0"}] * 2}, "used elsewhere"),
    ],
)
def test_headers(tmp_path, header, match):
    refused(crafted(tmp_path / "f", [("array-0.npy", npy(np.arange(3)))], header), match)


def test_text_that_is_no_sound_json(tmp_path):
    begin = b'{"format":"bayesglm","format_version":1,"written_by":"0","kind":"thing","version":3,"data":'
    for text, match in [
        (begin + b'{"a":1,"a":2}}', "entry twice"),
        (begin + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
        (begin + b"9" * 5000 + b"}", "damaged"),
        (begin + b"1e999}", "too large"),
        (begin, "damaged"),
        (begin + b'"\xff"}', "damaged"),
        (b"[]", "no model"),
    ]:
        refused(crafted(tmp_path / "f", [("model.json", text)]), match)


@pytest.mark.parametrize(
    "name",
    ["../array-0.npy", "/etc/array-0.npy", "a/array-0.npy", "a\\array-0.npy", "..", "array-0.npy/"],
)
def test_members_with_paths(tmp_path, name):
    refused(crafted(tmp_path / "f", [(name, npy(np.arange(3)))], {}), "a path as its name")


def test_a_name_with_a_null(tmp_path):
    path = crafted(tmp_path / "f", [("array-0.npyXevil", npy(np.arange(3)))], {})
    path.write_bytes(path.read_bytes().replace(b"npyXevil", b"npy\0evil"))
    refused(path, "a path as its name|damaged")


@pytest.mark.parametrize("name", ["array-0.pkl", "setup.py", "array-0", "array-.npy", "array-0.npy.npy"])
def test_unknown_members(tmp_path, name):
    refused(crafted(tmp_path / "f", [(name, npy(np.arange(3)))], {}), "unknown member")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_members_twice(tmp_path):
    array = ("array-0.npy", npy(np.arange(3)))
    refused(crafted(tmp_path / "f", [array, array], {}), "'array-0.npy' twice")
    refused(crafted(tmp_path / "f", [array, ("model.json", b"{}")], {}), "'model.json' twice")


def test_bombs(tmp_path):
    """A megabyte that asks for a gigabyte; the same bytes as a thousand members."""

    def deflated(name):
        info = zipfile.ZipInfo(name)
        info.compress_type = zipfile.ZIP_DEFLATED
        return info

    path = tmp_path / "f"
    crafted(path, [("array-0.npy", npy(np.zeros(10_000_000, np.uint8)))], {}, info=deflated)
    assert path.stat().st_size < 20_000
    refused(path, "compressed")
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("model.json", "x")
        file.writestr("array-0.npy", npy(np.zeros(1000)))
        for i in range(1, 1000):
            again = zipfile.ZipInfo(f"array-{i}.npy")
            source = file.infolist()[1]
            again.header_offset, again.CRC = source.header_offset, source.CRC
            again.file_size = again.compress_size = source.file_size
            file.filelist.append(again)
    refused(path, "larger than the file itself")


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (npy_with("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }"), "not as many"),
        (npy_with("{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }"), "not as many"),
        (npy_with("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }"), "not as many"),
        (
            npy_with(f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({2**64}, {2**64}), }}"),
            "not as many",
        ),
        (npy_with(f"{{'descr': '<f8', 'fortran_order': False, 'shape': (0, {2**70}), }}", b""), "damaged"),
        (npy_with("{'descr': '<f8', 'fortran_order': False, 'shape': (-1, -2), }"), "negative"),
        (npy_with("{'descr': '<f8', 'fortran_order': False, 'shape': (True, 2), }"), "negative|damaged"),
        (npy_with("{'descr': '|O', 'fortran_order': False, 'shape': (2,), }"), "'object', not numbers"),
        (npy_with("{'descr': '<U4', 'fortran_order': False, 'shape': (1,), }"), "'<U4', not numbers"),
        (npy_with("{'descr': '<c16', 'fortran_order': False, 'shape': (1,), }"), "not numbers"),
        (npy_with("{'descr': '<M8[s]', 'fortran_order': False, 'shape': (2,), }"), "not numbers"),
        (npy_with("{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (2,), }"), "not numbers"),
        (npy_with("{'descr': '|V8', 'fortran_order': False, 'shape': (2,), }"), "not numbers"),
        (npy_with("__import__('os').abort()"), "damaged"),
        (npy_with("{'descr': '<f8'"), "damaged"),
        (
            npy_with("{'descr': '|b1', 'fortran_order': False, 'shape': (16,), }", b"\2" * 16),
            "true nor false",
        ),
        (b"\x93NUMPY\x03" + npy(np.zeros(2))[7:], "does not write"),
        (b"\x80\x04N.", "damaged"),
        (b"", "damaged"),
        (npy(np.array([{}], dtype=object)), "not numbers"),
    ],
)
def test_arrays(tmp_path, content, match):
    refused(crafted(tmp_path / "f", [("array-0.npy", content)], {}), match)


def test_encrypted_members(path):
    whole = bytearray(path.read_bytes())
    whole[6] |= 1
    whole[whole.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(whole)
    refused(path, "damaged")

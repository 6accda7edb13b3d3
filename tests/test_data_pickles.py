"""Object arrays: what numpy writes is read back, what a hostile file asks for is never run."""

from __future__ import annotations

import io
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
from data_folders import objects

from amslib.data import DataError
from amslib.data.arrays import read_array
from amslib.data.pickles import STAND_INS

SHARED = Path(__file__).parents[2] / "shared" / "data"
RNG = np.random.default_rng(0)
ARRAYS = {
    "features": objects([RNG.normal(size=(t, 6)).astype(np.float32) for t in (3, 1, 5)]),
    "float64": objects([RNG.normal(size=(2, 4)), RNG.normal(size=(3, 4))]),
    "fortran": objects([np.asfortranarray(RNG.normal(size=(3, 4)))]),
    "empty": objects([np.empty((0, 4), np.float32)]),
    "lists": objects([["Jump", "Dive"], [], ["Jump"]]),
    "bytes": objects([[b"Jump"], [b"\xff\x00"]]),
    "pairs": objects([[[0.5, 1.0], [2, 3.5]], [[4.0, 5.0]]]),
    "numpy scalars": objects([[np.float64(0.5), np.float32(2.0)], [np.str_("Jump"), np.int64(3)]]),
    "nested": objects([objects([np.arange(3), "x"])]),
    "square": np.array([[[0.5, 1.0]], [[2.0, 3.0]]], object),
}


def write_pickle(file: Path, payload: bytes, shape=(1,)) -> Path:
    """A `.npy` file that announces an object array and holds the pickle given."""
    with open(file, "wb") as out:
        header = {"descr": "|O", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(out, header)
        out.write(payload)
    return file


def same(a, b) -> bool:
    if isinstance(a, np.ndarray) and a.dtype == object:
        return a.shape == b.shape and all(map(same, a.flat, b.flat))
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and bool((a == b).all())
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_what_numpy_writes_is_read_back(tmp_path, name, protocol):
    array = ARRAYS[name]
    payload = pickle.dumps(array, protocol)
    assert same(read_array(write_pickle(tmp_path / "x.npy", payload, array.shape)), array)


@pytest.mark.parametrize("core", [b"core", b"_core"])
def test_names_of_numpy_1_and_2_are_known(tmp_path, core):
    payload = pickle.dumps(ARRAYS["features"], 2).replace(
        b"cnumpy._core.multiarray", b"cnumpy." + core + b".multiarray"
    )
    assert b"numpy." + core + b"." in payload
    assert same(read_array(write_pickle(tmp_path / "x.npy", payload, (3,))), ARRAYS["features"])


PYTHON2 = (  # numpy.save(.., numpy.array([["ab"]], object)) of Python 2: strings are bytes there
    b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85U\x01b\x87"
    b"Rq\x03(K\x01K\x01\x85cnumpy\ndtype\nq\x04U\x02O8K\x00K\x01\x87Rq\x05(K\x03U\x01|NNNJ\xff\xff"
    b"\xff\xffJ\xff\xff\xff\xffK?tb\x89](](U\x02abeetb."
)


def test_a_file_of_python_2_is_read(tmp_path):
    assert read_array(write_pickle(tmp_path / "x.npy", PYTHON2)).tolist() == [[b"ab"]]


def test_plain_arrays_are_memory_mapped(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(6.0))
    array = read_array(tmp_path / "x.npy")
    assert isinstance(array, np.memmap) and not array.flags.writeable
    assert array.tolist() == list(range(6))


@pytest.mark.parametrize("folder", ["thumos14/wtalc/Thumos14reduced-Annotations"])
def test_real_files_read_as_numpy_reads_them(folder):
    files = sorted((SHARED / folder).glob("*.npy"))
    if not files:
        pytest.skip(f"needs the real annotations in {SHARED / folder}")
    for file in files:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = np.load(file, allow_pickle=True, encoding="bytes")
        assert same(expected, np.asarray(read_array(file))), file.name


class Call:
    """Pickles as a call of `function` with `arguments`."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def touch(mark: Path) -> Call:
    import os

    return Call(os.system, f"touch {mark}")


CALLS = {
    "os.system": touch,
    "eval": lambda mark: Call(eval, f"open({str(mark)!r}, 'w').close()"),
    "exec": lambda mark: Call(exec, f"open({str(mark)!r}, 'w').close()"),
    "Path.touch": lambda mark: Call(Path.touch, mark),
    "nested array": lambda mark: objects([objects([touch(mark)])]),
    "nested list": lambda mark: [[touch(mark)]],
    "numpy.save": lambda mark: Call(np.save, str(mark), np.zeros(1)),
    "numpy.memmap": lambda mark: Call(np.memmap, str(mark), "u1", "w+", 0, (4,)),
    "ndarray.tofile": lambda mark: Call(np.ndarray.tofile, np.zeros(1), str(mark)),
}


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("name", CALLS)
def test_a_hostile_file_runs_nothing(tmp_path, name, protocol):
    mark = tmp_path / "ran.npy"
    payload = pickle.dumps(objects([CALLS[name](mark)]), protocol)
    file = write_pickle(tmp_path / "hostile.npy", payload)
    with pytest.raises(DataError, match=r"hostile\.npy: not an object array .* asks for "):
        read_array(file)
    assert not mark.exists()
    pickle.loads(payload)  # the payload does what it is meant to do
    assert mark.exists()


def test_a_pickle_in_bytes_stays_bytes(tmp_path):
    mark = tmp_path / "ran"
    inner = pickle.dumps(touch(mark))
    np.save(tmp_path / "x.npy", objects([inner]), allow_pickle=True)
    assert read_array(tmp_path / "x.npy")[0] == inner
    assert not mark.exists()


def stack_global(module: str, name: str, argument: str = "x") -> bytes:
    """Protocol 4: look the name up by strings on the stack, and call it."""
    out = io.BytesIO(b"")
    for text in (module, name):
        out.write(b"\x8c" + bytes([len(text)]) + text.encode())
    call = b"\x93\x8c" + bytes([len(argument)]) + argument.encode() + b"\x85R."
    return b"\x80\x04" + out.getvalue() + call


DTYPE = b"cnumpy\ndtype\nU\x02%s\x89\x88\x87R(K\x03U\x01|%sK\x08K\x01K\x00tb"
RAW = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01"
I8 = b"K\x01\x85" + DTYPE % (b"i8", b"NNN")
BYTES = b"\x89U\x08AAAAAAAAtb."
# pointers made up by the file, in a structure that hides that it holds objects
STRUCTURE = b"NU\x01a\x85}U\x01acnumpy\ndtype\nU\x02O8\x85RK\x00\x86s"
REFUSED = {
    "stack global": (stack_global("os", "system"), "asks for os.system"),
    "dotted name": (stack_global("numpy", "ndarray.tofile"), "asks for numpy.ndarray.tofile"),
    "dotted stand-in": (stack_global("numpy", "dtype.__class__"), "asks for numpy.dtype.__cl"),
    "getattr": (stack_global("builtins", "getattr"), "asks for builtins.getattr"),
    "numpy.load": (stack_global("numpy", "load"), "asks for numpy.load"),
    "numpy.fromfile": (stack_global("numpy", "fromfile"), "asks for numpy.fromfile"),
    "copyreg": (stack_global("copyreg", "_reconstructor"), "asks for copyreg"),
    "ndarray itself": (b"\x80\x02cnumpy\nndarray\nK\x05\x85R.", "not callable"),
    "inst opcode": (b"(S'x'\nios\nsystem\n.", "asks for os.system"),
    "obj opcode": (b"(cos\nsystem\nS'x'\no.", "asks for os.system"),
    "newobj opcode": (b"\x80\x02csubprocess\nPopen\n)\x81.", "asks for subprocess.Popen"),
    "persistent id": (b"Px\n.", "malformed"),
    "set": (pickle.dumps({1}), "holds a set"),
    "dict": (pickle.dumps({"a": 1}, 2), "holds a dict"),
    "no array": (pickle.dumps([1, 2], 2), "holds a list"),
    "unfilled array": (RAW[: RAW.index(b"(K\x01")] + b".", "holds a _Array"),
    "cyclic list": (b"\x80\x02]q\x00h\x00a.", "nested"),
    "truncated": (pickle.dumps(ARRAYS["features"])[:-40], "malformed"),
    "nothing": (b"", "malformed"),
    "forged structure": (
        RAW + b"K\x01\x85" + DTYPE % (b"V8", STRUCTURE) + BYTES,
        "holds a structured array",
    ),
    "forged byte order": (RAW + I8.replace(b"U\x01|", b"U\x02O,") + BYTES, "byte order 'O,'"),
    "void": (RAW + I8.replace(b"i8", b"V8") + BYTES, "dtype 'V8'"),
    "objects from bytes": (RAW + I8.replace(b"i8", b"O8") + BYTES, "its 8 entries"),
    "too few bytes": (RAW + I8.replace(b"K\x01\x85", b"K\x09\x85") + BYTES, "does not match"),
    "negative shape": (
        RAW + I8.replace(b"K\x01\x85", b"J\xff\xff\xff\xffJ\xff\xff\xff\xff\x86") + BYTES,
        "malformed",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_forged_pickles_are_refused(tmp_path, name):
    payload, reason = REFUSED[name]
    file = write_pickle(tmp_path / "hostile.npy", payload)
    with pytest.raises(DataError, match=f"not an object array that can be trusted.*{reason}"):
        read_array(file)


def test_the_forgeries_differ_from_a_good_file_in_the_forgery_alone(tmp_path):
    payload = RAW + I8 + BYTES
    array = read_array(write_pickle(tmp_path / "x.npy", payload))
    assert array.tobytes() == b"AAAAAAAA"


@pytest.mark.parametrize("target", [key for key, value in STAND_INS.items() if value != "ndarray"])
def test_a_pickle_cannot_change_the_stand_ins(tmp_path, target):
    state = b"N}X\x01\x00\x00\x00xX\x01\x00\x00\x00ys\x86b."  # BUILD with (None, {"x": "y"})
    build = b"\x80\x02c" + "\n".join(target).encode() + b"\n" + state
    with pytest.raises(DataError):
        read_array(write_pickle(tmp_path / "x.npy", build))
    assert not hasattr(STAND_INS[target], "x")


def test_an_array_of_another_shape_than_announced_is_refused(tmp_path):
    payload = pickle.dumps(ARRAYS["lists"], 2)
    with pytest.raises(DataError, match=r"holds \(3,\) where \(7,\) is announced"):
        read_array(write_pickle(tmp_path / "x.npy", payload, (7,)))


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"no numpy", "magic string"), (b"\x93NUMPY\x01\x00", "read array header|EOF")],
)
def test_a_file_that_is_no_array_is_named(tmp_path, content, reason):
    (tmp_path / "x.npy").write_bytes(content)
    with pytest.raises(DataError, match=rf"x\.npy: not a whole \.npy file \(.*({reason})"):
        read_array(tmp_path / "x.npy")


def test_a_file_that_ends_early_is_named(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((4, 8)))
    content = (tmp_path / "x.npy").read_bytes()
    (tmp_path / "x.npy").write_bytes(content[:-8])
    with pytest.raises(DataError, match=r"x\.npy: not a whole .* bytes for shape \(4, 8\)"):
        read_array(tmp_path / "x.npy")

"""No path from a data set, a checkpoint, a record or a parameter of a notebook executes code.

`SECURITY.md` lists what is tried here. Forged pickles are in `test_data_pickles`, random damage to
files in `test_properties_loaders`, damaged checkpoints in `test_checkpoint`.
"""

from __future__ import annotations

import ast
import gzip
import io
import json
import os
import pickle
import re
import shutil
import struct
import sys
import warnings
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from data_folders import objects, write_basnet
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook
from rich.console import Console
from safetensors.torch import save, save_file
from test_data_own import write_own
from test_data_pickles import Call, write_pickle
from test_properties_loaders import WRITERS, content

import amslib.detections
from amslib import Config, Run, Video, cli, load, read_detections, read_ground_truth, records, train
from amslib import write_detections as write_found
from amslib.checkpoint import BEFORE, FORMAT, NOW, Checkpoint, _digest
from amslib.data import DataError, DataWarning, check, convert, pickles
from amslib.data.arrays import read_array, read_member, read_member_header
from amslib.data.folder import LAYOUTS
from amslib.data.video import Dataset
from amslib.explorer import eta_explorer
from amslib.tables import literal, provenance, table

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
LAYOUT_WRITERS = WRITERS | {"own": write_own}
TINY = load("synthetic-tiny", width=4)
QUICK = Config(steps_per_epoch=2, epochs_zero=1, epochs=1, iterations=0)


def test_every_layout_is_attacked():
    assert len(LAYOUT_WRITERS) == len(LAYOUTS)


# Pickles


def evil(mark: Path) -> Call:
    """Unpickled, it writes a file."""
    return Call(exec, f"open({str(mark)!r}, 'w').close()")


def raw_pickle(file: Path, mark: Path) -> None:
    file.write_bytes(pickle.dumps(evil(mark)))


def torch_pickle(file: Path, mark: Path) -> None:
    torch.save(evil(mark), file)


def object_array(file: Path, mark: Path) -> None:
    """Of numpy: `.npy`, or `.npz` with an array of each name that is read."""
    payload = pickle.dumps(objects([evil(mark)]))
    if file.suffix != ".npz":
        write_pickle(file, payload)
        return
    member = file.with_name("member.npy")
    write_pickle(member, payload)
    with zipfile.ZipFile(file, "w") as out:
        for name in ("feature", "frame_cnt"):
            out.write(member, f"{name}.npy")
    member.unlink()


PICKLES = [raw_pickle, torch_pickle, object_array]


@pytest.mark.parametrize("put", PICKLES)
def test_the_pickles_do_run_where_they_are_trusted(tmp_path, put):
    mark, file = tmp_path / "ran", tmp_path / "x.npy"
    put(file, mark)
    if put is torch_pickle:
        torch.load(file, weights_only=False)
    else:
        np.load(file, allow_pickle=True)
    assert mark.exists()


@pytest.mark.parametrize("put", PICKLES)
@pytest.mark.parametrize("layout", LAYOUT_WRITERS)
def test_a_pickle_in_place_of_any_file_of_a_data_set_is_refused(tmp_path, layout, put):
    whole, mark = LAYOUT_WRITERS[layout](tmp_path / "whole"), tmp_path / "ran"
    files = [path.relative_to(whole) for path in whole.rglob("*") if path.is_file()]
    for file in files:
        folder = tmp_path / "hostile"
        shutil.copytree(whole, folder)
        put(folder / file, mark)
        assert content(folder) is None, file
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)
            assert not check(folder).ok, file
        assert not mark.exists(), file
        shutil.rmtree(folder)


@pytest.mark.parametrize("name", ["x.pt", "x.pth", "x.pkl", "x.npy", "__init__.py", "conftest.py"])
@pytest.mark.parametrize("layout", LAYOUT_WRITERS)
def test_files_that_no_layout_asks_for_are_not_opened(tmp_path, layout, name):
    folder, mark = LAYOUT_WRITERS[layout](tmp_path / "data"), tmp_path / "ran"
    before = content(folder)
    if name.endswith(".py"):
        (folder / name).write_text(f"open({str(mark)!r}, 'w')")
    else:
        raw_pickle(folder / name, mark)
    assert content(folder) == before is not None and not mark.exists()


def saved_run(folder: Path) -> Run:
    run = Run(QUICK, ("Dive",), 0)
    shapes = dict(weight1=(1, 4, 4), bias1=(1, 1, 4), weight2=(1, 4, 1), bias2=(1, 1, 1))
    run.states = [{"rgb": {branch: {} for branch in ("base", "supp")}}]
    for state in run.states[0]["rgb"].values():
        state.update({name: torch.zeros(shape) for name, shape in shapes.items()})
    run.save(folder)
    return run


def find_record(folder: Path):
    return records.find("0" * 16, folder)


READERS: dict[str, tuple[str, Callable]] = {
    "the json of a run": ("run.json", Run.load),
    "the weights of a run": ("run.safetensors", Run.load),
    "a record": ("0" * 16 + ".json", find_record),
    "a checkpoint": (NOW, lambda folder: Checkpoint(folder, {}).load()),
    "detections": ("x.json", lambda folder: read_detections(folder / "x.json")),
    "packed detections": ("x.json.gz", lambda folder: read_detections(folder / "x.json.gz")),
    "ground truth": ("x.json", lambda folder: read_ground_truth(folder / "x.json")),
    "the data of a run": ("data.json", lambda folder: cli._data_of(folder, None, None, None)),
}


@pytest.mark.parametrize("put", PICKLES)
@pytest.mark.parametrize("kind", READERS)
def test_a_pickle_in_place_of_what_training_left_is_refused(tmp_path, kind, put):
    name, read = READERS[kind]
    saved_run(tmp_path)
    put(tmp_path / name, tmp_path / "ran")
    with pytest.raises(ValueError, match=re.escape(str(tmp_path))):
        read(tmp_path)
    assert not (tmp_path / "ran").exists()


def test_a_pickle_that_unfolds_to_a_billion_entries_is_refused(tmp_path):
    """Lists of one list a thousand times over, in a few kilobytes."""
    inner: list = ["x"] * 1000
    for _ in range(2):
        inner = [inner] * 1000
    file = write_pickle(tmp_path / "x.npy", pickle.dumps(objects([inner])))
    assert file.stat().st_size < 20_000
    with pytest.raises(DataError, match="it unfolds to many times what it holds"):
        read_array(file)


def test_one_list_in_many_places_is_no_bomb(tmp_path):
    np.save(tmp_path / "x.npy", objects([["Jump", "Dive"]] * 500), allow_pickle=True)
    assert len(read_array(tmp_path / "x.npy")) == 500


# Names that are paths


NAMES = ["../../x", "/tmp/x", "..", "", "a\0b", "a\nb", r"..\x", "x" * 252, "\ud800", "\x1b[2J"]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
@pytest.mark.parametrize("to", ["plain", "basnet"])
def test_a_name_that_is_a_path_is_not_written(tmp_path, name, to):
    videos = [replace(TINY.train[0], id=name, segments=())]
    data = Dataset("x", TINY.train[0].labels, tuple(videos), ())
    with warnings.catch_warnings(), pytest.raises(DataError, match="a name that cannot be that of"):
        warnings.simplefilter("ignore", DataWarning)
        convert(data, tmp_path / "out" / "deep", to)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["../x", "/tmp/x", "a/b", ""])
def test_a_stream_whose_name_is_a_path_is_not_written(tmp_path, name):
    video = Video("v", {name: np.zeros((3, 2), np.float32)}, ("Dive",))
    with pytest.raises(DataError, match="cannot be the name of a folder"):
        convert(Dataset("x", ("Dive",), (video,), ()), tmp_path / "out")
    assert not list(tmp_path.iterdir())


def renamed(file: Path, name: str) -> None:
    """Give video_a another name in a file of annotations."""
    file.write_text(file.read_text().replace("video_a", name))


@pytest.mark.parametrize("kind", ["relative", "absolute"])
@pytest.mark.parametrize("layout", ["basnet", "plain", "acmnet", "actionformer", "own"])
def test_a_name_that_is_a_path_is_not_read(tmp_path, layout, kind):
    """The file it leads to is there and would do."""
    folder = LAYOUT_WRITERS[layout](tmp_path / "data")
    sources = sorted(folder.rglob("video_a.npy"))
    shutil.copy(sources[0], tmp_path / "secret.npy")
    name = os.path.relpath(tmp_path / "secret", sources[0].parent)
    assert name.startswith("../..") and (sources[0].parent / f"{name}.npy").is_file()
    for file in folder.rglob("*"):
        if file.suffix in (".json", ".txt", ".csv"):
            renamed(file, name if kind == "relative" else str(tmp_path / "secret"))
    for source in sources:
        source.unlink()
    with pytest.raises(
        DataError, match="cannot be the name of a file|an entry that cannot be read"
    ):
        load(folder)


def test_the_names_in_an_npz_are_not_those_of_files(tmp_path):
    """Members that lead out of the folder, or into it, stay where they are."""
    folder = WRITERS["cmcs"](tmp_path / "in" / "data")
    before = content(folder)
    for file in folder.rglob("*.npz"):
        with zipfile.ZipFile(file, "a") as out:
            for member in ("../../evil.npy", "/tmp/amslib-evil.npy", "evil.npy"):
                out.writestr(member, b"x")
    assert content(folder) == before is not None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        convert(load(folder), tmp_path / "out")
    assert not list(tmp_path.rglob("*evil*")) and not Path("/tmp/amslib-evil.npy").exists()


def test_a_link_in_place_of_an_output_is_replaced_and_not_followed(tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("mine")
    for name in ("found.json", "run.json", "run.safetensors"):
        (tmp_path / name).symlink_to(precious)
    write_found([], tmp_path / "found.json")
    saved_run(tmp_path)
    assert precious.read_text() == "mine" and not (tmp_path / "found.json").is_symlink()


# Files that are none


def pipe(file: Path) -> None:
    os.mkfifo(file)


def loop(file: Path) -> None:
    file.symlink_to(file)


def dangling(file: Path) -> None:
    file.symlink_to(file.with_name("nothing"))


def device(file: Path) -> None:
    file.symlink_to("/dev/zero")


def directory(file: Path) -> None:
    file.mkdir()


OPTIONAL = ("labels_all.npy", "duration.npy", "segments.csv")  # a link to nothing is no file


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
@pytest.mark.parametrize("put", [pipe, loop, dangling, device, directory])
@pytest.mark.parametrize("layout", LAYOUT_WRITERS)
def test_what_is_no_file_is_told_at_once(tmp_path, layout, put):
    """A pipe would keep a reader waiting for ever, and a device never ends."""
    whole = LAYOUT_WRITERS[layout](tmp_path / "whole")
    for file in [path.relative_to(whole) for path in whole.rglob("*") if path.is_file()]:
        folder = tmp_path / "hostile"
        shutil.copytree(whole, folder)
        (folder / file).unlink()
        put(folder / file)
        absent = put in (loop, dangling) and file.name in OPTIONAL
        assert absent or content(folder) is None, file
        shutil.rmtree(folder)


# Sizes that are not so


def forged_npz(file: Path, shape: tuple[int, ...], claimed: int) -> Path:
    """A file that claims an array of a shape, and in its directory so many bytes."""
    member = io.BytesIO()
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(member, header)
    start = member.tell()
    member.write(bytes(1000))
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("feature.npy", member.getvalue())
    content = bytearray(file.read_bytes())
    entry = content.index(b"PK\x01\x02")
    content[entry + 24 : entry + 28] = struct.pack("<I", start + claimed)
    file.write_bytes(bytes(content))
    return file


def test_an_npz_that_claims_gigabytes_is_refused_before_they_are_asked_for(tmp_path):
    size = 2**31
    file = forged_npz(tmp_path / "x.npz", (1, size // 4096, 1024), size)
    for read in (read_member_header, read_member):
        with pytest.raises(
            DataError, match=r"x\.npz: .*2147483776 bytes of array in \d+, not of f"
        ):
            read(file, "feature")


def test_an_npz_that_ends_before_what_it_claims_is_refused(tmp_path):
    file = forged_npz(tmp_path / "x.npz", (1, 1, 2**20), 2**22)
    assert read_member_header(file, "feature").shape == (1, 1, 2**20)
    with pytest.raises(DataError, match=r"x\.npz: no plain array 'feature'"):
        read_member(file, "feature")


def test_a_packed_array_of_zeros_is_no_bomb(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", feature=np.zeros((1, 2000, 1024), np.float32))
    assert not read_member(tmp_path / "x.npz", "feature").any()


@pytest.mark.parametrize("kind", ["|S0", "<U0"])
def test_entries_of_no_bytes_are_refused(tmp_path, kind):
    with open(tmp_path / "x.npy", "wb") as out:
        header = {"descr": kind, "fortran_order": False, "shape": (10**9,)}
        np.lib.format.write_array_header_2_0(out, header)
    with pytest.raises(DataError, match=r"x\.npy: not a whole \.npy file \(entries of no bytes"):
        read_array(tmp_path / "x.npy")
    array = np.empty((), object)
    array[()] = np.zeros(3, "S1")
    content = pickle.dumps(array, 2)
    assert content.count(b"S1") == 1
    file = write_pickle(tmp_path / "y.npy", content.replace(b"S1", f"{kind[1]}0".encode()))
    with pytest.raises(DataError, match=f"it holds an array of dtype '{kind[1]}0'"):
        read_array(file)


def test_a_gzip_of_gigabytes_is_refused_before_they_are_there(tmp_path, monkeypatch):
    monkeypatch.setattr(amslib.detections, "HARMLESS", 2**20)
    file = tmp_path / "x.json.gz"
    file.write_bytes(gzip.compress(b" " * 2**22))
    with pytest.raises(DataError, match=r"x\.json\.gz: cannot be read as json.*which is no text"):
        read_detections(file)
    file.write_bytes(gzip.compress(b" " * 2**19 + b'{"results": {}}'))
    assert read_detections(file) == []


@pytest.mark.parametrize("shape", [(2**40, 2**20), (-1, 4), (2**63, 2), (10**4000,)])
def test_an_npy_that_claims_another_size_is_refused(tmp_path, shape):
    with open(tmp_path / "x.npy", "wb") as out:
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_2_0(out, header)
        out.write(bytes(64))
    with pytest.raises(DataError, match=r"x\.npy: not a whole \.npy file"):
        read_array(tmp_path / "x.npy")


# Json


def deep(text: str) -> str:
    return text.replace('"X"', "[" * 100_000 + "]" * 100_000)


JSONS = {
    "nan": lambda text: text.replace('"X"', "NaN"),
    "infinity": lambda text: text.replace('"X"', "-Infinity"),
    "deep": deep,
    "400 digits": lambda text: text.replace('"X"', "1" + "0" * 400),
    "5000 digits": lambda text: text.replace('"X"', "1" + "0" * 5000),
    "object": lambda text: text.replace('"X"', '{"__class__": "os.system"}'),
    "half a character": lambda text: text.replace('"X"', r'"\ud800"'),
}
SEGMENT = {"segment": ["X", 2.0], "label": "Jump", "score": 0.5}


def forge(file: Path, content: dict, how: str) -> Path:
    file.write_text(JSONS[how](json.dumps(content)))
    return file


@pytest.mark.parametrize("how", JSONS)
@pytest.mark.parametrize("layout", ["basnet", "plain", "acmnet", "actionformer"])
def test_a_time_that_is_none_is_told(tmp_path, layout, how):
    folder = LAYOUT_WRITERS[layout](tmp_path / "data")
    (file,) = folder.rglob("*.json")
    text = re.sub(r'"?\b0\.5\b"?', '"X"', file.read_text())
    assert text.count('"X"') == 1
    file.write_text(JSONS[how](text))
    with pytest.raises(DataError, match=re.escape(str(file))):
        load(folder)


@pytest.mark.parametrize("how", JSONS)
def test_a_time_that_is_none_is_told_in_detections_too(tmp_path, how):
    truth = {"subset": "test", "annotations": [SEGMENT]}
    file = forge(tmp_path / "x.json", {"results": {"v": [SEGMENT]}, "database": {"v": truth}}, how)
    for read in (read_detections, read_ground_truth):
        with pytest.raises(ValueError, match=re.escape(str(file))):
            read(file)
    packed = tmp_path / "x.json.gz"
    packed.write_bytes(gzip.compress(file.read_bytes()))
    with pytest.raises(ValueError, match=re.escape(str(packed))):
        read_detections(packed)


def test_of_a_key_that_occurs_twice_nothing_is_chosen_in_annotations(tmp_path):
    folder = write_basnet(tmp_path)
    text = (folder / "gt.json").read_text()
    first = text.replace('"database": {', '"database": {"video_a": {"subset": "test"}, ')
    (folder / "gt.json").write_text(first)
    with pytest.raises(DataError, match="'video_a' occurs twice"):
        load(folder)


def test_of_a_key_that_occurs_twice_nothing_is_chosen_in_detections(tmp_path):
    (tmp_path / "x.json").write_text('{"results": {"v": [], "v": []}}')
    with pytest.raises(ValueError, match="'v' occurs twice"):
        read_detections(tmp_path / "x.json")


@pytest.mark.parametrize("how", JSONS)
def test_a_seed_or_option_that_is_none_is_told(tmp_path, how):
    saved_run(tmp_path)
    about = json.loads((tmp_path / "run.json").read_text())
    about["config"]["eta"] = "X"
    forge(tmp_path / "run.json", about, how)
    with pytest.raises(ValueError, match=re.escape(f"{tmp_path}: not a readable run")):
        Run.load(tmp_path)
    record = {"key": "0" * 16, "config": {"eta": "X"}, "seed": 0}
    record |= {"dataset": {}, "iterations": [], "made": {}}
    forge(tmp_path / ("0" * 16 + ".json"), record, how)
    with pytest.raises(ValueError, match="not the record of that name .*Delete it"):
        find_record(tmp_path)


# Runs, records and checkpoints


def write_run(folder: Path, weights: bytes, **changed) -> None:
    saved_run(folder)
    about = json.loads((folder / "run.json").read_text()) | changed
    (folder / "run.json").write_text(json.dumps(about))
    (folder / "run.safetensors").write_bytes(weights)


def safetensors(header: dict, content: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + content


def entry(shape, *offsets) -> dict:
    return {"dtype": "F32", "shape": shape, "data_offsets": offsets}


NAME = "0/rgb/base/weight1"
WEIGHTS = {
    "a header longer than the file": struct.pack("<Q", 2**60) + b"{}",
    "a shape larger than its bytes": safetensors({NAME: entry([2**40], 0, 4)}, bytes(4)),
    "bytes past the end": safetensors({NAME: entry([2**20], 0, 2**22)}, bytes(4)),
    "a shape that overflows": safetensors({NAME: entry([2**62, 2**62], 0, 4)}, bytes(4)),
    "offsets that run backwards": safetensors({NAME: entry([1], 4, 0)}, bytes(4)),
    "a name of another form": save({"../../x": torch.zeros(1)}),
    "an iteration that is no number": save({"x/rgb/base/weight1": torch.zeros(1)}),
    "no weights": save({}),
}


@pytest.mark.parametrize("what", WEIGHTS)
def test_weights_that_are_not_what_they_claim_are_refused(tmp_path, what):
    write_run(tmp_path, WEIGHTS[what])
    with pytest.raises(ValueError, match="not a readable run"):
        Run.load(tmp_path)


@pytest.mark.parametrize(
    "changed",
    [{"config": {"eta": "__import__('os')"}}, {"config": {"x": 1}}, {"config": []}],
    ids=str,
)
def test_a_config_that_is_none_is_refused(tmp_path, changed):
    write_run(tmp_path, save({NAME: torch.zeros(1)}), **changed)
    with pytest.raises(ValueError, match="not a readable run"):
        Run.load(tmp_path)


@pytest.mark.parametrize("key", ["../secret", "/tmp", "1" * 16])
def test_a_record_leads_to_no_other_folder(tmp_path, key):
    saved_run(tmp_path / "secret")
    about = {"key": key, "config": {}, "seed": 0, "dataset": {}, "iterations": [], "made": {}}
    folder = tmp_path / "records"
    folder.mkdir()
    (folder / ("0" * 16 + ".json")).write_text(json.dumps(about))
    with pytest.raises(ValueError, match=f"it calls itself '{key}'"):
        find_record(folder)


def write_checkpoint(folder: Path, about, tensors=None) -> None:
    """With the digest that belongs to it."""
    tensors, text = tensors or {"x": torch.zeros(1)}, json.dumps(about)
    save_file(tensors, folder / NOW, {"about": text, "digest": _digest(tensors, text)})


ABOUTS = [[], {}, {"format": FORMAT}, {"format": FORMAT, "work": [1], "state": {}}, 3, None]


@pytest.mark.parametrize("about", ABOUTS, ids=str)
def test_a_checkpoint_with_another_header_is_refused(tmp_path, about):
    write_checkpoint(tmp_path, about)
    with pytest.raises(ValueError, match=f"{NOW}: not a readable checkpoint"):
        Checkpoint(tmp_path, {}).load()


def test_a_checkpoint_whose_content_was_changed_is_refused(tmp_path):
    Checkpoint(tmp_path, {}).save({"x": torch.zeros(4)}, {})
    content = bytearray((tmp_path / NOW).read_bytes())
    content[-1] ^= 1
    (tmp_path / NOW).write_bytes(bytes(content))
    with pytest.raises(ValueError, match="damaged, its content is not what was written"):
        Checkpoint(tmp_path, {}).load()


STATES = {
    "nothing": (lambda state: {}, lambda tensors: tensors),
    "no tensors": (lambda state: state, lambda tensors: {"x": torch.zeros(1)}),
    "a random state of another size": (
        lambda state: state,
        lambda tensors: tensors | {"trainer/random/dropout": torch.zeros(3, dtype=torch.uint8)},
    ),
    "attributes of the trainer": (
        lambda state: state | {"trainer": {"__class__": "os.system"}},
        lambda tensors: tensors,
    ),
    "tensors of another name": (
        lambda state: state,
        lambda tensors: tensors | {"../../x": torch.zeros(1)},
    ),
    "a bit generator of another kind": (
        lambda state: state | {"trainer": state["trainer"] | {"batches": {"bit_generator": "os"}}},
        lambda tensors: tensors,
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", STATES)
def test_a_checkpoint_of_the_right_work_that_holds_something_else_is_refused(
    tmp_path, what, one_thread
):
    train(TINY, QUICK, checkpoint=tmp_path, checkpoint_seconds=0)
    (tmp_path / BEFORE).replace(tmp_path / NOW)  # of the last step, not of the finished training
    about = json.loads(_header(tmp_path / NOW)["about"])
    tensors, state = Checkpoint(tmp_path, about["work"]).load()
    of_state, of_tensors = STATES[what]
    write_checkpoint(tmp_path, about | {"state": of_state(state)}, of_tensors(tensors))
    with pytest.raises(ValueError, match=f"{tmp_path}: training cannot go on from this checkpoint"):
        train(TINY, QUICK, checkpoint=tmp_path)


def _header(file: Path) -> dict:
    content = file.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + size])["__metadata__"]


# Parameters


TEXTS = [
    "'; import os; os.system('false') #",
    '"; __import__("os") #',
    "\"\"\"'''",
    "\\",
    "\\'",
    "a\nimport os\n",
    "a\rimport os",
    "\u2028import os",
    "{__import__('os')}",
    "%(x)s {{x}} ${x}",
    "\0",
    "__import__('os').system('false')",
]


@pytest.mark.parametrize("text", TEXTS, ids=ascii)
def test_a_parameter_of_a_notebook_stays_a_text(text):
    """papermill writes the values into a cell as literals."""
    notebook = load_notebook_node(str(ROOT / "notebooks" / "04_end_to_end.ipynb"))
    given = {"dataset": text, "seed": [text], "extra": {text: text}}
    made = parameterize_notebook(notebook, given)
    (cell,) = [c for c in made.cells if "injected-parameters" in c.metadata.get("tags", [])]
    statements = ast.parse(cell.source).body
    assert all(isinstance(statement, ast.Assign) for statement in statements)
    assert {s.targets[0].id: ast.literal_eval(s.value) for s in statements} == given


HUGE = ["[" * 100_000, "1" * 5000, "NaN", "1e999"]


@pytest.mark.slow
@pytest.mark.parametrize("text", [*TEXTS, *HUGE], ids=lambda text: ascii(text)[:40])
@pytest.mark.parametrize("option", ["--set", "--option"])
def test_an_option_of_the_command_line_is_no_expression(option, text, monkeypatch, capsys):
    value = f"eta={text}" if option == "--set" else f"seed={text}"
    arguments = ["amslib", "train", "--data", "synthetic-tiny", "--out", "/nowhere", option, value]
    monkeypatch.setattr(sys, "argv", arguments)
    monkeypatch.setattr(cli, "train", lambda *_, **__: pytest.fail("it has trained"))
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 2 and "error:" in capsys.readouterr().err


@pytest.mark.parametrize("text", TEXTS, ids=ascii)
def test_a_value_on_the_command_line_stays_a_text(text):
    assert cli._pairs([f"x={text}"]) == {"x": text}


# Pages and terminals


MARKUP = ["<script>alert(1)</script>", '"onload="alert(1)', "a|b", "[x](javascript:y)", "`$x$`"]


@pytest.mark.parametrize("text", MARKUP)
def test_a_name_out_of_data_is_no_markup(text):
    """Whatever could begin a tag, an attribute, a cell, a link, code or mathematics is a number."""
    made = literal(f"{text}\n\n# x")
    assert not set(made) & set("<>\"'|[]`$*\\\n")
    assert re.sub("&#([0-9]+);", lambda m: chr(int(m[1])), made) == f"{text} # x"


def test_the_name_of_a_data_set_is_literal_in_a_source_line(tmp_path):
    about = {"name": MARKUP[0], "fingerprint": "0" * 16}
    made = {"method": "0" * 16, "commit": "", "device": "cpu", "threads": 1}
    line = provenance([records.Record("0" * 16, Config(), 0, about, [], made, tmp_path)])
    assert "<script" not in line and "&#60;script&#62;" in line


@pytest.mark.parametrize("text", MARKUP)
def test_no_tag_gets_through_a_table(text):
    made = table({text: [text]}, ["", text], text, "tab-x")
    assert not re.search("<(?!br>)", made)
    assert "a<br>b" in table({"x": ["a<br>b"]}, ["", "y"], "z", "tab-x")


@pytest.mark.parametrize("uid", [*MARKUP, "", 'x" onclick="y', "x y"])
def test_the_explorer_takes_no_markup_for_its_name(uid):
    with pytest.raises(ValueError, match="expected letters, digits, - and _ alone"):
        eta_explorer(torch.ones(3), [0.5], 0.5, uid=uid)


def test_a_name_does_not_steer_the_terminal(monkeypatch):
    told = io.StringIO()
    monkeypatch.setattr(cli, "err", Console(file=told, width=200))
    cli.err.print(cli._plain("\x1b]0;title\x07 \x9b2J [red]x[/red] \\[bold]y\rz"))
    assert told.getvalue() == r"\x1b]0;title\x07 \x9b2J [red]x[/red] \[bold]y\rz" + "\n"


# The code itself


MODULES = {
    "pickle",
    "marshal",
    "shelve",
    "dill",
    "joblib",
    "cloudpickle",
    "runpy",
    "code",
    "ctypes",
}
MODULES |= {"importlib", "imp", "pty", "jsonpickle"}
HARMLESS_MODULES = {"importlib.resources", "importlib.metadata"}
FUNCTIONS = {"eval", "exec", "compile", "__import__", "execfile"}
METHODS = {
    *("os.system", "os.popen", "os.startfile", "torch.load", "yaml.load", "yaml.load_all"),
    *("yaml.unsafe_load", "yaml.full_load", "subprocess.getoutput", "subprocess.getstatusoutput"),
}
ALLOWED = {
    ("amslib/data/pickles.py", "import pickle"): (
        "an Unpickler whose find_class knows eight names, all of them classes of that module"
    ),
    ("amslib/machine.py", "import ctypes"): (
        "tells malloc of the process itself to keep memory, in large pages; with constants"
    ),
}


def risks(code: str) -> Iterator[str]:
    """What in a piece of Python could execute data."""
    for node in ast.walk(ast.parse(code)):
        modules, names = [], []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            modules = [node.module]
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Attribute):
            names = [ast.unparse(node)]
        for name in modules:
            if name.split(".")[0] in MODULES and name not in HARMLESS_MODULES:
                yield f"import {name}"
        for name in names:
            if name in METHODS or re.match(r"os\.(exec|spawn)|.*\.read_pickle$", name):
                yield name
        if isinstance(node, ast.Name) and node.id in FUNCTIONS:
            yield node.id
        if isinstance(node, ast.Call):
            for keyword in node.keywords:
                safe = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
                if keyword.arg in ("shell", "allow_pickle") and not safe:
                    yield ast.unparse(keyword)


SAMPLES = {
    "import pickle": "import pickle",
    "import importlib": "import importlib",
    "from importlib import import_module": "import importlib",
    "import torch\ntorch.load(x)": "torch.load",
    "f = eval": "eval",
    "exec(x)": "exec",
    "compile(x, '', 'exec')": "compile",
    "__import__(name)": "__import__",
    "os.system(x)": "os.system",
    "from os import system": "os.system",
    "from torch import load as read": "torch.load",
    "from yaml import load": "yaml.load",
    "os.execvp(x, y)": "os.execvp",
    "np.load(x, allow_pickle=True)": "allow_pickle=True",
    "np.load(x, allow_pickle=trusted)": "allow_pickle=trusted",
    "yaml.load(x, Loader)": "yaml.load",
    "pd.read_pickle(x)": "pd.read_pickle",
    "subprocess.run(x, shell=True)": "shell=True",
}


@pytest.mark.parametrize("code", SAMPLES)
def test_what_could_execute_data_is_seen(code):
    assert list(risks(code)) == [SAMPLES[code]]


def test_what_could_not_is_not():
    harmless = "import importlib.resources, re\nre.compile(x)\nyaml.safe_load(x)\nnp.load(x)\n"
    harmless += "np.load(x, allow_pickle=False)\nsubprocess.run([x], check=True)"
    assert list(risks(harmless)) == []


def sources() -> dict[str, str]:
    """All code that readers run, the cells of the notebooks included."""
    folders = ("amslib", "tools", "benchmarks", "notebooks", "book")
    paths = [path for folder in folders for path in sorted((ROOT / folder).rglob("*"))]
    found = {}
    for path in paths:
        name = path.relative_to(ROOT).as_posix()
        if path.suffix == ".py":
            found[name] = path.read_text()
        elif path.suffix == ".ipynb" and ".ipynb_checkpoints" not in name:
            cells = nbformat.read(path, as_version=4).cells
            found[name] = "\n".join(c.source for c in cells if c.cell_type == "code")
    return found


def test_no_code_of_the_project_executes_data():
    found = {(name, risk) for name, code in sources().items() for risk in risks(code)}
    assert found == set(ALLOWED)


def test_the_one_unpickler_knows_no_function():
    """Each name it resolves is a class of its own module, or a text that is never called."""
    assert len(pickles.STAND_INS) == 8
    own = {value for value in pickles.STAND_INS.values() if value != "ndarray"}
    assert own and all(isinstance(c, type) and c.__module__ == pickles.__name__ for c in own)


def test_what_was_tried_is_listed_and_nothing_else():
    listed = re.findall(r"`(test_\w+)`", (ROOT / "SECURITY.md").read_text())
    own = [name for name in globals() if name.startswith("test_")]
    assert sorted(listed) == sorted(own)

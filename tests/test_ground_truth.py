"""Ground truth from whatever holds it: folders, tables, json files, and their subsets."""

from __future__ import annotations

import json
import sys
import warnings

import numpy as np
import pytest

from amslib import evaluate, load
from amslib.cli import main
from amslib.data import DataNotFoundError, convert
from amslib.data.video import Dataset, Video
from amslib.detections import Detection, read_ground_truth, write_detections

LABELS = "video,subset,labels,duration\nday 1,train,knock,32\nday 2,test,knock;ring,32\n"
SEGMENTS = "video,start,end,label\nday 2,3.5,6,knock\nday 2,10,12,ring\nday 1,0,2,knock\n"
FOUND = [Detection("day 2", "knock", 3.5, 6.0, 0.9), Detection("day 2", "ring", 10, 12, 0.8)]


@pytest.fixture
def call(monkeypatch, capsys):
    """call(*arguments): the exit code, and what was written to both streams."""

    def main_with(*arguments):
        monkeypatch.setattr(sys, "argv", ["amslib", *map(str, arguments)])
        monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
        with pytest.raises(SystemExit) as left:
            main()
        told = capsys.readouterr()
        return left.value.code, told.out, " ".join(told.err.split())

    return main_with


@pytest.fixture
def own(tmp_path):
    (tmp_path / "own" / "features").mkdir(parents=True)
    (tmp_path / "own" / "labels.csv").write_text(LABELS)
    (tmp_path / "own" / "segments.csv").write_text(SEGMENTS)
    for video in ("day 1", "day 2"):
        np.save(tmp_path / "own" / "features" / f"{video}.npy", np.ones((50, 3), np.float32))
    return tmp_path / "own"


def scored(call, folder, truth, *options):
    write_detections(FOUND, folder / "found.json")
    return call(
        *("evaluate", "--detections", folder / "found.json", "--ground-truth", truth),
        *("--tiou", "0.5", "--json", *options),
    )


@pytest.mark.parametrize("features", [True, False])
@pytest.mark.parametrize("part", ["", "segments.csv", "labels.csv"])
def test_ones_own_tables(own, tmp_path, call, part, features):
    if not features:
        for file in (own / "features").iterdir():
            file.unlink()
        (own / "features").rmdir()
    code, out, _ = scored(call, tmp_path, own / part)
    assert code == 0 and json.loads(out)["mAP"] == pytest.approx([1])
    (video,) = read_ground_truth(own / part)
    assert (video.id, video.duration, len(video.segments)) == ("day 2", 32.0, 2)
    assert [v.id for v in read_ground_truth(own / part, "train")] == ["day 1"]


@pytest.mark.parametrize("part", ["", "dataset.json"])
def test_the_plain_layout(own, tmp_path, call, part):
    convert(load(own), tmp_path / "plain")
    code, out, _ = scored(call, tmp_path, tmp_path / "plain" / part)
    assert code == 0 and json.loads(out)["mAP"] == pytest.approx([1])


def test_the_split_files_of_basnets_layout_decide(tmp_path):
    rows = [{"segment": ["1", "2"], "label": "knock"}]
    database = {v: {"subset": "test", "annotations": rows} for v in ("a", "b", "c")}
    (tmp_path / "gt.json").write_text(json.dumps({"database": database}))
    (tmp_path / "split_train.txt").write_text("a\n")
    (tmp_path / "split_test.txt").write_text("c\n")
    assert [v.id for v in read_ground_truth(tmp_path)] == ["c"]
    assert [v.id for v in read_ground_truth(tmp_path, "train")] == ["a"]
    (tmp_path / "split_test.txt").write_text("c\nx\n")
    with pytest.raises(ValueError, match="x: not in gt.json"):
        read_ground_truth(tmp_path)


def test_an_annotation_folder_of_actionformers_layout(tmp_path):
    rows = [{"segment": [1, 2], "label": "knock"}]
    database = {v: {"subset": s, "annotations": rows} for v, s in (("a", "train"), ("b", "val"))}
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "x.json").write_text(json.dumps({"database": database}))
    assert [v.id for v in read_ground_truth(tmp_path)] == ["b"]


def test_a_folder_without_annotations(tmp_path):
    with pytest.raises(DataNotFoundError, match="no annotations here"):
        read_ground_truth(tmp_path)


def test_a_wrong_row_of_a_table_is_refused(own):
    (own / "segments.csv").write_text(SEGMENTS + "day 2,late,20,ring\n")
    with pytest.raises(ValueError, match=r"segments.csv: day 2: line 5 .*no number"):
        read_ground_truth(own)
    (own / "labels.csv").unlink()
    with pytest.raises(ValueError, match="labels.csv: no csv file"):
        read_ground_truth(own / "segments.csv")


def test_one_unnamed_stream_cannot_be_written_as_rgb_and_flow(own, tmp_path, call):
    code, _, err = call("convert", own, "--out", tmp_path / "gt", "--to", "basnet")
    assert code == 2 and "holds streams rgb and flow, not features" in err
    assert "evaluate --ground-truth takes the folder as it is" in err


# Subsets


def database(folder, **subsets):
    """A file in which the number of segments of each subset's one video is as given."""
    rows = [{"segment": [3.5, 6], "label": "knock"}]
    content = {
        f"{name} video": {"subset": name} | ({} if n is None else {"annotations": rows * n})
        for name, n in subsets.items()
    }
    file = folder / "gt.json"
    file.write_text(json.dumps({"database": content}))
    return file


@pytest.mark.parametrize("withheld", [0, None])
def test_withheld_annotations_are_told_with_the_subsets_there_are(tmp_path, call, withheld):
    file = database(tmp_path, train=1, val=1, test=withheld)
    code, _, err = scored(call, tmp_path, file)
    assert code == 2 and "of subset 'test', the default, has a segment" in err
    assert "of ['test', 'train', 'val'], train and val have some" in err and "--subset val" in err
    assert [v.id for v in read_ground_truth(file, "VAL")] == ["val video"]
    with pytest.raises(ValueError, match="of subset 'test' has a segment"):
        read_ground_truth(file, "test")


@pytest.mark.filterwarnings("always::amslib.data.findings.DataWarning")
def test_a_subset_on_the_command_line(tmp_path, call):
    file = database(tmp_path, training=1, validation=1, testing=None)
    for subset in ("training", "Validation"):
        code, out, err = scored(call, tmp_path, file, "--subset", subset)
        assert code == 0 and f"'{subset.lower()} video'" in err and json.loads(out)
    code, _, err = scored(call, tmp_path, file, "--subset", "dev")
    assert code == 2 and "subset 'dev' where one of ['testing', 'training', 'validation']" in err
    code, _, err = call("evaluate", "--run", tmp_path, "--subset", "val")
    assert code == 2 and "--subset: goes with --detections" in err


@pytest.mark.parametrize(
    ("subsets", "scored"),
    [(("train", "val"), "val"), (("training", "testing"), "testing")],
)
def test_more_names_of_subsets(tmp_path, subsets, scored):
    file = database(tmp_path, **dict.fromkeys(subsets, 1))
    assert [v.id for v in read_ground_truth(file)] == [f"{scored} video"]


def test_a_file_without_subsets_has_none_to_choose(tmp_path):
    truth = {"a": {"annotations": [{"segment": [0, 1], "label": "x"}]}}
    (tmp_path / "gt.json").write_text(json.dumps({"ground_truth": truth}))
    with pytest.raises(ValueError, match="subset 'val', but the file names no subset"):
        read_ground_truth(tmp_path / "gt.json", "val")


def test_an_entry_without_annotations_is_withheld_only_with_its_whole_subset(tmp_path):
    file = database(tmp_path, train=1, test=1)
    content = json.loads(file.read_text())
    content["database"]["z"] = {"subset": "test"}
    file.write_text(json.dumps(content))
    with pytest.raises(ValueError, match='z: an entry that cannot be read.*"annotations"'):
        read_ground_truth(file)


# The command line


def test_several_files_are_not_one(tmp_path, call):
    write_detections(FOUND, tmp_path / "a.json")
    twice = ("--detections", tmp_path / "a.json") * 2
    code, _, err = call("evaluate", *twice)
    assert code == 2 and "--detections: 2 files; give one that holds all videos" in err


@pytest.mark.parametrize("tiou", ["", ",", "0.5,", "0.5,0.5", "1.5", "0", "-0.5", "nan", "0.5:0.1"])
def test_thresholds_that_are_none(own, tmp_path, call, tiou):
    write_detections(FOUND, tmp_path / "found.json")
    files = "--detections", tmp_path / "found.json", "--ground-truth", own
    code, _, err = call("evaluate", *files, f"--tiou={tiou}")
    assert code == 2 and "tiou" in err


def test_an_average_is_named_only_where_all_its_thresholds_are_there(own, tmp_path, call):
    write_detections(FOUND, tmp_path / "found.json")
    files = "--detections", tmp_path / "found.json", "--ground-truth", own
    for tiou, names in {
        "0.1,0.7": [],
        "0.3:0.7:0.1": ["0.3-0.7"],
        "0.5:0.95:0.05": ["0.5-0.95"],
        "0.7,0.6,0.5,0.4,0.3": ["0.3-0.7"],
        "0.1:0.7:0.05": [],
    }.items():
        _, out, _ = call("evaluate", *files, "--tiou", tiou)
        for name in ("0.1-0.5", "0.3-0.7", "0.1-0.7", "0.5-0.95"):
            assert (f"AVG({name})" in out) == (name in names), (tiou, name)


def test_gaps_are_notes(own, tmp_path, call):
    rows = [FOUND[0], FOUND[0]._replace(start=9.0, end=8.0)]
    (own / "labels.csv").write_text(LABELS + "day 3,test,ring,32\n")
    (own / "segments.csv").write_text(SEGMENTS + "day 3,1,2,ring\n")
    write_detections(rows, tmp_path / "found.json")
    files = "--detections", tmp_path / "found.json", "--ground-truth", own
    code, _, err = call("evaluate", *files)
    assert code == 0 and "1 of 2 videos has no detection (day 3)" in err
    assert "1 of 2 detections end where they start, or before (9 to 8 s)" in err


def test_a_name_is_unknown_once(own, tmp_path, call):
    files = "--detections", tmp_path / "found.json", "--ground-truth", own
    for row in (FOUND[0]._replace(label="R_i-n g"), FOUND[0]._replace(video="v_day 2")):
        write_detections([FOUND[0], row], tmp_path / "found.json")
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            _, _, err = call("evaluate", *files)
        assert "did you mean" in err
        assert err.count("ground truth does not have") <= 1 and err.count("has no detection") <= 1


def test_memory_that_does_not_suffice_is_one_sentence(own, tmp_path, call, monkeypatch):
    def too_large(*_):
        raise MemoryError("Unable to allocate 9 TiB")

    monkeypatch.setattr("amslib.cli.evaluate", too_large)
    write_detections(FOUND, tmp_path / "found.json")
    code, _, err = call("evaluate", "--detections", tmp_path / "found.json", "--ground-truth", own)
    assert (code, err) == (2, "error: not enough memory (Unable to allocate 9 TiB)")


# Values


@pytest.mark.parametrize("value", ["high", None, [0.5], 10**400])
@pytest.mark.parametrize("field", ["start", "end", "score"])
def test_what_is_no_number_is_named(field, value):
    truth = [Video("day 2", segments=((3.0, 6.0, "knock"),))]
    rows = [FOUND[0], FOUND[0]._replace(**{field: value})]
    with pytest.raises(ValueError, match="detection 1 is .*day 2.* must be finite numbers"):
        evaluate(rows, truth)


def test_an_evaluation_says_what_a_dataset_says(own):
    data = load(own)
    assert isinstance(data, Dataset)
    assert evaluate(FOUND, data.test).to_dict() == evaluate(FOUND, read_ground_truth(own)).to_dict()

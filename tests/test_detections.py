"""Files of detections and of ground truth: what is read, what is written, what is refused."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from amslib.detections import Detection, read_detections, read_ground_truth, write_detections

SHARED = Path(__file__).parents[2] / "shared" / "data"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="real annotations: no ../shared/data")

FOUND = [
    Detection("b", "Diving", 1.5, 2.0, 0.1),
    Detection("b", "Shotput", 4.0, 3.0, 0.1),  # ends before it starts: a protocol's business
    Detection("a", "Diving", 0.0, 2.5, 1e-300),
]
ENTRY = {"segment": [1.5, 2.0], "label": "Diving", "score": 0.5}


def save(folder, content, name="file.json"):
    data = json.dumps(content).encode()
    file = folder / name
    file.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return file


def results(rows):
    by_video = {}
    for video, label, start, end, score in rows:
        entry = {"segment": [start, end], "label": label, "score": score}
        by_video.setdefault(video, []).append(entry)
    return by_video


@pytest.mark.parametrize("name", ["file.json", "file.json.gz"])
@pytest.mark.parametrize("key", ["detections", "results"])
def test_both_schemas_of_detections_in_file_order(tmp_path, key, name):
    file = save(tmp_path, {"version": "1", key: results(FOUND), "external_data": {}}, name)
    assert read_detections(file) == FOUND
    assert read_detections(str(file)) == FOUND


@pytest.mark.parametrize("name", ["file.json", "file.json.gz"])
def test_what_is_written_is_read_again(tmp_path, name):
    file = tmp_path / name
    write_detections(iter(FOUND), file)
    first = file.read_bytes()
    assert (first[:2] == b"\x1f\x8b") == name.endswith(".gz")
    assert read_detections(file) == FOUND
    write_detections([row._replace(score=np.float64(row.score)) for row in FOUND], file)
    assert file.read_bytes() == first


def test_written_file_is_activitynets(tmp_path):
    write_detections(FOUND[:1], tmp_path / "a.json")
    content = json.loads((tmp_path / "a.json").read_text())
    entry = {"segment": [1.5, 2.0], "label": "Diving", "score": 0.1}
    assert content["results"] == {"b": [entry]}
    assert set(content) == {"version", "results", "external_data"}


def test_videos_without_detections_are_no_error(tmp_path):
    assert read_detections(save(tmp_path, {"detections": {"a": []}})) == []
    write_detections([], tmp_path / "none.json")
    assert read_detections(tmp_path / "none.json") == []


def test_names_are_taken_as_they_stand(tmp_path):
    file = save(tmp_path, {"results": {"v_a": [ENTRY], "a": [ENTRY]}})
    assert [row.video for row in read_detections(file)] == ["v_a", "a"]


def test_nothing_is_written_when_a_number_is_not_finite(tmp_path):
    with pytest.raises(ValueError, match="out.json: b: .*nan.* is not finite"):
        write_detections([FOUND[0], FOUND[1]._replace(score=np.nan)], tmp_path / "out.json")
    assert not (tmp_path / "out.json").exists()


def test_neutral_ground_truth(tmp_path):
    annotations = [
        {"segment": [3, 4.5], "label": "Shotput"},
        {"segment": ["1.25", "2"], "label": "Diving"},
    ]
    truth = {
        "b": {"duration": 9, "annotations": annotations, "ambiguous": [[5.0, 6.0]]},
        "a": {"annotations": []},
    }
    for name in ("file.json", "file.json.gz"):
        b, a = read_ground_truth(save(tmp_path, {"ground_truth": truth, "detections": {}}, name))
        assert (b.id, b.duration, b.labels) == ("b", 9.0, ("Diving", "Shotput"))
        assert b.segments == ((3.0, 4.5, "Shotput"), (1.25, 2.0, "Diving"))
        assert b.ambiguous == ((5.0, 6.0),)
        assert (a.id, a.duration, a.segments, a.ambiguous) == ("a", None, (), ())


def database(**subsets):
    annotations = [{"segment": ["1", "2"], "label": label} for label in ("Diving", "Ambiguous")]
    entry = {"annotations": annotations, "duration": 4.0}
    return {"database": {video: {"subset": name} | entry for video, name in subsets.items()}}


@pytest.mark.parametrize(
    ("subsets", "scored"),
    [
        (dict(a="training", b="validation", c="testing", d="validation"), "bd"),  # ActivityNet
        (dict(a="Validation", b="Test"), "b"),  # THUMOS14
        (dict(a="train", b="test"), "b"),
        (dict(a="validation", b="validation"), "ab"),
    ],
)
def test_the_test_part_of_a_database_is_the_default(tmp_path, subsets, scored):
    videos = read_ground_truth(save(tmp_path, database(**subsets)))
    assert "".join(v.id for v in videos) == scored
    assert videos[0].segments == ((1.0, 2.0, "Diving"),)
    assert videos[0].labels == ("Diving",)
    assert videos[0].ambiguous == ((1.0, 2.0),)
    assert videos[0].duration == 4.0


def test_another_subset_on_request(tmp_path):
    file = save(tmp_path, database(a="Validation", b="Test"))
    assert [v.id for v in read_ground_truth(file, subset="validation")] == ["a"]
    assert [v.id for v in read_ground_truth(file, subset="TEST")] == ["b"]
    with pytest.raises(ValueError, match=r"file.json: subset 'val' where one of \['test', 'valid"):
        read_ground_truth(file, subset="val")


def test_subsets_that_do_not_say_what_is_for_testing(tmp_path):
    with pytest.raises(ValueError, match=r"file.json: subsets \['fold1', 'fold2'\].*Rename"):
        read_ground_truth(save(tmp_path, database(a="fold1", b="fold2")))


NAN, INF = float("nan"), float("inf")
WRONG_ROWS = {
    "no score": {"segment": [1, 2], "label": "Diving"},
    "no label": {"segment": [1, 2], "score": 0.5},
    "no segment": {"label": "Diving", "score": 0.5},
    "score nan": ENTRY | {"score": NAN},
    "score infinite": ENTRY | {"score": -INF},
    "score true": ENTRY | {"score": True},
    "score null": ENTRY | {"score": None},
    "score huge": ENTRY | {"score": 10**400},
    "score string": ENTRY | {"score": "0.5"},
    "time underscored": ENTRY | {"segment": [1, "1_0"]},
    "time true": ENTRY | {"segment": [True, 2]},
    "label null": ENTRY | {"label": None},
    "time nan": ENTRY | {"segment": [NAN, 2]},
    "time infinite": ENTRY | {"segment": [1, INF]},
    "time word": ENTRY | {"segment": [1, "end"]},
    "one time": ENTRY | {"segment": [1]},
    "three times": ENTRY | {"segment": [1, 2, 3]},
    "segment string": ENTRY | {"segment": "12"},
    "segment number": ENTRY | {"segment": 12},
    "label number": ENTRY | {"label": 3},
    "no object": [1, 2, "Diving", 0.5],
    "null": None,
}


@pytest.mark.parametrize("wrong", WRONG_ROWS.values(), ids=WRONG_ROWS)
def test_an_entry_that_is_wrong_is_named(tmp_path, wrong):
    file = save(tmp_path, {"results": {"a": [ENTRY], "b": [ENTRY, ENTRY, wrong]}})
    with pytest.raises(ValueError, match=r"file.json: b: detection 2 .* is .*Write \{.*score"):
        read_detections(file)


@pytest.mark.parametrize(
    "wrong",
    [row for name, row in WRONG_ROWS.items() if "score" not in name],
    ids=[name for name in WRONG_ROWS if "score" not in name],
)
def test_an_annotation_that_is_wrong_is_named(tmp_path, wrong):
    for key in ("ground_truth", "database"):
        truth = {"a": {"annotations": []}, "b": {"annotations": [ENTRY, wrong]}}
        with pytest.raises(ValueError, match="file.json: b: annotation 1 .* is .*Write {"):
            read_ground_truth(save(tmp_path, {key: truth}))


@pytest.mark.parametrize(
    "entry",
    [
        {},
        None,
        [],
        {"annotations": None},
        {"annotations": [], "duration": "long"},
        {"annotations": [], "duration": NAN},
        {"annotations": [], "duration": None},
        {"annotations": [], "duration": -3.0},
        {"annotations": [], "duration": 0},
        {"annotations": [], "ambiguous": 3},
        {"annotations": [], "subset": None},
        {"annotations": [], "subset": 2},
    ],
)
def test_a_video_that_is_wrong_is_named(tmp_path, entry):
    file = save(tmp_path, {"ground_truth": {"b": entry}})
    with pytest.raises(ValueError, match='file.json: b: an entry that .* Give it "annotations"'):
        read_ground_truth(file)


def test_times_of_detections_are_numbers_and_those_of_annotations_may_be_strings(tmp_path):
    entry = ENTRY | {"segment": ["1.5", "2"]}
    with pytest.raises(ValueError, match="file.json: a: detection 0 .* is "):
        read_detections(save(tmp_path, {"results": {"a": [entry]}}))
    (video,) = read_ground_truth(save(tmp_path, {"ground_truth": {"a": {"annotations": [entry]}}}))
    assert video.segments == ((1.5, 2.0, "Diving"),)


def test_a_list_of_ambiguous_intervals_that_is_wrong(tmp_path):
    truth = {"b": {"annotations": [], "ambiguous": [[1, NAN]]}}
    with pytest.raises(ValueError, match="b: annotation 0 .*Ambiguous"):
        read_ground_truth(save(tmp_path, {"ground_truth": truth}))


@pytest.mark.parametrize("read", [read_detections, read_ground_truth])
class TestFiles:
    def test_missing(self, tmp_path, read):
        for path in (tmp_path / "none.json", tmp_path / "folder"):
            with pytest.raises(FileNotFoundError, match=f"{path.name}: no such file. Give"):
                read(path)

    @pytest.mark.parametrize(
        ("name", "data"),
        [
            ("a.json", b""),
            ("a.json", b'{"detections": {'),
            ("a.json", b"\xff\xfe\x00"),
            ("a.json", b"[" * 200_000),
            ("a.json", gzip.compress(b"{}", mtime=0)),  # gzipped, but not named so
            ("a.json.gz", b'{"detections": {}}'),
            ("a.json.gz", gzip.compress(b'{"detections": {}}', mtime=0)[:-9]),
            ("a.json", b'{"detections": {"v": [], "v": []}, "ground_truth": {}}'),
        ],
    )
    def test_not_json(self, tmp_path, read, name, data):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ValueError, match=f"{name}: cannot be read as json"):
            read(tmp_path / name)

    @pytest.mark.parametrize("content", [{}, [], 3, None, "detections", {"videos": {}}])
    def test_neither_schema(self, tmp_path, read, content):
        with pytest.raises(ValueError, match=r'file.json: neither "\w+" nor "\w+" in it'):
            read(save(tmp_path, content))

    @pytest.mark.parametrize("part", [[], None, "v"])
    def test_no_videos(self, tmp_path, read, part):
        content = {"detections": part, "database": part}
        with pytest.raises(ValueError, match=r"file.json: .* where \{video: ..\} was expected"):
            read(save(tmp_path, content))


def test_a_ground_truth_file_holds_no_detections(tmp_path):
    with pytest.raises(ValueError, match="neither .*, but .'database'"):
        read_detections(save(tmp_path, database(a="test")))


def test_detections_that_are_no_list(tmp_path):
    with pytest.raises(ValueError, match="file.json: v: .* where a list was expected"):
        read_detections(save(tmp_path, {"detections": {"v": ENTRY}}))


@pytest.mark.slow
@needs_shared
@pytest.mark.parametrize(
    ("name", "videos", "segments", "found"),
    [("S1", 210, 3234, 20_763), ("S3", 2304, 3457, 13_295), ("S4", 213, 3358, 6421)],
)
def test_released_detections(name, videos, segments, found):
    file = SHARED / "detections" / f"{name}.json.gz"
    truth = read_ground_truth(file)
    assert len(truth) == videos
    assert sum(len(v.segments) for v in truth) == segments
    assert len(read_detections(file)) == found


@pytest.mark.slow
@needs_shared
@pytest.mark.parametrize(
    ("name", "videos", "segments"),
    [
        ("activitynet12/activity_net.v1-2.min.json", 2383, None),
        ("thumos14/basnet/gt.json", 210, 3311),
        ("activitynet10/gt.json", 3, None),
    ],
)
def test_released_annotations(name, videos, segments):
    truth = read_ground_truth(SHARED / name)
    assert len(truth) == videos
    assert all(v.segments for v in truth)
    if segments:
        assert sum(len(v.segments) for v in truth) == segments

"""Labels and annotation files: no number is silently that of another file than its author means."""

from __future__ import annotations

import json
import unicodedata
import warnings
from pathlib import Path

import numpy as np
import pytest
from data_folders import (
    PARTS,
    SEGMENTS,
    features,
    objects,
    read_database,
    write_basnet,
    write_database,
    write_wtalc,
)
from test_data_formats import write_actionformer, write_cmcs

from amslib import Config, evaluate, load, read_detections, read_ground_truth, train
from amslib.data import DataError, DataWarning, check, convert, read_annotations
from amslib.data.labels import label_findings
from amslib.data.values import class_name, finite, pair_of_times, parse_json
from amslib.data.video import Dataset, Video
from amslib.losses import classification_loss, localization_loss, pseudo_labels

HEAD, SEG = "video,subset,labels\n", "video,start,end,label\n"
LABELS = HEAD + "video_a,train,Jump\nvideo_b,train,Dive\nvideo_c,test,Jump\n"


def write_own(folder: Path, labels: str = LABELS, segments: str | None = None) -> Path:
    (folder / "features").mkdir(parents=True, exist_ok=True)
    for video in PARTS:
        np.save(folder / "features" / f"{video}.npy", features(video, ""))
    (folder / "labels.csv").write_text(labels, encoding="utf-8")
    (folder / "options.json").write_text('{"snippet_seconds": 0.5}')
    if segments is not None:
        (folder / "segments.csv").write_text(SEG + segments, encoding="utf-8")
    return folder


def write_plain(folder: Path, change=lambda content: None) -> Path:
    convert(load(write_basnet(folder / "source")), folder / "plain")
    file = folder / "plain" / "dataset.json"
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))
    return folder / "plain"


def quiet(folder):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        return load(folder)


def problems(source) -> set[tuple[str, str]]:
    return {(f.problem, f.video) for f in check(source).findings}


def only(source, problem: str):
    (found,) = [f for f in check(source).findings if f.problem == problem]
    return found


# Segments teach nothing


def test_segments_change_neither_labels_nor_classes_nor_weights(tmp_path):
    rows = "video_a,1,2,Dive\nvideo_a,2,3,Swim\nvideo_c,1,2,Jump\n"
    alone = load(write_own(tmp_path / "alone"))
    beside = quiet(write_own(tmp_path / "beside", segments=rows))
    assert beside.classes == alone.classes == ("Dive", "Jump")
    assert [v.labels for v in beside.train] == [("Jump",), ("Dive",)]
    config = Config(steps_per_epoch=3, epochs_zero=1, epochs=1, iterations=1)
    assert train(beside, config).history == train(alone, config).history


def test_what_segments_contradict_is_a_warning(tmp_path):
    rows = "video_a,1,2,Dive\nvideo_b,1,2,Swim\nvideo_c,1,2,Jump\n"
    folder = write_own(tmp_path, segments=rows)
    assert problems(folder) == {("segments differ", "video_a"), ("segment class", "video_b")}
    found = only(folder, "segments differ")
    assert found.file.endswith("labels.csv")
    assert "labelled Jump but its segments show Dive" in found.message
    found = only(folder, "segment class")
    assert (
        found.file.endswith("segments.csv")
        and "Swim, which is none of the 2 classes" in found.message
    )
    with pytest.warns(DataWarning) as warned:
        load(folder)
    assert len(warned) == 2


def test_a_labelled_test_video_without_segments_beside_one_with_them(tmp_path):
    labels = LABELS.replace("video_b,train,Dive", "video_b,test,Jump")
    folder = write_own(tmp_path, labels, "video_c,1,2,Jump\n")
    assert problems(folder) == {("not annotated", "video_b")}
    assert problems(write_own(tmp_path / "none", labels)) == set()
    unlabelled = labels.replace("video_b,test,Jump", "video_b,test,")
    assert problems(write_own(tmp_path, unlabelled, "video_c,1,2,Jump\n")) == set()


def test_a_test_video_without_labels_has_those_of_its_segments(tmp_path):
    labels = LABELS.replace("video_c,test,Jump", "video_c,test,")
    dataset = quiet(write_own(tmp_path, labels, "video_c,1,2,Dive\nvideo_c,1,2,Swim\n"))
    assert dataset.test[0].labels == ("Dive",) and dataset.classes == ("Dive", "Jump")
    dataset.labels(dataset.test)  # every label has its column


def test_a_class_of_segments_alone_survives_a_conversion(tmp_path):
    folder = write_own(tmp_path / "own", segments="video_c,1,2,Swim\nvideo_c,2,3,Jump\n")
    convert(quiet(folder), tmp_path / "plain")
    assert problems(tmp_path / "plain") == {("segment class", "video_c")}


def test_a_partly_annotated_training_video_is_none_of_a_contradiction():
    a = Video("a", labels=("x", "y"), segments=((0, 1, "x"),))
    assert label_findings(Dataset("", ("x", "y"), (a,), ()), "l", "s") == []
    (found,) = label_findings(Dataset("", ("x", "y"), (), (a,)), "l", "s")
    assert found.problem == "segments differ"


def test_a_training_video_without_a_label_is_warned_of_even_with_segments(tmp_path):
    labels = LABELS.replace("video_a,train,Jump", "video_a,train,").replace("Dive", "Jump;Dive")
    folder = write_own(tmp_path, labels, "video_a,1,2,Jump\n")
    assert quiet(folder).train[0].labels == ()
    assert problems(folder) == {("no label", "video_a"), ("segments differ", "video_a")}


def test_what_a_video_without_a_label_teaches_is_what_the_warning_says(tmp_path):
    import torch

    none, cas = torch.zeros(2), torch.full((5, 2), 0.4, requires_grad=True)
    default = Config().class_loss
    assert classification_loss(torch.tensor([0.3, 0.7]), none, default) == 0
    localization_loss(cas, pseudo_labels(cas, none)).backward()
    assert (cas.grad > 0).all()  # towards a CAS of 0
    message = only(write_own(tmp_path, HEAD + "video_a,train,\n"), "no label").message
    assert "classification loss ignores it by default" in message
    assert "localization loss learns that it contains no class" in message


# Texts that are no class


WORDS = ["NA", "n/a", "N.A", "None", "null", "nil", "\\N", "NaN", "-", "#N/A", " nan "]


@pytest.mark.parametrize("word", WORDS)
def test_missing_values_of_a_table_are_no_label(tmp_path, word):
    labels = HEAD + f"video_a,train,Jump;{word}\nvideo_b,train,Dive\nvideo_c,test,{word}\n"
    dataset = quiet(write_own(tmp_path, labels))
    assert dataset.classes == ("Dive", "Jump") and dataset.test[0].labels == ()
    assert problems(tmp_path) == {("missing", "video_a"), ("missing", "video_c")}
    write_own(tmp_path, segments=f"video_c,1,2,{word}\n")
    with pytest.raises(DataError, match=r"segments\.csv: video_c: line 2 .* is no name of a class"):
        load(tmp_path)


NO_CLASS = [None, float("nan"), 3, True, "", " ", "None", "nan", "N/A", ["Jump"], {"name": "Jump"}]


@pytest.mark.parametrize("label", NO_CLASS, ids=repr)
def test_labels_of_a_json_that_are_no_class_are_refused(tmp_path, label):
    folder = write_basnet(tmp_path / "basnet")
    database = read_database(folder)
    database["video_a"]["annotations"][0]["label"] = label
    file = write_database(folder, database)
    for read in (load, lambda f: read_annotations(f / "gt.json")):
        with pytest.raises(DataError, match=r"video_a: label .* is no name of a class"):
            read(folder)
    with pytest.raises(DataError, match="video_a: annotation 0 .*the name of a class"):
        read_ground_truth(file)
    database["video_a"]["annotations"], database["video_a"]["labels"] = [], ["Jump", label]
    write_database(folder, database)
    with pytest.raises(DataError, match=r'video_a: .*"labels": label .* is no name of a class'):
        load(folder)
    detections = tmp_path / "found.json"
    row = {"segment": [0, 1], "score": 1, "label": label}
    detections.write_text(json.dumps({"results": {"v": [row]}}))
    with pytest.raises(DataError, match="v: detection 0 .*the name of a class"):
        read_detections(detections)


@pytest.mark.parametrize("label", NO_CLASS, ids=repr)
@pytest.mark.parametrize("where", ["classes", "labels", "segments"])
def test_the_same_in_the_plain_layout(tmp_path, where, label):
    def change(content):
        video = content["videos"]["video_a"]
        if where == "segments":
            video["segments"][0][2] = label
        else:
            (content if where == "classes" else video)[where].append(label)

    with pytest.raises(DataError, match=r"dataset\.json: .*is no name of a class"):
        load(write_plain(tmp_path, change))


@pytest.mark.parametrize("label", [None, float("nan"), 3, "", "None", b"NA"], ids=repr)
def test_the_same_in_w_talcs(tmp_path, label):
    labels = objects([["Jump", label], ["Dive"], ["Jump", "Jump"]])
    with pytest.raises(DataError, match=r"video_a: .*(is no name of a class|a text was expected)"):
        load(write_wtalc(tmp_path / "labels", labels=labels))
    if isinstance(label, str | bytes):
        classes = np.array(["Jump", "Dive", label or " "])
        with pytest.raises(DataError, match=r"classlist\.npy: label .* is no name of a class"):
            load(write_wtalc(tmp_path / "classes", classlist=classes))


def test_one_label_in_place_of_a_list_is_not_passed_over(tmp_path):
    labels = objects([["Jump", "Dive"], "Dive", ["Jump", "Jump"]])
    with pytest.raises(DataError, match="video_b: .*'Dive' where a list was expected"):
        load(write_wtalc(tmp_path, labels=labels))


def test_the_same_in_file_names_and_lists(tmp_path):
    folder = write_cmcs(tmp_path / "cmcs")
    next(folder.glob("*/Jump_val.txt")).rename(
        next(folder.glob("*/Jump_val.txt")).with_name("NA_val.txt")
    )
    with pytest.raises(DataError, match=r"NA_val\.txt: label 'NA' is no name of a class"):
        load(folder)
    folder = write_actionformer(tmp_path / "af")
    (folder / "annotations" / "category_idx.txt").write_text("Jump\nnan\nDive\n")
    with pytest.raises(DataError, match=r"category_idx\.txt: label 'nan' is no name of a class"):
        load(folder)


def test_a_class_is_listed_once(tmp_path):
    with pytest.raises(DataError, match=r"classlist\.npy: classes listed more than once: Jump"):
        load(write_wtalc(tmp_path / "w", classlist=np.array(["Jump", "Dive", "Jump "])))
    folder = write_actionformer(tmp_path / "af")
    (folder / "annotations" / "category_idx.txt").write_text("Jump\nDive\nDive\n")
    with pytest.raises(DataError, match=r"category_idx\.txt: classes listed more than once: Dive"):
        load(folder)
    with pytest.raises(DataError, match=r"dataset\.json: classes listed more than once: Dive"):
        load(write_plain(tmp_path / "p", lambda content: content["classes"].append("Dive")))


@pytest.mark.parametrize(
    ("names", "several"),
    [
        (["hop|skip"], ["hop|skip"]),
        (["hop;skip"], ["hop;skip"]),
        (["hop,skip", "hop"], ["hop,skip"]),
        (["hop , skip", "run, skip"], ["hop , skip", "run, skip"]),
        (["Hop/skip", "hop"], ["Hop/skip"]),
        (["hop & skip", "skip", "jump"], ["hop & skip"]),
        (["hop-skip", "hop", "skip"], ["hop-skip"]),
        (["hop skip", "hop", "skip"], ["hop skip"]),
        (["hop and skip", "hop", "skip"], ["hop and skip"]),
        (["Hop_and_skip", "hop", "skip"], ["Hop_and_skip"]),
        (["rock and roll", "rock"], []),
        (["Cliff Diving", "Diving"], []),
        (["Clean and Jerk", "Javelin Throw"], []),
        (["hop, slowly", "skip"], []),
        (["clean_/_wipe_a_table", "clean_/_wipe_a_window"], []),
        (["Rock-paper-scissors", "Paper"], []),
    ],
)
def test_names_that_hold_several(names, several):
    found = label_findings(Dataset("", tuple(names), (), ()), "labels.csv", "segments.csv")
    shown = ", ".join(repr(name) for name in several)
    assert [f.message for f in found] == (
        [f"names of classes that look like several labels in one: {shown}"] if several else []
    )


def test_labels_and_segments_are_compared_for_several_in_one(tmp_path):
    labels = LABELS.replace("video_b,train,Dive", 'video_b,train,"Dive,Jump"')
    folder = write_own(tmp_path, labels, "video_c,1,2,Jump\n")
    assert ("several in one", "") in problems(folder)
    with pytest.warns(DataWarning, match="several labels in one: 'Dive,Jump'"):
        load(folder)


def test_names_that_are_alike_are_warned_of_by_load(tmp_path):
    labels = LABELS.replace("video_b,train,Dive", "video_b,train,jump;Dive;dive")
    with pytest.warns(DataWarning, match="Dive, dive; Jump, jump") as warned:
        load(write_own(tmp_path, labels))
    assert len(warned) == 1
    found = label_findings(Dataset("", ("跳", "跑", "++", "--"), (), ()), "l", "s")
    assert found == []  # letters of every alphabet count, and signs where there is nothing else


COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "Plongée") for form in ("NFC", "NFD"))


def test_unicode_forms_and_spaces_are_one_class(tmp_path):
    assert COMPOSED != DECOMPOSED
    labels = HEAD + f"video_a,train,{COMPOSED}\nvideo_b,train,{DECOMPOSED}; Long  Jump\n"
    labels += "video_c,test,Long\N{NO-BREAK SPACE}Jump\n"
    dataset = load(write_own(tmp_path / "own", labels, f"video_a,1,2,{DECOMPOSED}\n"))
    assert dataset.classes == ("Long Jump", COMPOSED)
    folder = write_basnet(tmp_path / "basnet")
    database = read_database(folder)
    for row, name in zip(database["video_a"]["annotations"], (COMPOSED, DECOMPOSED), strict=True):
        row["label"] = name
    database["video_b"]["annotations"][0]["label"] = " Long\tJump"
    database["video_c"]["annotations"][0]["label"] = DECOMPOSED
    file = write_database(folder, database)
    assert load(folder).classes == ("Jump", "Long Jump", COMPOSED)
    truth = read_ground_truth(file, subset="test")
    assert truth[0].labels == ("Jump", COMPOSED)
    detections = tmp_path / "found.json"
    rows = [
        {"segment": s[:2], "score": 1, "label": unicodedata.normalize("NFD", s[2])}
        for s in truth[0].segments
    ]
    detections.write_text(json.dumps({"results": {"video_c": rows}}))
    assert evaluate(read_detections(detections), truth).map.min() == 1
    classes = np.array([DECOMPOSED, "Jump"])
    labels = objects([["Jump", COMPOSED], [COMPOSED], ["Jump", DECOMPOSED]])
    assert load(write_wtalc(tmp_path / "w", classlist=classes, labels=labels)).classes == (
        COMPOSED,
        "Jump",
    )


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
def test_names_of_videos_are_found_in_either_unicode_form(tmp_path, forms):
    in_table, on_disk = (unicodedata.normalize(form, "vidéo") for form in forms)
    folder = write_own(
        tmp_path, LABELS.replace("video_a", in_table), f"{on_disk},1,2,Jump\nvideo_c,1,2,Jump\n"
    )
    (folder / "features" / "video_a.npy").rename(folder / "features" / f"{on_disk}.npy")
    (video, _) = load(folder).train
    assert video.id == unicodedata.normalize("NFC", "vidéo") and len(video.segments) == 1
    assert video.features["features"].shape == (20, 8)
    assert problems(folder) == set()


def test_names_of_a_split_file_and_a_json_in_different_forms(tmp_path):
    composed, decomposed = (unicodedata.normalize(form, "vidéo") for form in ("NFC", "NFD"))
    folder = write_basnet(tmp_path)
    database = read_database(folder)
    write_database(folder, {(decomposed if v == "video_c" else v): e for v, e in database.items()})
    (folder / "split_test.txt").write_text(composed, encoding="utf-8")
    for stream in ("rgb", "flow"):
        file = folder / "features" / "test" / stream / "video_c.npy"
        file.rename(file.with_name(f"{decomposed}.npy"))
    assert [v.id for v in load(folder).test] == [composed]


# Numbers


@pytest.mark.parametrize("value", ["1e3", "-.5", "2.", " 7 ", b"3.25", np.float32(0.5), 4, "+1E-2"])
def test_what_is_a_number(value):
    assert finite(value) == float(value)


WRONG = ["1_0", "0x10", "inf", "nan", "", "1,5", "0:12", "١", True, None, 1j, 10**400]


@pytest.mark.parametrize("value", [*WRONG, float("inf"), float("nan"), np.True_, [1]], ids=repr)
def test_what_is_no_number(value):
    with pytest.raises(ValueError, match="is no finite number"):
        finite(value)


@pytest.mark.parametrize(
    "value", ["14", b"14", "1", [1], [1, 2, 3], {1: 0, 4: 0}, None, 14, {1, 4}]
)
def test_what_is_no_pair_of_times(value):
    with pytest.raises(ValueError):
        pair_of_times(value)


@pytest.mark.parametrize("segment", ["14", ["1_0", 4], [True, 4], {"1": 0, "4": 0}, [1, None]])
def test_segments_that_are_no_numbers_are_refused_everywhere(tmp_path, segment):
    folder = write_basnet(tmp_path / "basnet")
    database = read_database(folder)
    database["video_c"]["annotations"][0]["segment"] = segment
    file = write_database(folder, database)
    with pytest.raises(DataError, match="video_c: segment .* is no pair of times"):
        load(folder)
    with pytest.raises(DataError, match="video_c: annotation 0"):
        read_ground_truth(file)
    row = segment + "J" if isinstance(segment, str) else [*segment, "Jump"]
    wrongs = [{"ambiguous": [segment]}] + [{"segments": [row]}] * (not isinstance(segment, dict))
    for wrong in wrongs:
        change = lambda content, wrong=wrong: content["videos"]["video_c"].update(wrong)  # noqa: E731
        with pytest.raises(DataError, match=r"dataset\.json: video_c: "):
            load(write_plain(tmp_path / str(*wrong), change))
    if isinstance(segment, list):
        segments = objects([[row[:2] for row in SEGMENTS[v]] for v in PARTS])
        segments[2] = [segment, (3.0, 4.0)]
        with pytest.raises(DataError, match="video_c: segment .* is no pair of times"):
            load(write_wtalc(tmp_path / "wtalc", segments=segments))
    rows = "video_c,1_0,4,Jump\n"
    with pytest.raises(DataError, match=r"segments\.csv: video_c: line 2 .*start is no number"):
        load(write_own(tmp_path / "own", segments=rows))


# Twice, null, absent


@pytest.mark.parametrize("text", ['{"a": 1, "b": {"v": 1, "v": 2}}', '[{"k": 1, "k": 1}]'])
def test_a_key_twice_is_refused(text):
    with pytest.raises(ValueError, match="'[vk]' occurs twice in one object"):
        parse_json(text)


def test_a_key_twice_is_refused_in_every_json(tmp_path):
    basnet, form = write_basnet(tmp_path / "basnet"), write_actionformer(tmp_path / "af")
    cmcs, plain = write_cmcs(tmp_path / "cmcs"), write_plain(tmp_path / "plain")
    (cmcs / "meta.json").write_text(json.dumps({v: {"fps": 5} for v in PARTS}))
    (annotations,) = (form / "annotations").glob("*.json")
    files = [basnet / "gt.json", annotations, cmcs / "meta.json", plain / "dataset.json"]
    for folder, file in zip((basnet, form, cmcs, plain), files, strict=True):
        text = file.read_text()
        file.write_text(text.replace('"video_b":', '"video_a":'))
        assert file.read_text() != text
        with pytest.raises(DataError, match="'video_a' occurs twice in one object"):
            load(folder)
        assert not check(folder).ok
    with pytest.raises(DataError, match="'video_a' occurs twice"):
        read_annotations(basnet)


def entry(subset: str, *labels: str, **others) -> dict:
    rows = [{"segment": [0, 1], "label": label} for label in labels]
    return {"subset": subset, "annotations": rows} | others


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"duration": None}, "its duration is null, not a number of seconds. Correct it, or leave"),
        ({"duration": "long"}, "its duration is 'long'"),
        ({"duration": float("nan")}, "its duration is nan"),
        ({"annotations": None}, '"annotations" is null. Write "annotations"'),
        ({"annotations": [3]}, r'"annotations" is \[3\]'),
        ({"annotations": [{"label": "Run"}]}, r"annotation 0 .*'Run'}. Write {\"segment\""),
        ({"subset": None}, 'no subset in .* Give it "subset"'),
        ({"labels": "Run", "annotations": []}, '"labels": .Run. is no list of names'),
    ],
)
def test_what_is_wrong_with_an_entry_is_not_said_of_the_subsets(tmp_path, wrong, said):
    database = {"t": entry("training", "Run"), "v": entry("validation", "Run") | wrong}
    file = write_database(tmp_path, database)
    with pytest.raises(DataError, match=said) as told:
        read_annotations(file)
    assert [(f.problem, f.video) for f in told.value.findings] == [("entry", "v")]
    assert problems(file) == {("entry", "v")}


def test_a_withheld_subset_needs_no_annotations(tmp_path):
    database = {"t": entry("training", "Run"), "v": entry("validation", "Run")}
    file = write_database(tmp_path, database | {"x": {"subset": "testing", "duration": 3}})
    dataset = read_annotations(file)
    assert ([v.id for v in dataset.train], [v.id for v in dataset.test]) == (["t"], ["v"])
    assert [v.id for v in read_ground_truth(file)] == ["v"]
    write_database(tmp_path, database | {"x": {"subset": "validation", "duration": 3}})
    with pytest.raises(DataError, match='x: neither "annotations" nor "labels"'):
        read_annotations(file)


@pytest.mark.parametrize(
    ("names", "train", "test"),
    [
        ("training testing", "training", "testing"),
        ("Train Val", "Train", "Val"),
        ("validation testing", "validation", "testing"),
        (" train TEST", "train", "test"),
    ],
)
def test_names_of_subsets_that_say_what_they_are(tmp_path, names, train, test):
    file = write_database(tmp_path, {n.lower(): entry(n, "Run") for n in names.split()})
    dataset = read_annotations(file)
    assert [v.id for v in dataset.train] == [train.lower()]
    assert [v.id for v in dataset.test] == [test.lower()]


def test_train_and_training_are_one_subset(tmp_path):
    database = {
        "a": entry("train", "Run"),
        "b": entry("training", "Run"),
        "c": entry("test", "Run"),
    }
    dataset = read_annotations(write_database(tmp_path, database))
    assert [v.id for v in dataset.train] == ["a", "b"]


def test_a_test_subset_without_annotations_gives_way_and_it_is_said(tmp_path):
    database = {"a": entry("train", "Run"), "b": entry("val", "Run"), "c": entry("test")}
    file = write_database(tmp_path, database)
    with pytest.warns(DataWarning, match="no video of subset 'test' is annotated, so 'train' is"):
        assert [v.id for v in read_annotations(file).test] == ["b"]
    database["c"] = entry("test", "Run")
    write_database(tmp_path, database)
    with pytest.warns(DataWarning, match=r"annotated videos of other .*: 'validation' \(1\)"):
        assert [v.id for v in read_annotations(file).test] == ["c"]


# What check says


def test_classes_are_counted_without_segments(tmp_path):
    report = check(write_own(tmp_path))
    assert report.counts["train"]["classes"] == 2 and report.counts["test"]["classes"] == 1
    assert any("cannot" in s or "not scored" in s for s in report.agreed)


def test_findings_of_segments_name_their_file(tmp_path):
    rows = "video_c,-2,1,Jump\nvideo_c,5,5,Jump\nvideo_c,1,900,Jump\nvideo_c,1,900,Jump\n"
    report = check(write_own(tmp_path, segments=rows))
    assert {f.problem for f in report.findings} == {
        "before the start",
        "degenerate",
        "past the end",
        "repeated",
    }
    assert all(f.file.endswith("segments.csv") for f in report.findings)


@pytest.mark.parametrize("durations", [True, False])
def test_times_outside_the_video(tmp_path, durations):
    folder = write_basnet(tmp_path, durations=durations)
    database = read_database(folder)
    database["video_b"]["annotations"][0]["segment"] = [-3, 2]
    database["video_c"]["annotations"][0]["segment"] = [9, 2]
    write_database(folder, database)
    with pytest.warns(DataWarning) as warned:
        load(folder, snippet_seconds=0.64)
    messages = [str(w.message) for w in warned]
    assert any("video_b: 1 segments start before the video ((-3.0, 2.0" in m for m in messages)
    assert any("video_c: 1 segments start when the video is over" in m for m in messages)
    assert len(messages) == 2


def test_no_message_holds_a_file(tmp_path):
    folder = write_basnet(tmp_path / "basnet")
    text = " " * 50 + "é" + "x" * 100_000
    for name in ("gt.json", "split_test.txt"):
        before = (folder / name).read_bytes()
        (folder / name).write_bytes(text.encode("latin-1"))
        with pytest.raises(DataError, match="not UTF-8: byte 0xe9 at position 50") as told:
            load(folder)
        assert len(str(told.value)) < 500
        (folder / name).write_bytes(before)
    file = tmp_path / "found.json"
    file.write_bytes(text.encode("latin-1"))
    for read in (read_detections, read_ground_truth):
        with pytest.raises(DataError, match="not UTF-8: byte 0xe9 at position 50") as told:
            read(file)
        assert len(str(told.value)) < 500
    long = "x" * 100_000
    own = write_own(tmp_path / "own")
    for name, content in [
        ("labels.csv", long),
        ("labels.csv", HEAD + f"video_a,{long},Jump\n"),
        ("segments.csv", SEG + f"video_c,1,{long},Jump\n"),
    ]:
        write_own(own)
        (own / name).write_text(content)
        with pytest.raises(DataError) as told:
            load(own)
        assert len(str(told.value)) < 1000
        (own / "segments.csv").unlink(missing_ok=True)
    for wrong in (
        {"video_a": entry(long, "Run")},
        {"video_a": entry("train") | {"annotations": [{"label": long, "start": 1}]}},
        {"video_a": entry("train", "Run") | {"duration": [long]}},
    ):
        with pytest.raises(DataError) as told:
            read_annotations(write_database(tmp_path / "long", wrong))
        assert len(str(told.value)) < 1000


# Tables as spreadsheets write them


@pytest.mark.parametrize("separator", [";", "\t"])
def test_other_separators(tmp_path, separator):
    (tmp_path / "a").mkdir()
    labels = LABELS.replace("video_a,train,Jump", 'video_a,train,"Jump;Dive"')
    expected = load(write_own(tmp_path / "a", labels, "video_c,1,2.5,Jump\n"))
    folder = write_own(tmp_path / "b", labels.replace(",", separator), "")
    (folder / "segments.csv").write_text((SEG + "video_c,1,2.5,Jump\n").replace(",", separator))
    dataset = load(folder)
    assert dataset.train[0].labels == ("Dive", "Jump")
    assert dataset.fingerprint == expected.fingerprint
    rows = HEAD + "video_a,train,Jump,Dive\n"
    with pytest.raises(DataError, match='"quotes" around one that has a (semicolon|tab)'):
        load(write_own(tmp_path / "c", rows.replace(",", separator)))


def test_capitals_empty_columns_and_other_names_of_subsets(tmp_path):
    expected = load(write_own(tmp_path / "a", segments="video_c,1,2,Jump\n"))
    labels = "Video,Subset,LABELS,,\nvideo_a,Train,Jump,,\nvideo_b,training,Dive,,\n"
    labels += "video_c,Validation,Jump,,\n,,,,\n , ,,,\n"
    folder = write_own(tmp_path / "b", labels)
    (folder / "segments.csv").write_text("Video,Start,End,Label,\nvideo_c,1,2,Jump,\n")
    dataset = load(folder)
    assert dataset.fingerprint == expected.fingerprint


@pytest.mark.parametrize(
    "subsets",
    [("train", "test", "validation"), ("validation", "validation", "validation"), ("dev", "x", "")],
)
def test_subsets_of_a_table_that_do_not_say_what_they_are(tmp_path, subsets):
    rows = "".join(f"{v},{s},Jump\n" for v, s in zip(PARTS, subsets, strict=True))
    with pytest.raises(DataError, match=r"labels\.csv: .*subset is neither train nor test"):
        load(write_own(tmp_path, HEAD + rows))


def test_a_name_of_a_class_is_a_text():
    assert class_name(" Nap ") == "Nap" and class_name("None of them") == "None of them"


def test_an_entry_that_cannot_be_read_is_one_finding(tmp_path):
    """That the video then lacks a segment or a label is no second fault."""
    folder = write_own(tmp_path / "own", segments="video_c,1,3:20,Jump\n")
    assert problems(folder) == {("row", "video_c")}
    entry = {"subset": "training", "annotations": [{"segment": "25", "label": "Jump"}]}
    other = {"subset": "validation", "annotations": [{"segment": [2, 5], "label": "Jump"}]}
    file = tmp_path / "gt.json"
    file.write_text(json.dumps({"database": {"a": entry, "b": other}}))
    assert problems(file) == {("segment", "a"), ("untaught", "")}

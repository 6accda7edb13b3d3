"""Videos made in memory: every usual kind of array works, and what cannot be used is refused before
anything is trained, in one sentence that names video and stream.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from functools import cache, partial

import numpy as np
import pytest
import torch
from data_folders import write_basnet

from amslib import Config, Run, Video, batches, evaluate, load, localize, phases, train
from amslib.data.rules import BLOCK, non_finite_rows
from amslib.data.video import Dataset
from amslib.diagnostics import detection_quality, pseudo_label_quality

TINY = load("synthetic-tiny", width=16)
QUICK = Config(steps_per_epoch=3, epochs_zero=1, epochs=1, iterations=1)


@cache
def ran() -> Run:
    return train(TINY, QUICK, seed=2, device="cpu")


@pytest.fixture(scope="module", autouse=True)
def ran_before():
    """Before a test forbids to train."""
    ran()


PLACE = 5  # of the video that is changed


def with_features(video: Video, stream: str, change) -> Video:
    return replace(video, features={**video.features, stream: change(video.features[stream])})


def training(**changes) -> Dataset:
    """The data with one training video changed."""
    train_videos = list(TINY.train)
    train_videos[PLACE] = replace(train_videos[PLACE], **changes)
    return replace(TINY, train=tuple(train_videos))


def both(stream: str, change) -> tuple[Dataset, list[Video]]:
    """The data, and test videos, with one video's stream changed."""
    data = training(features=with_features(TINY.train[PLACE], stream, change).features)
    videos = list(TINY.test)
    videos[PLACE] = with_features(videos[PLACE], stream, change)
    return data, videos


@pytest.fixture
def untrained(monkeypatch):
    """Nothing may be trained."""
    monkeypatch.setattr(phases.Step, "__call__", lambda *_: pytest.fail("a step was trained"))


# values that are not finite


def put(value: float, row: int, dtype=np.float32):
    def change(rows):
        rows = np.array(rows, dtype)
        rows[row, -1] = value
        return rows

    return change


BAD = {
    "nan": put(np.nan, 4),
    "infinity": put(np.inf, 4),
    "minus infinity": put(-np.inf, 4),
    "too large for float32": put(1e39, 4, np.float64),
    "infinity in float16": put(-np.inf, 4, np.float16),
    "nan in a tensor": lambda rows: torch.tensor(put(np.nan, 4)(rows)),
}


@pytest.mark.parametrize("stream", ["rgb", "flow"])
@pytest.mark.parametrize("what", BAD)
def test_a_value_that_is_not_finite_is_refused_before_training(what, stream, untrained):
    data, videos = both(stream, BAD[what])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=f"{TINY.train[PLACE].id}: row 4 of its {stream} "):
            train(data, QUICK)
        name = f"{videos[PLACE].id}: row 4 of its {stream} features is not finite in float32"
        for use in (
            ran().predict,
            lambda vs: ran().cas(vs[PLACE]),
            lambda vs: list(ran().all_cas(vs)),
        ):
            with pytest.raises(ValueError, match=name):
                use(videos)
        with pytest.raises(ValueError, match=name):
            pseudo_label_quality(ran(), videos)


def test_it_is_refused_where_the_features_are_too_large_to_be_copied(untrained, monkeypatch):
    monkeypatch.setattr(batches, "RESIDENT", 0)
    data, videos = both("flow", put(np.nan, 2))
    with pytest.raises(ValueError, match=f"{TINY.train[PLACE].id}: row 2 of its flow"):
        train(data, QUICK)
    with pytest.raises(ValueError, match=f"{videos[PLACE].id}: row 2 of its flow"):
        ran().predict(videos)


def test_a_bad_second_stream_on_disk_is_met_before_the_first_is_trained(tmp_path, untrained):
    folder = write_basnet(tmp_path)
    data = load(folder)
    file = next((folder / "features" / "train" / data.streams[-1]).glob("*.npy"))
    rows = np.load(file)
    rows[1] = np.inf
    np.save(file, rows)
    for one in (data, data.only(data.streams[-1])):
        with pytest.raises(ValueError, match="row 1 is not finite"):
            train(one, QUICK)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int32])
@pytest.mark.parametrize("order", ["C", "F"])
def test_the_rows_that_are_not_finite(dtype, order):
    rows = np.ones((2 * BLOCK // 100, 100), dtype, order=order)
    assert not non_finite_rows(rows).size and not non_finite_rows(rows[:0]).size
    if dtype is np.int32:
        return
    wrong = (len(rows) - 1, BLOCK // 100, BLOCK // 100 - 1, 0)
    for row in wrong:
        rows[row, row % 100] = (np.nan, np.inf, -np.inf)[row % 3]
        assert non_finite_rows(rows)[0] == row
    assert non_finite_rows(rows).tolist() == sorted(wrong)


def test_large_values_that_float32_holds_are_finite():
    largest = float(np.finfo(np.float32).max)
    rows = np.full((3, 50), largest)
    with np.errstate(all="raise"):
        assert not non_finite_rows(rows).size and not non_finite_rows(-rows).size
        rows[1, 0] = 2 * largest
        assert non_finite_rows(rows).tolist() == [1]


def test_a_video_whose_cas_overflows_is_named_and_not_scored():
    """Finite features, but products with them are not."""
    _, videos = both("rgb", lambda rows: np.full_like(rows, 3e38))
    with pytest.raises(ValueError, match=f"{videos[PLACE].id}: its rgb features are so large"):
        ran().predict(videos)
    with pytest.raises(ValueError, match="expected probabilities"):
        localize(torch.tensor([[0.5], [math.nan]]), 1.0)


def test_weights_that_are_not_finite_are_not_blamed_on_a_video():
    run = Run(ran().config, ran().classes, ran().seed)
    states = {
        b: {n: p * 1 for n, p in state.items()} for b, state in ran().states[0]["rgb"].items()
    }
    states["base"]["bias2"][:] = math.inf
    run.states = [{"rgb": states}]
    with pytest.raises(ValueError, match="the run's rgb weights are not finite"):
        run.predict(TINY.test)


def test_an_overflow_that_training_meets_is_an_error():
    """In a video that is not drawn, before it could change where others are sampled."""
    lonely = replace(QUICK, steps_per_epoch=1, batch_size=1, pairs=0)
    lonely = replace(lonely, coactivity_weight=0.0)
    met = 0
    for place, video in enumerate(TINY.train[:4]):
        bad = with_features(video, "rgb", lambda rows: np.full_like(rows, 3e38))
        videos = (*TINY.train[:place], bad, *TINY.train[place + 1 :])
        with pytest.raises(FloatingPointError, match=video.id) as error:
            train(replace(TINY, train=videos), lonely)
        met += "its CAS from rgb features is not finite" in str(error.value)
    assert met


# arrays of every kind

FINE = {
    "lists": lambda rows: rows.tolist(),
    "float64": lambda rows: rows.astype(np.float64),
    "Fortran order": np.asfortranarray,
    "every second of twice as many": lambda rows: np.repeat(np.repeat(rows, 2, 0), 2, 1)[::2, ::2],
    "backwards twice": lambda rows: rows[::-1].copy()[::-1],
    "read only": lambda rows: np.broadcast_to(rows, rows.shape),
    "other byte order": lambda rows: rows.astype(rows.dtype.newbyteorder()),
    "tensor": torch.tensor,
    "tensor with a gradient": lambda rows: torch.tensor(rows, requires_grad=True),
    "nothing masked": lambda rows: np.ma.masked_array(rows, np.zeros(rows.shape, bool)),
}


@pytest.mark.parametrize("what", FINE)
@pytest.mark.parametrize("resident", [True, False])
def test_the_same_numbers_in_another_kind_of_array_give_the_same(what, resident, monkeypatch):
    if not resident:
        monkeypatch.setattr(batches, "RESIDENT", 0)
    data, videos = both("flow", FINE[what])
    assert videos[PLACE].num_snippets == TINY.test[PLACE].num_snippets
    run = train(data, QUICK, seed=2, device="cpu")
    assert run.history == ran().history
    assert run.predict(videos, device="cpu") == ran().predict(TINY.test, device="cpu")


@pytest.mark.parametrize(
    "rounded",
    [
        lambda rows: np.asarray(rows, np.float16),
        lambda rows: torch.tensor(rows, dtype=torch.bfloat16),
        lambda rows: np.rint(rows).astype(np.int64),
        lambda rows: rows > 0,
    ],
    ids=["float16", "bfloat16", "integers", "flags"],
)
def test_narrow_types_count_for_the_numbers_they_hold(rounded):
    def widened(rows):
        rows = rounded(rows)
        return rows.float().numpy() if isinstance(rows, torch.Tensor) else rows.astype(np.float32)

    narrow, wide = both("rgb", rounded)[1], both("rgb", widened)[1]
    assert ran().predict(narrow, device="cpu") == ran().predict(wide, device="cpu")


def masked(rows):
    flags = np.zeros(rows.shape, bool)
    flags[7, 2] = True
    return np.ma.masked_array(rows, flags)


REFUSED = {
    "masked": (masked, "flow features have masked values, the first in row 7"),
    "one number each": (lambda rows: rows[:, 0], r"flow features have shape \(\d+,\)"),
    "a batch of one": (lambda rows: rows[None], r"flow features have shape \(1, \d+, 16\)"),
    "one number": (lambda rows: 1.0, r"flow features have shape \(\)"),
    "no snippet": (lambda rows: rows[:0], r"flow features have shape \(0, 16\)"),
    "no width": (lambda rows: rows[:, :0], r"flow features have shape \(\d+, 0\)"),
    "narrower": (lambda rows: rows[:, :9], "flow features .*9"),
    "shorter than rgb": (lambda rows: rows[1:], r"streams differ in length \(\d+ of rgb and \d+"),
    "ragged": (lambda rows: [[1.0], [1.0, 2.0]], "flow features are a list; expected real"),
    "complex": (lambda rows: rows * 1j, "flow features are a ndarray of complex64"),
    "objects": (lambda rows: rows.astype(object), "flow features are a ndarray of object"),
    "text": (lambda rows: rows.astype(str), "flow features are a ndarray of <U"),
    "none": (lambda rows: None, "flow features are a NoneType"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_matrix_of_numbers_is_refused(what, untrained):
    change, message = REFUSED[what]
    data, videos = both("flow", change)
    with pytest.raises(ValueError, match=f"{TINY.train[PLACE].id}: .*{message}"):
        train(data, QUICK)
    with pytest.raises(ValueError, match=f"{videos[PLACE].id}: .*{message}"):
        ran().predict(videos)
    with pytest.raises(ValueError, match=f"{videos[PLACE].id}: .*{message}"):
        ran().cas(videos[PLACE])


def test_streams_that_some_videos_lack(untrained):
    own = TINY.train[PLACE].features
    with pytest.raises(ValueError, match=f"{TINY.train[PLACE].id}: no flow features"):
        train(training(features={"rgb": own["rgb"]}), QUICK)
    with pytest.raises(ValueError, match=f"{TINY.train[PLACE].id}: no rgb features .has none"):
        train(training(features={}), QUICK)
    with pytest.raises(ValueError, match=f"{TINY.train[PLACE].id}: audio features, which"):
        train(training(features={**own, "audio": own["rgb"]}), QUICK)
    first = replace(TINY.train[0], features={"rgb": TINY.train[0].features["rgb"]})
    with pytest.raises(ValueError, match=f"{TINY.train[1].id}: flow features, which {first.id}"):
        train(replace(TINY, train=(first, *TINY.train[1:])), QUICK)


def test_two_videos_of_one_name(untrained):
    with pytest.raises(ValueError, match=f"{TINY.train[0].id} is given more than once"):
        train(training(id=TINY.train[0].id), QUICK)
    twice = [*TINY.test, TINY.test[3]]
    for use in (ran().predict, lambda videos: next(ran().all_cas(videos))):
        with pytest.raises(ValueError, match=f"{TINY.test[3].id} is given more than once"):
            use(twice)
    with pytest.raises(ValueError, match=f"{TINY.test[3].id}' is given more than once"):
        evaluate([], twice)


# labels


def test_labels_that_are_one_text():
    """As a sequence of letters it could name classes."""
    with pytest.raises(ValueError, match=r"video v: labels='Dive' is one text; .*\('Dive',\)"):
        Video("v", labels="Dive")
    with pytest.raises(ValueError, match="labels='ab' is one text"):
        replace(TINY.test[0], labels="ab")


def test_labels_that_are_no_class(untrained):
    wrong = training(labels=("Action00", "Juggling"))
    with pytest.raises(ValueError, match=f"{TINY.train[PLACE].id}: label 'Juggling' is none of"):
        train(wrong, QUICK)
    stranger = replace(TINY.test[0], labels=("Juggling",))
    same = replace(TINY.test[0], labels=())
    assert ran().predict([stranger]) == ran().predict([same])  # labels of test videos are not used
    oracle = Run(replace(QUICK, test_classes="oracle"), ran().classes, ran().seed)
    oracle.states = ran().states
    looks = [oracle.predict, lambda videos: list(ran().all_cas(videos, known=True))]
    looks += [partial(pseudo_label_quality, ran()), partial(detection_quality, ran())]
    for look in looks:
        with pytest.raises(ValueError, match=f"{stranger.id}: label 'Juggling' is none of the 4"):
            look([stranger])


def test_a_class_named_twice(untrained):
    with pytest.raises(ValueError, match="class 'Action00' is named more than once"):
        train(replace(TINY, classes=(*TINY.classes, "Action00")), QUICK)


def test_a_label_named_twice_counts_once():
    twice = [replace(v, labels=v.labels * 2) for v in TINY.test]
    # of two videos the shares change if one counts twice
    some = [twice[0], *TINY.test[1:4]]
    assert repr(pseudo_label_quality(ran(), some)) == repr(
        pseudo_label_quality(ran(), TINY.test[:4])
    )
    assert repr(detection_quality(ran(), some)) == repr(detection_quality(ran(), TINY.test[:4]))
    data = training(labels=list(TINY.train[PLACE].labels) * 2)
    assert train(data, QUICK, seed=2, device="cpu").history == ran().history


@pytest.mark.parametrize("classes", [torch.ones(3), torch.ones(2, 4), torch.ones(())])
def test_flags_of_classes_that_do_not_fit(classes):
    with pytest.raises(ValueError, match="classes have shape .* of 4 classes"):
        ran().cas(TINY.test[0], classes=classes)


# times


@pytest.mark.parametrize(
    "name, value",
    [
        ("snippet_seconds", math.nan),
        ("snippet_seconds", 0.0),
        ("snippet_seconds", -0.64),
        ("snippet_seconds", math.inf),
        ("snippet_seconds", "0.64"),
        ("snippet_seconds", None),
        ("duration", math.nan),
        ("duration", 0),
        ("duration", -3.0),
        ("duration", "9"),
        ("offset_seconds", math.nan),
        ("offset_seconds", -math.inf),
    ],
)
def test_times_that_make_no_sense(name, value):
    video = replace(TINY.test[0], **{name: value})
    message = f"video {video.id}: {name}={value!r}; expected a (positive|finite) number of seconds"
    with pytest.raises(ValueError, match=message):
        ran().predict([*TINY.test[1:], video])
    for look in (pseudo_label_quality, detection_quality):
        with pytest.raises(ValueError, match=message):
            look(ran(), [video])
    times = {"snippet_seconds": 0.5, name: value}
    with pytest.raises(ValueError, match=f"^{name}="):
        localize(torch.tensor([[0.0], [0.9]]), **times)


@pytest.mark.parametrize("name", ["class_threshold", "threshold_factor"])
def test_thresholds_that_are_no_numbers(name):
    with pytest.raises(ValueError, match=f"{name}=nan"):
        localize(torch.tensor([[0.0], [0.9]]), 0.5, **{name: math.nan})


@pytest.mark.parametrize("segment", [(math.nan, 4.0, "Dive"), (1.0, math.inf, "Dive")])
def test_segments_that_are_not_finite(segment):
    video = Video("v7", segments=((0.0, 1.0, "Dive"), segment))
    with pytest.raises(ValueError, match="segment 1 is .*v7.*must be finite"):
        evaluate([], [video])


@pytest.mark.parametrize("segment", [(1.0, 4.0), (1.0, 4.0, "Dive", 0.5), "abcd"])
def test_segments_that_are_no_triples(segment):
    with pytest.raises(ValueError, match=r"video v7: segment .*expected \(start_s, end_s, label\)"):
        Video("v7", segments=(segment,))

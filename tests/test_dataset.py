"""One stream of a data set."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from amslib import Dataset, Video, load


def test_one_stream_is_what_it_was_among_others():
    data = load("synthetic-tiny", width=8)
    flow = pickle.loads(pickle.dumps(data.only("flow")))
    assert (data.streams, flow.streams) == (("rgb", "flow"), ("flow",))
    for old, new in zip((*data.train, *data.test), (*flow.train, *flow.test), strict=True):
        assert dict(new.features).keys() == {"flow"} and len(new.features) == 1
        assert (new.features["flow"] == old.features["flow"]).all()
        assert (new.id, new.segments, new.num_snippets) == (old.id, old.segments, old.num_snippets)
        with pytest.raises(KeyError, match="rgb"):
            new.features["rgb"]


def test_one_stream_is_other_data():
    """Its records are not those of both."""
    data = load("synthetic-tiny", width=8)
    marks = {data.fingerprint, *(data.only(stream).fingerprint for stream in data.streams)}
    assert len(marks) == 3


def test_features_are_not_read_for_it():
    class Unread(dict):
        shapes = {"rgb": (4, 2), "flow": (4, 3)}

        def __getitem__(self, stream):
            pytest.fail("it was read")

    video = Video("v", Unread(rgb=None, flow=None))
    data = Dataset("d", (), (video,), (video,)).only("flow")
    assert data.streams == ("flow",) and data.test[0].num_snippets == 4
    assert data.train[0].features.shapes == {"flow": (4, 3)}


def test_a_stream_that_is_not_there_is_none():
    video = Video("v", {"rgb": np.zeros((4, 2))})
    data = Dataset("d", (), (video,), ()).only("depth")
    assert data.streams == () and data.train[0].num_snippets == 0


def test_without_a_fingerprint_the_content_identifies_a_data_set():
    def made(value=1.0, label="Run", fingerprint=""):
        video = Video("a", {"rgb": np.full((3, 2), value)}, (label,))
        return Dataset("own", ("Jump", "Run"), (video,), (), fingerprint)

    assert made().identity == made().identity
    assert len({d.identity for d in (made(), made(2.0), made(label="Jump"))}) == 3
    assert made(fingerprint="abc").identity == made(2.0, fingerprint="abc").identity == "abc"
    one = made().only("rgb")
    assert one.identity not in ("", made(2.0).only("rgb").identity)

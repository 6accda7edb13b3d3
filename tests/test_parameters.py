"""`check` lets good parameters pass and names the one that is wrong."""

from __future__ import annotations

import pytest

from amslib.parameters import check

DECLARED = {"eta": (float, 0, 10), "seed": (int, 0, None), "dataset": str}
GOOD = {"__name__": "__main__", "In": [], "eta": 0.75, "seed": 0, "dataset": "synthetic"}


@pytest.mark.parametrize("change", [{}, {"eta": 1}, {"eta": 0}, {"eta": 10.0}, {"seed": 10**9}])
def test_good_parameters_pass(change):
    check(GOOD | change, **DECLARED)


@pytest.mark.parametrize(
    "change, error, message",
    [
        ({"etta": 0.5}, NameError, "unknown parameter 'etta': did you mean 'eta'?"),
        ({"colour": 1}, NameError, "unknown parameter 'colour': The parameters are: eta, seed"),
        ({"eta": "big"}, TypeError, "parameter 'eta' is 'big': expected float"),
        ({"seed": 0.5}, TypeError, "parameter 'seed' is 0.5: expected int"),
        ({"seed": True}, TypeError, "parameter 'seed' is True: expected int"),
        ({"eta": -0.1}, ValueError, "parameter 'eta' is -0.1: expected at least 0"),
        ({"eta": float("nan")}, ValueError, "parameter 'eta' is nan"),
        ({"eta": 10.1}, ValueError, "at most 10"),
        ({"seed": -1}, ValueError, "parameter 'seed' is -1: expected at least 0"),
    ],
)
def test_a_wrong_parameter_is_named(change, error, message):
    with pytest.raises(error) as caught:
        check(GOOD | change, **DECLARED)
    assert message in str(caught.value)


@pytest.mark.parametrize("etas", [[0.75], [0, 0.0, 10], [2, 0.25]])
def test_lists_of_good_entries_pass(etas):
    check({"etas": etas}, etas=(list[float], 0, 10))
    check({"etas": etas}, etas=list[float])


@pytest.mark.parametrize(
    "etas, error, message",
    [
        (0.5, TypeError, "parameter 'etas' is 0.5: expected list[float] with at least one entry"),
        ("[0.5]", TypeError, "parameter 'etas' is '[0.5]': expected list[float]"),
        ([], TypeError, "parameter 'etas' is []: expected list[float] with at least one entry"),
        ([1, "2"], TypeError, "parameter 'etas' is [1, '2'], with entry '2': expected float"),
        ([True], TypeError, "with entry True: expected float"),
        ([0.5, -1], ValueError, "is [0.5, -1], with entry -1: expected at least 0"),
        ([float("nan")], ValueError, "with entry nan: expected at least 0"),
        ([11], ValueError, "with entry 11: expected at most 10"),
    ],
)
def test_a_list_with_a_wrong_entry_is_named(etas, error, message):
    with pytest.raises(error) as caught:
        check({"etas": etas}, etas=(list[float], 0, 10))
    assert message in str(caught.value)


def test_a_missing_parameter_is_named():
    with pytest.raises(NameError, match="parameter 'eta' is not set"):
        check({"seed": 0, "dataset": "synthetic"}, **DECLARED)


def test_names_of_later_cells_are_no_parameters():
    """In an open notebook the cell may be run again after all the others."""
    check(GOOD | {"check": check, "rows": [1, 2]}, **DECLARED)
    with pytest.raises(NameError, match="'etta'"):
        check(GOOD | {"etta": 1, "check": check, "rows": [1, 2]}, **DECLARED)


@pytest.mark.parametrize("text", ["true", "TRUE", "false"])
def test_another_spelling_of_a_flag_is_named(text):
    with pytest.raises(TypeError, match=f"papermill's -p takes as {text.capitalize()}$"):
        check({"plot": text}, plot=bool)


def test_messages_stay_short():
    for value, kind in (("x" * 10**6, int), (list(range(10**5)), int), ([1] * 10**5, list[str])):
        with pytest.raises(TypeError) as error:
            check({"a": value}, a=kind)
        assert len(str(error.value)) < 500
    with pytest.raises(NameError) as error:
        check({"a": 1, "b" * 10**6: 2}, a=int)
    assert len(str(error.value)) < 500

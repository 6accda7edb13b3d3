"""Settings for every pytest run, those over notebooks included."""

from __future__ import annotations


def pytest_collection_modifyitems(items):
    for item in items:
        if type(item).__name__ == "IPyNbCell":
            item.output_timeout = 60  # nbval gives a busy kernel 5 s after its reply (nbval#231)

"""Which code a number depends on, as a fingerprint that names it."""

from __future__ import annotations

import ast
import tomllib
from functools import cache
from pathlib import Path

from .data.video import fingerprint

HERE = Path(__file__).parent
SAME_NUMBERS = HERE.parent / "results" / "same_numbers.toml"  # written by tools/compare_method.py
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
# The code that a number depends on; how it is shown or stored is not part of the method.
METHOD = (
    *("batches", "config", "evaluation", "forward", "graphs", "inference", "learner", "losses"),
    *("masks", "model", "objective", "overview", "packed", "phases", "randomness", "run"),
    *("sampler", "steps", "train"),
    *("protocols/activitynet", "protocols/matching", "protocols/tables"),
)


def method_fingerprint() -> str:
    """16 hex digits over the method's code; comments, docstrings and layout do not count.

    Code that has recomputed records of earlier code to the last digit goes by the fingerprint of
    that code, see `SAME_NUMBERS`.
    """
    own = code_fingerprint()
    same = tomllib.loads(SAME_NUMBERS.read_text()) if SAME_NUMBERS.is_file() else {}
    return same[own]["as"] if own in same else own


def code_fingerprint() -> str:
    """The method's code alone, whatever it was shown to compute."""
    paths = [HERE / f"{name}.py" for name in METHOD]
    return fingerprint(*(_code(path, path.stat().st_mtime_ns) for path in paths))


@cache
def _code(path: Path, changed: int) -> str:
    return repr(_plain(ast.parse(path.read_text())))


def _plain(node):
    """A syntax tree as tuples, without docstrings; alike in all versions of Python.

    `ast.dump` is not: later versions add fields, empty in most code.
    """
    if isinstance(node, list):
        return [_plain(entry) for entry in node]
    if not isinstance(node, ast.AST):
        return node
    children = dict(ast.iter_fields(node))
    if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
        children["body"] = node.body[1:]
    kept = {name: _plain(v) for name, v in children.items() if v not in (None, [])}
    return type(node).__name__, kept

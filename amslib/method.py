"""What names the method in a record's key, and the fingerprint of its code."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from .data.video import fingerprint

# Part of the key of every record. Raise it when the same config, seed and data give other numbers
# under pinned kernels; a test retrains two committed records and compares every digit.
VERSION = 1

HERE = Path(__file__).parent
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
# The code that a number depends on; how it is shown or stored is not part of the method.
METHOD = (
    *("batches", "config", "evaluation", "forward", "graphs", "inference", "inputs", "kernels"),
    *("learner", "losses", "masks", "model", "objective", "overview", "packed", "phases"),
    *("randomness", "run", "sampler", "steps", "train"),
    *("protocols/activitynet", "protocols/matching", "protocols/tables"),
)


def method_fingerprint() -> str:
    """16 hex digits over the method's code; comments, docstrings and layout do not count.

    A record keeps it as information. A checkpoint is refused by any other code, since it could
    not go on to the same bits.
    """
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

"""What a committed notebook must be for `pytest --nbval` to prove anything about it.

nbval compares a cell's outputs with the stored ones, but skips what was never executed, what is
tagged to be ignored, and every image. Each rule takes a notebook and yields complaints.
"""

from __future__ import annotations

import ast
import json
import platform
import re
from collections.abc import Iterator

IGNORED_OUTPUTS: dict[str, str] = {}  # id of a cell tagged nbval-ignore-output: the reason
MAX_BYTES = 300_000
UNCHECKED = ("nbval-skip", "nbval-raises-exception", "raises-exception", "nbval-ignore-output")
LEAKS = {
    "an absolute path": r"(?<![\w./])/(?:home|root|tmp|work|Users|usr|opt|var|mnt)/|\b[A-Z]:\\",
    "a time stamp": r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d",
    "a memory address": r"\b0x[0-9a-f]{6,}",
    "this machine's name": rf"\b{re.escape(platform.node())}\b",
}


def code_cells(nb) -> list:
    return [cell for cell in nb.cells if cell.cell_type == "code"]


def outputs(nb) -> Iterator[tuple]:
    for cell in code_cells(nb):
        for output in cell.outputs:
            yield cell, output


def text_of(output) -> str:
    """Everything nbval compares of an output, as one string."""
    data = {k: v for k, v in output.get("data", {}).items() if not k.startswith("image/")}
    return "\n".join([output.get("text", ""), *map(str, data.values())])


def declared_parameters(nb) -> dict[str, str]:
    """Name and type, as written, of each annotated assignment in the first code cell."""
    body = ast.parse(code_cells(nb)[0].source).body
    return {s.target.id: ast.unparse(s.annotation) for s in body if isinstance(s, ast.AnnAssign)}


def checked_parameters(nb) -> dict[str, list[str]]:
    """Name and [type] or [type, low, high], as written, in the second cell's call of `check`."""
    calls = [
        node
        for cell in code_cells(nb)[1:2]
        for node in ast.walk(ast.parse(cell.source))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "check"
    ]
    return {
        keyword.arg: [ast.unparse(v) for v in getattr(keyword.value, "elts", [keyword.value])]
        for call in calls
        for keyword in call.keywords
    }


def executed_in_order(nb) -> Iterator[str]:
    counts = [cell.execution_count for cell in code_cells(nb)]
    if counts != list(range(1, len(counts) + 1)):
        yield f"execution counts are {counts}: run `make notebooks`"


def no_errors(nb) -> Iterator[str]:
    for cell, output in outputs(nb):
        if output.output_type == "error" or output.get("name") == "stderr":
            yield f"cell {cell.id} ends in an error or writes to stderr"


def parameters_first(nb) -> Iterator[str]:
    tagged = [c for c in nb.cells if "parameters" in c.metadata.get("tags", [])]
    if tagged != code_cells(nb)[:1]:
        yield "the first code cell, and it alone, must be tagged `parameters`"


def parameters_documented(nb) -> Iterator[str]:
    source = code_cells(nb)[0].source
    for statement in ast.parse(source).body:
        rest = source.encode().splitlines()[statement.end_lineno - 1][statement.end_col_offset :]
        if not (isinstance(statement, ast.AnnAssign) and re.search(rb"#\s*\w", rest)):
            yield f"not `name: type = value  # meaning`: {ast.unparse(statement)}"


def parameters_checked(nb) -> Iterator[str]:
    checked = checked_parameters(nb)
    if {name: rule[0] for name, rule in checked.items()} != declared_parameters(nb):
        yield "the second code cell must call check(globals(), ..) with all parameters and types"
    if not any(len(rule) == 3 for rule in checked.values()):
        yield "no parameter has a range"


def no_semicolons(nb) -> Iterator[str]:
    for cell in code_cells(nb):
        if cell.source.rstrip().endswith(";"):
            yield f"cell {cell.id} ends in ';', which nbval does not honour: assign to _"


def compared(nb) -> Iterator[str]:
    for cell in code_cells(nb):
        marks = [t for t in UNCHECKED if t in cell.metadata.get("tags", [])]
        marks += re.findall(r"#\s*(?:NBVAL_\w+|PYTEST_VALIDATE_\w+)", cell.source)
        if marks and not (marks == ["nbval-ignore-output"] and cell.id in IGNORED_OUTPUTS):
            yield f"cell {cell.id} is marked {marks}: not compared, and no reason is on record"
    if not any(text_of(output).strip() for _, output in outputs(nb)):
        yield "no output that nbval could compare"


def pictures_described(nb) -> Iterator[str]:
    for cell in code_cells(nb):
        shown = [o for o in cell.outputs if o.output_type in ("display_data", "execute_result")]
        images = [o for o in shown if any(kind.startswith("image/") for kind in o.data)]
        drawn = [html for o in shown if "<svg" in (html := o.data.get("text/html", ""))]
        book = cell.metadata.get("mystnb", {})
        figure = book.get("figure", {})
        if (images or drawn) and not (figure.get("name") and figure.get("caption")):
            yield f"cell {cell.id}: mystnb.figure needs a name and a caption"
        if images and not book.get("image", {}).get("alt"):
            yield f"cell {cell.id}: mystnb.image needs an alt text"
        if not all("aria-label" in html for html in drawn):
            yield f"cell {cell.id}: inline SVG needs an aria-label"
        if figure and len(shown) != 1:
            yield f"cell {cell.id}: a figure cell shows one thing, this one shows {len(shown)}"


def nothing_local(nb) -> Iterator[str]:
    cells = [dict(cell.metadata) for cell in nb.cells]
    texts = {"its metadata": json.dumps([dict(nb.metadata), *cells])}
    texts |= {f"an output of cell {cell.id}": text_of(output) for cell, output in outputs(nb)}
    for where, text in texts.items():
        for what, pattern in LEAKS.items():
            if found := re.search(pattern, text):
                yield f"{what} ({found.group()}) in {where}"
    if any(key in m for m in [nb.metadata, *cells] for key in ("papermill", "execution")):
        yield "metadata left by papermill or a timed run: run `make notebooks`"


def small(nb) -> Iterator[str]:
    size = len(json.dumps(nb, ensure_ascii=False).encode())
    if size > MAX_BYTES:
        yield f"{size} bytes; at most {MAX_BYTES}"


def plain_kernel(nb) -> Iterator[str]:
    if nb.metadata.get("kernelspec", {}).get("name") != "python3":
        yield "the kernel must be python3"


RULES = (
    executed_in_order,
    no_errors,
    parameters_first,
    parameters_documented,
    parameters_checked,
    no_semicolons,
    compared,
    pictures_described,
    nothing_local,
    small,
    plain_kernel,
)

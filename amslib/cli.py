"""The command line: `python -m amslib train | predict | evaluate | grid | check | convert`."""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
import warnings
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import asdict, fields
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from . import __version__
from .checkpoint import CheckpointWarning
from .config import Config
from .data import DataNotFoundError, Dataset, DataWarning, Finding, Report, check, convert, load
from .data.findings import SHOWN
from .data.folder import open_options
from .data.video import Video
from .detections import Detection, read_detections, read_ground_truth, write_detections
from .evaluation import Evaluation, evaluate, tiou_range
from .experiments import EXPERIMENTS, set_in_every_row
from .files import check_writable
from .grid import GOES_ON, GridError, run_grid
from .keeper import StoppedError
from .mismatches import undetected, unscored_labels
from .panel import evaluate_panel
from .parameters import brief, clip, unknown
from .protocols import PROTOCOLS
from .records import COMPUTED, Record
from .run import Run
from .saved import ABOUT, DATA, WEIGHTS
from .source import Source, differing
from .tables import count
from .train import train
from .workers import cluster, processes

app = typer.Typer(
    help="Adaptive Mutual Supervision for weakly-supervised temporal action localization.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
LONGEST = 1500  # characters of a message
ERROR = "[bold red]error:[/] "
out = Console(emoji=False, highlight=False)
err = Console(stderr=True, emoji=False, highlight=False)

Data = Annotated[
    str, typer.Option(help="synthetic, synthetic-tiny, or a folder of features.", metavar="NAME")
]
SnippetSeconds = Annotated[
    float | None, typer.Option(help="Seconds from one snippet to the next, of a folder.")
]
Options = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        "-o",
        metavar="KEY=VALUE",
        help="An option of the generator (seed, incompleteness, ..) or of the layout (stride, ..).",
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", "-s", metavar="FIELD=VALUE", help="A field of Config, e.g. eta=0.5."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
OtherData = Annotated[
    str | None,
    typer.Option(
        help="Other data than the run was trained on; read as those were, but for the options "
        "passed here.",
        metavar="NAME",
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, ..")]


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"amslib {__version__}")
        raise typer.Exit


@app.callback()
def common_options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_print_version, help="Print the version."
        ),
    ] = False,
) -> None:
    """Options of the program itself."""


@app.command("train")
def train_command(
    run: Annotated[Path, typer.Option("--out", help="Folder for the trained run.")],
    data: Data = "synthetic",
    seed: Annotated[int, typer.Option(min=0, help="Of everything random in training.")] = 0,
    set_: Set = None,
    snippet_seconds: SnippetSeconds = None,
    option: Options = None,
    device: Device = "auto",
) -> None:
    """Train AMS on the video-level labels of a data set.

    Ctrl-C stops after the step at hand and saves; the same command goes on from there. A finished
    run is never replaced: the same command does nothing, another one is refused.
    """
    options = _data_options(snippet_seconds, option)
    config = _config(set_)
    dataset = load(data, **options)
    source, checkpoint = Source.of(data, options, dataset), run / "checkpoint"
    if _is_finished(run, config, seed, source):
        _tell(f"{run} already holds this run, with the same config, seed and data: nothing to do")
        return
    check_writable(run)
    if checkpoint.is_dir():
        _tell(f"{checkpoint} is there: going on from it, if it is of this training")
    progress = sys.stderr.isatty()
    trained = train(dataset, config, seed, device, progress, checkpoint=checkpoint)
    trained.save(run)
    source.write(run)
    shutil.rmtree(checkpoint, ignore_errors=True)
    _tell(f"trained {count(len(trained.states) - 1, 'iteration')}; saved in {run}")


@app.command("predict")
def predict_command(
    run: Annotated[Path, typer.Option(help="Folder written by train.")],
    detections: Annotated[Path, typer.Option("--out", help="ActivityNet json to write.")],
    data: OtherData = None,
    snippet_seconds: SnippetSeconds = None,
    option: Options = None,
    device: Device = "auto",
) -> None:
    """Write the detections of a trained run on the test videos."""
    trained, dataset = _run_and_data(run, data, snippet_seconds, option)
    check_writable(detections.parent)
    found = trained.predict(dataset.test, device=device, progress=sys.stderr.isatty())
    write_detections(found, detections)
    within = f"{count(len(found), 'detection')} in {count(len(dataset.test), 'video')}"
    _tell(f"{within}; written to {detections}")


@app.command("evaluate")
def evaluate_command(
    run: Annotated[Path | None, typer.Option(help="Folder written by train.")] = None,
    detections: Annotated[
        list[Path] | None, typer.Option(help="Detections instead of a run: json or json.gz.")
    ] = None,
    ground_truth: Annotated[
        list[Path] | None,
        typer.Option(
            help="Annotations, if they are not in the detections' file: json, or a folder of data."
        ),
    ] = None,
    subset: Annotated[
        str | None, typer.Option(help="Of the annotations, e.g. val; the test part if left out.")
    ] = None,
    protocol: Annotated[
        str, typer.Option(help=f"all, or one of {', '.join(PROTOCOLS)}.")
    ] = "activitynet",
    tiou: Annotated[
        str | None,
        typer.Option(help="IoU thresholds, start:stop:step or a,b,c; 0.1:0.7:0.1 if not given."),
    ] = None,
    data: OtherData = None,
    snippet_seconds: SnippetSeconds = None,
    option: Options = None,
    iteration: Annotated[int, typer.Option(help="Of the run; -1 is the last.")] = -1,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Print the mean average precision of a run, or of any file of detections."""
    found_in = _at_most_one(detections, "detections")
    truth_in = _at_most_one(ground_truth, "ground-truth")
    if (run is None) == (found_in is None):
        raise ValueError("give either --run FOLDER or --detections FILE")
    if protocol == "all" and tiou is not None:
        raise ValueError("--tiou: --protocol all has IoU 0.1 to 0.7; name one protocol for others")
    if run is not None and (truth_in is not None or subset is not None):
        option_ = "--ground-truth" if truth_in is not None else "--subset"
        raise ValueError(f"{option_}: goes with --detections; a run has its own test videos")
    of_run = iteration, device, data, snippet_seconds, option or None
    if found_in is not None and of_run != (-1, "auto", None, None, None):
        raise ValueError("--iteration, --device, --data and its options go with --run alone")
    if protocol not in ("all", *PROTOCOLS):
        raise ValueError(f"--protocol: {unknown(protocol, ('all', *PROTOCOLS), 'protocol')}")
    levels = _thresholds("0.1:0.7:0.1" if tiou is None else tiou, protocol)
    if found_in is not None:
        found = read_detections(found_in)
        videos = read_ground_truth(truth_in or found_in, subset)
    else:
        trained, dataset = _run_and_data(run, data, snippet_seconds, option)
        last = len(trained.states) - 1
        if not -1 <= iteration <= last:
            raise ValueError(f"--iteration {iteration}: the run has 0 to {last}; -1 is the last")
        found = trained.predict(dataset.test, iteration, device, progress=sys.stderr.isatty())
        videos = dataset.test
    if protocol == "all":
        result = evaluate_panel(found, videos)
    else:
        result = evaluate(found, videos, levels, protocol)
    if as_json:
        print(json.dumps(result.to_dict()))
    elif protocol == "all":
        print(result)
    else:
        _print_evaluation(result, len(found), len(videos))
    _tell_of_gaps(found, videos)


@app.command("grid")
def grid_command(
    experiment: Annotated[str, typer.Option(help=f"One of {', '.join(EXPERIMENTS)}.")],
    data: Data = "synthetic",
    seeds: Annotated[int, typer.Option(min=1, help="How many; they are 0, 1, ..")] = 5,
    set_: Set = None,
    snippet_seconds: SnippetSeconds = None,
    option: Options = None,
    folder: Annotated[Path, typer.Option("--out", help="Folder for new records.")] = COMPUTED,
    device: Device = "auto",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes of this machine, one thread each.")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Of a Dask cluster instead.", metavar="TCP://HOST:PORT")
    ] = None,
) -> None:
    """Train and score every config of an experiment with several seeds; records are read."""
    if experiment not in EXPERIMENTS:
        raise ValueError(f"--experiment: {unknown(experiment, EXPERIMENTS, 'experiment')}")
    rows = _rows(experiment, _config(set_), _pairs(set_))
    dataset = load(data, **_data_options(snippet_seconds, option))
    shown = sys.stderr.isatty()
    try:
        with _executor(workers, scheduler) as executor:
            configs = list(dict.fromkeys(rows.values()))
            found = run_grid(configs, range(seeds), dataset, executor, folder, device, shown)
    except KeyboardInterrupt:
        _tell(f"interrupted; {GOES_ON}")
        raise typer.Exit(130) from None
    _print_grid({name: [r for r in found if r.config == config] for name, config in rows.items()})


@app.command("check")
def check_command(
    data: Annotated[
        str, typer.Argument(help="A folder of features, or annotations.", metavar="FOLDER")
    ],
    snippet_seconds: SnippetSeconds = None,
    option: Options = None,
    as_json: Json = False,
) -> None:
    """Read a whole data set and report what is wrong with it; exit code 1 if it is unusable."""
    options = _data_options(snippet_seconds, option)
    report = check(data, progress=sys.stderr.isatty(), **options)
    if as_json:
        print(json.dumps(report.to_dict()))
    else:
        _print_report(report)
    raise typer.Exit(0 if report.ok else 1)


@app.command("convert")
def convert_command(
    data: Annotated[str, typer.Argument(help="A folder of features.", metavar="FOLDER")],
    folder: Annotated[Path, typer.Option("--out", help="New folder to write.")],
    to: Annotated[str, typer.Option(help="plain (the project's own layout) or basnet.")] = "plain",
    snippet_seconds: SnippetSeconds = None,
    option: Options = None,
) -> None:
    """Write a data set in another layout: plain arrays, one for each video and stream."""
    dataset = load(data, **_data_options(snippet_seconds, option))
    convert(dataset, folder, to, progress=sys.stderr.isatty())
    total = len(dataset.train) + len(dataset.test)
    _tell(f"{count(total, 'video')} written to {folder}")


def main() -> None:
    """Run the command line; an error is one message, not a traceback."""
    warnings.showwarning = _show_warning
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal may not know all letters
    try:
        try:
            app()
        except SystemExit as end:
            _flush()
            if end.code == 2 and (hint := _repeat_hint(sys.argv[1:])):
                _tell(hint)
            raise
    except BrokenPipeError:
        sys.exit(1)  # whoever reads has read enough, as `head` does
    except StoppedError as stopped:
        _tell(stopped)
        sys.exit(128 + stopped.number)  # as a shell tells a signal
    except MemoryError as error:
        _tell(f"not enough memory ({error or 'no details'})", ERROR)
        sys.exit(2)
    except (ValueError, TypeError, OSError, FloatingPointError) as error:
        _tell(clip(_with_notes(error), LONGEST), ERROR)
        sys.exit(2)
    except GridError as error:
        _tell(_with_notes(error), ERROR)
        sys.exit(2)


def _with_notes(error: Exception) -> str:
    return "\n".join([str(error), *getattr(error, "__notes__", [])])


def _flush() -> None:
    """Write what was printed, while an error can still be reported."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter flushes
        if isinstance(error, BrokenPipeError):
            raise
        raise OSError(f"standard output: cannot be written ({error.strerror})") from error


def _repeat_hint(words: list[str]) -> str:
    """What to write instead of ``--set a=1 b=2``; "" where nothing of the kind was written."""
    for option, first, second in zip(words, words[1:], words[2:], strict=False):
        if option in ("--set", "-s", "--option", "-o") and "=" in first and "=" in second:
            again = clip(f"{option} {first} {option} {second}")
            return f"each value needs {option} in front: {again}"
    return ""


def _show_warning(message, category, filename, lineno, file=None, line=None) -> None:
    own = DataWarning, CheckpointWarning
    name = "warning" if issubclass(category, own) else category.__name__
    _tell(clip(message, LONGEST), f"[yellow]{name}:[/] ")


def _tell(message, title: str = "") -> None:
    """Of the run, beside its results. Paths and names stay in one piece."""
    err.print(f"{title}{_plain(message)}", soft_wrap=True)


def _plain(message) -> str:
    """As it stands: brackets are no markup, and what would steer a terminal is spelt out."""
    text = "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in str(message))
    return escape(text)


PYTHON = {"True": "true", "False": "false", "None": "null"}  # spelt as in json


def _pairs(texts: list[str] | None) -> dict:
    """["eta=0.5", "sampler=none"] to {"eta": 0.5, "sampler": "none"}."""
    pairs = {}
    for text in texts or []:
        key, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"{brief(text)}: expected NAME=VALUE, e.g. eta=0.5")
        try:
            pairs[key] = json.loads(PYTHON.get(value, value))
        except (ValueError, RecursionError):  # no json, or none that a field could be
            pairs[key] = value
    return pairs


def _config(texts: list[str] | None) -> Config:
    pairs, names = _pairs(texts), [field.name for field in fields(Config)]
    for name in pairs:
        if name not in names:
            raise ValueError(f"--set: {unknown(name, names, 'field')}")
    return Config(**pairs)


def _executor(workers: int | None, scheduler: str | None) -> AbstractContextManager:
    if workers and scheduler:
        raise ValueError("give either --workers or --scheduler, whose workers are its own")
    if scheduler:
        return cluster(scheduler)
    return processes(workers) if workers else nullcontext()


def _data_options(snippet_seconds: float | None, option: list[str] | None) -> dict:
    options = _pairs(option)
    return options if snippet_seconds is None else options | {"snippet_seconds": snippet_seconds}


def _is_finished(run: Path, config: Config, seed: int, source: Source) -> bool:
    """Whether a folder holds exactly the run that is to be trained.

    Raises:
        ValueError: it holds another one.
    """
    if not any((run / name).exists() for name in (ABOUT, WEIGHTS)):
        return False
    if not (run / DATA).exists() and (run / "checkpoint").is_dir():
        return False  # stopped while it was saved; the checkpoint knows whether it is this one
    go_on = "Name another folder with --out, or delete this one"
    try:
        there, known = Run.load(run), Source.read(run)
    except FileNotFoundError as error:
        text = f"{run}: holds a run, but not what it was trained on ({error}). {go_on}"
        raise ValueError(text) from error
    old, new = asdict(there.config), asdict(config)
    told = differing({key: (old[key], new[key]) for key in new} | {"seed": (there.seed, seed)})
    told += known.differences(source)
    if told:
        more = f"; and {len(told) - SHOWN} more" if len(told) > SHOWN else ""
        what = f"{'; '.join(told[:SHOWN])}{more}"
        raise ValueError(f"{run}: holds another finished run ({what}). {go_on}")
    return True


def _run_and_data(run: Path, data, snippet_seconds, option) -> tuple[Run, Dataset]:
    """A trained run and the data to use it on.

    Raises:
        ValueError: one of them cannot be used, or there is no test video.

    Warns:
        DataWarning: the test videos have classes that the run does not know, or it was trained
            on some of them.
    """
    if not (run / ABOUT).is_file() and (run / "checkpoint").is_dir():
        raise FileNotFoundError(f"{run}: not trained to the end; the same train command goes on")
    dataset, trained = _data_of(run, data, snippet_seconds, option), Run.load(run)
    name = data or "the data of the run"
    if not dataset.test:
        raise ValueError(
            f"{name}: no test videos, only {count(len(dataset.train), 'training video')}. Put the "
            "videos to use the run on into the test part"
        )
    shown = {label for v in dataset.test for label in (*v.labels, *(s[2] for s in v.segments))}
    strange = sorted(shown - set(trained.classes))
    if strange:
        text = (
            f"{len(strange)} of {len(shown)} classes in the test videos of {name} are unknown to "
        )
        text += f"{run} and never detected ({_some(strange)}); it was trained on "
        _warn(text + _some(trained.classes))
    learnt = set()
    with suppress(OSError, ValueError):  # reported above
        learnt = set(Source.read(run).videos)
    again = [video.id for video in dataset.test if video.id in learnt]
    if again:
        text = (
            f"{run} was trained on {len(again)} of the {len(dataset.test)} test videos of {name} "
        )
        _warn(text + f"({_some(again)}): their scores say nothing about new videos")
    return trained, dataset


def _data_of(run: Path, data, snippet_seconds, option) -> Dataset:
    """The data set a run was trained on, or another one, read as that was."""
    if data is not None:
        return _other_data(run, data, _data_options(snippet_seconds, option))
    if snippet_seconds is not None or option:
        raise ValueError("--snippet-seconds, --option: without --data it is the run's own data")
    try:
        source = Source.read(run)
    except FileNotFoundError as error:
        text = f"{error}; pass a folder written by train, or --data if it was saved from Python"
        raise FileNotFoundError(text) from error
    except ValueError as error:
        raise ValueError(f"{error}; pass --data") from error
    try:
        dataset = load(source.data, **source.options)
    except DataNotFoundError as gone:
        text = f"{source.data}: what {run} was trained on is not there; if it has moved, pass "
        text += f"--data with the new folder, read as in training ({_named(source.options)})"
        raise FileNotFoundError(text) from gone
    if dataset.fingerprint != source.fingerprint:
        _warn(f"{source.data} has changed since {run} was trained on it; train again, or know why")
    return dataset


def _other_data(run: Path, data: str, passed: dict) -> Dataset:
    """Data that a run was not trained on: options not passed are those of training."""
    try:
        source = Source.read(run)
    except (OSError, ValueError) as error:
        if open_options(data):
            text = f"how the training data of {run} were read is unknown ({error}): {data} is read "
            _tell(f"{text}with the options passed ({_named(passed)}) and its defaults")
        return load(data, **passed)
    known = source.options_for(data)
    kept = {key: value for key, value in known.items() if key not in passed}
    if kept:
        _tell(f"{data} is read as the training data of {run} were: {_named(kept)}")
    dataset = load(data, **passed | kept)
    unlike = differing({key: (known[key], passed[key]) for key in passed if key in known})
    steps = {round(float(video.snippet_seconds), 6) for video in dataset.test}
    if source.seconds is not None and steps - {round(source.seconds, 6)}:
        last = " to ".join(f"{step:g}" for step in sorted({min(steps), max(steps)}))
        unlike = [text for text in unlike if not text.startswith("snippet_seconds ")]
        unlike.append(f"a snippet lasted {source.seconds:g} s, now {last} s")
    if unlike:
        _warn(f"{data} is read otherwise than the training data of {run}: {'; '.join(unlike)}")
    return dataset


def _named(options: dict) -> str:
    """Options as they are typed."""
    return ", ".join(f"{key}={brief(value)}" for key, value in options.items()) or "no options"


def _some(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(map(str, names[:SHOWN])) + (", .." if len(names) > SHOWN else "")


def _warn(text: str) -> None:
    warnings.warn(text, DataWarning, stacklevel=3)


def _thresholds(text: str, protocol: str) -> tuple[float, ...]:
    try:
        if ":" in text:
            start, stop, step = map(float, text.split(":"))
            return tiou_range(start, stop, step, protocol)
        levels = tuple(float(value) for value in text.split(","))
        if len(set(levels)) < len(levels):
            raise ValueError("each threshold once")
        return levels
    except ValueError as error:
        example = "expected start:stop:step as 0.1:0.7:0.1, or a list as 0.5,0.75,0.95"
        raise ValueError(f"--tiou {brief(text)}: {example} ({clip(error)})") from error


def _at_most_one(paths: list[Path] | None, option: str) -> Path | None:
    """The one path of an option; the parser alone would keep the last of several."""
    if paths and len(paths) > 1:
        raise ValueError(f"--{option}: {len(paths)} files; give one that holds all videos")
    return paths[0] if paths else None


def _tell_of_gaps(detections: list[Detection], videos: list[Video]) -> None:
    """What lowers a score and need not be a mistake; what a warning has said is not repeated."""
    missed = undetected(detections, videos)
    if missed:
        total, have = sum(bool(v.segments) for v in videos), "has" if len(missed) == 1 else "have"
        text = f"{len(missed)} of {count(total, 'video')} {have} no detection ({_some(missed)})"
        _tell(text, "note: ")
    others = unscored_labels(detections, videos)
    if others:
        have = "has" if len(others) == 1 else "have"
        text = f"{len(others)} of {count(len(detections), 'detection')} {have} a label that the "
        _tell(f"{text}ground truth does not have ({_some(dict.fromkeys(others))})", "note: ")
    turned = [d for d in detections if d.start >= d.end]
    if turned:
        text = f"{len(turned)} of {count(len(detections), 'detection')} end where they start, or "
        _tell(f"{text}before ({turned[0].start:g} to {turned[0].end:g} s)", "note: ")


def _print_evaluation(result: Evaluation, detections: int, videos: int) -> None:
    table = Table()
    steps = {(0.1, 0.5): 0.1, (0.3, 0.7): 0.1, (0.1, 0.7): 0.1, (0.5, 0.95): 0.05}
    averages = [(a, b) for (a, b), step in steps.items() if _has_all(result.tiou, a, b, step)]
    table.add_column("IoU")
    table.add_column("mAP (%)", justify="right")
    for threshold, value in zip(result.tiou, result.map, strict=True):
        table.add_row(f"{threshold:g}", f"{100 * value:.1f}")
    table.add_section()
    for a, b in averages:
        table.add_row(f"AVG({a:g}-{b:g})", f"{100 * result.average(a, b):.1f}")
    if not averages:
        table.add_row("average", f"{100 * result.average_map:.1f}")
    _print_table(table)
    out.print(f"{detections} detections, {videos} videos, protocol {result.protocol}")


def _rows(experiment: str, base: Config, changed: Iterable[str]) -> dict[str, Config]:
    """The configs of an experiment on a base, with a word on rows that --set does not reach.

    Raises:
        ValueError: a field that was set reaches no row.
    """
    rows = EXPERIMENTS[experiment](base)
    for field in changed:
        value = getattr(base, field)
        if set_in_every_row(experiment, base, field):
            raise ValueError(
                f"--set {field}={value}: every row of {experiment} sets {field} itself. Leave it "
                "out, or choose another experiment"
            )
        own = [name for name, config in rows.items() if getattr(config, field) != value]
        if own:
            _tell(f"--set {field}={value} is not in {', '.join(own)}: these rows set it themselves")
    return rows


def _has_all(tiou: tuple[float, ...], low: float, high: float, step: float) -> bool:
    """Whether the thresholds from low to high are those that the average is known by."""
    inside = sorted(t for t in tiou if low - 1e-9 <= t <= high + 1e-9)
    usual = [low + step * k for k in range(round((high - low) / step) + 1)]
    return len(inside) == len(usual) and all(
        abs(a - b) < 1e-9 for a, b in zip(inside, usual, strict=True)
    )


def _print_grid(rows: Mapping[str, list[Record]]) -> None:
    from .statistics import estimate  # scipy.stats takes longer to import than the rest of this
    from .tables import spread

    table = Table()
    table.add_column("config")
    for title in ("seeds", "mAP@0.5", "AVG(0.1-0.7)"):
        table.add_column(title, justify="right")
    sign = "± " if out.encoding.startswith("utf") else "+- "
    alike: dict[str, list[str]] = {}
    for name, records in rows.items():
        scores = [
            spread(estimate([record.evaluation().average(low, high) for record in records]))
            for low, high in ((0.5, 0.5), (0.1, 0.7))
        ]
        table.add_row(
            name,
            str(len(records)),
            *(score.replace("±\N{NO-BREAK SPACE}", sign) for score in scores),
        )
        told = json.dumps([record.evaluation().to_dict() for record in records])
        alike.setdefault(told, []).append(name)
    _print_table(table)
    out.print(f"percent, after the last iteration; mean {sign}standard deviation over seeds")
    for names in alike.values():
        if len(names) > 1:
            same = f"the same in every number: {', '.join(names)}; with these settings, what they "
            out.print(_plain(f"{same}differ in has no effect"), soft_wrap=True)


def _print_table(table: Table) -> None:
    """As wide as it is: a narrow terminal breaks lines, but no number is left out."""
    wide = out.options.update(max_width=10_000)
    out.width = max(out.width, Measurement.get(out, wide, table).maximum)
    out.print(table)


def _print_report(report: Report) -> None:
    parts = [name for name in ("train", "test") if name in report.counts]
    for name in parts:
        kinds = (
            "videos",
            "instances",
            "classes",
            *(["snippets"] if report.counts["streams"] else []),
        )
        text = ", ".join(f"{report.counts[name][kind]} {kind}" for kind in kinds)
        out.print(f"{name}: {text}", soft_wrap=True)
    for sentence in filter(None, (report.snippets, *report.agreed)):
        _print_wrapped(sentence)
    for group in report.problems:
        _print_problem(group)
    if not report.findings:
        out.print("nothing to complain about")
        return
    errors = sum(finding.level == "error" for finding in report.findings)
    told = f"{count(errors, 'error')}, {count(len(report.findings) - errors, 'warning')}"
    videos = len({finding.video for finding in report.findings} - {""})
    total = sum(report.counts[name]["videos"] for name in parts)
    out.print(f"\n{told}, in {videos} of {count(total, 'video')}" if total else f"\n{told}")


def _print_problem(group: list[Finding]) -> None:
    first = group[0]
    videos = list(dict.fromkeys(finding.video for finding in group if finding.video))
    number = f", {count(len(videos), 'video')}" if videos else ""
    colour = "bold red" if first.level == "error" else "yellow"
    out.print(f"\n[{colour}]{first.level}: {first.problem}[/]{number}")
    out.print(f"  {_plain(first.file)}", soft_wrap=True)
    _print_wrapped(f"{first.video}: {first.message}." if first.video else f"{first.message}.", "  ")
    others = videos[1:SHOWN]
    if others:
        _print_wrapped(f"Also {', '.join(others)}{', ..' if len(videos) > SHOWN else '.'}", "  ")
    _print_wrapped(f"{first.mend}.", "  > ")


def _print_wrapped(text: str, indent: str = "") -> None:
    """Between words only, so that paths and names stay whole."""
    lines = textwrap.fill(
        *(text, min(out.width, 100)),
        initial_indent=indent,
        subsequent_indent=" " * len(indent),
        break_long_words=False,
        break_on_hyphens=False,
    )
    out.print(_plain(lines), soft_wrap=True)

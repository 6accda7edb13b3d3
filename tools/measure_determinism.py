"""How far apart the same training ends under other threads, kernels and devices.

    python tools/measure_determinism.py [--full] [--keep FOLDER]
    python tools/measure_determinism.py --add [--against FOLDER]

Each setting trains in a fresh process, since libraries choose their kernels when they are loaded,
and is compared with a reference: one thread, everything else as this machine chooses. What came of
it goes to book/_static/determinism.json. The short training takes minutes on one core, --full
repeats the most telling settings at the default data and schedule. --keep saves what was trained;
on another machine, --add measures there and adds the result to the file, with --against in
comparison with what was kept.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from tqdm import tqdm

from amslib import Config, Dataset, evaluate, experiments, load, train
from amslib.kernels import PINNED, can_be_pinned
from amslib.machine import CHOICES, described
from amslib.method import method_fingerprint
from amslib.workers import processes

OUT = Path(__file__).parents[1] / "book" / "_static" / "determinism.json"
REFERENCE = "reference"
PINNED_SETTING = "pinned kernels"
TRAININGS = 40  # of the spread
NOISE = 1e-7  # relative, about one unit in the last place of float32
SCALES = {
    "short": ("synthetic-tiny", Config(steps_per_epoch=20, epochs_zero=5, epochs=2, iterations=2)),
    "full": ("synthetic", Config()),
}
MOMENTS = ("one step", "phase zero", "end")
# kernels of torch and of MKL; a processor has those of a level and of all before it
LEVELS = {"DEFAULT": "COMPATIBLE", "AVX2": "AVX2", "AVX512": "AVX512"}
CUDA = ("CUDA", "CUDA again", "CUDA, deterministic algorithms")


@dataclass(frozen=True)
class Setting:
    """One way to run the training.

    Args:
        name: as the chapter shows it.
        threads: of torch.
        variables: of the environment, set before anything is loaded.
        noise: relative, that every feature is changed by.
        beside: other configs that train along as one model.
        device: of torch.
        strict: whether torch has to use deterministic algorithms only.
        of: name of the setting to compare with.
    """

    name: str
    threads: int = 1
    variables: tuple[tuple[str, str], ...] = ()
    noise: float = 0.0
    beside: int = 0
    device: str = "cpu"
    strict: bool = False
    of: str = REFERENCE


def settings(level: str, cuda: bool) -> list[Setting]:
    """What can be tried where a processor has kernels up to a level."""
    names = list(LEVELS)
    lower = names[: names.index(level) + 1] if level in names else []
    found = [
        Setting(REFERENCE),
        Setting("the same again"),
        Setting("2 threads", threads=2),
        Setting("2 threads again", threads=2, of="2 threads"),
        Setting("3 threads", threads=3),
        *(Setting(f"kernels {name}", variables=_kernels(name)) for name in lower),
        Setting("beside another config", beside=1),
        Setting(f"features changed by {NOISE:g}", noise=NOISE),
    ]
    if can_be_pinned():
        pins = dict(variables=tuple(PINNED.items()))
        found += [
            Setting(PINNED_SETTING, **pins),
            Setting(
                f"{PINNED_SETTING}, beside another config", **pins, beside=1, of=PINNED_SETTING
            ),
        ]
    if cuda:
        found += [
            Setting(CUDA[0], device="cuda"),
            Setting(CUDA[1], device="cuda", of=CUDA[0]),
            Setting(
                CUDA[2],
                variables=(("CUBLAS_WORKSPACE_CONFIG", ":4096:8"),),
                device="cuda",
                strict=True,
                of=CUDA[0],
            ),
        ]
    return found


def _kernels(level: str) -> tuple[tuple[str, str], ...]:
    return ("ATEN_CPU_CAPABILITY", level.lower()), ("MKL_CBWR", LEVELS[level])


def telling(found: list[Setting]) -> list[Setting]:
    """The few that are worth the default schedule."""
    names = {REFERENCE, "kernels DEFAULT", *CUDA[:2]}
    return [setting for setting in found if setting.name in names or setting.noise]


def trained(setting: Setting, dataset: Dataset, config: Config) -> dict[str, np.ndarray]:
    """Everything that is compared: losses, parameters, CAS and mAP by moment."""
    torch.set_num_threads(setting.threads)
    torch.use_deterministic_algorithms(setting.strict)
    if setting.noise:
        dataset = shaken(dataset, setting.noise)
    once = replace(config, steps_per_epoch=1, epochs_zero=1, iterations=0)
    first = _run(setting, dataset, once)
    whole = _run(setting, dataset, config)
    losses = [[entry[term] for term in ("classification", "coactivity")] for entry in first.history]
    arrays = {"losses": np.array(losses)}
    for moment, run, iteration in zip(MOMENTS, (first, whole, whole), (0, 0, -1), strict=True):
        for stream, branches in run.states[iteration].items():
            for branch, state in branches.items():
                for name, p in state.items():
                    arrays[f"{moment}/parameters/{stream}/{branch}/{name}"] = p.numpy()
        for video, cas in run.all_cas(dataset.test, iteration, device=setting.device):
            for stream, branches in cas.items():
                for branch, values in branches.items():
                    key = f"{moment}/cas/{video.id}/{stream}/{branch}"
                    arrays[key] = values.cpu().numpy().copy()
        found = run.predict(dataset.test, iteration, device=setting.device)
        average = evaluate(found, dataset.test).average(0.1, 0.7)
        arrays[f"{moment}/map"] = np.array([100 * average])
    return arrays


def _run(setting: Setting, dataset: Dataset, config: Config):
    others = [replace(config, eta=1 / (2 + i)) for i in range(setting.beside)]
    return train(dataset, [config, *others], 0, setting.device)[0]


def shaken(dataset: Dataset, noise: float, seed: int = 0) -> Dataset:
    """Every feature times 1 + noise, standard normal in units of `noise`."""
    rng = np.random.default_rng(seed)

    def changed(video):
        features = {
            name: (x * (1 + noise * rng.standard_normal(x.shape))).astype(np.float32)
            for name, x in video.features.items()
        }
        return replace(video, features=features)

    parts = [tuple(map(changed, part)) for part in (dataset.train, dataset.test)]
    return replace(dataset, train=parts[0], test=parts[1])


def apart(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> dict:
    """How far two trainings are from each other at each moment.

    Returns:
        Whether all is bitwise "equal"; the first "losses", relative; by moment the largest
        difference of "parameters", absolute and "relative" to the largest in their array, the
        largest and the mean one of "cas", and that of "map" in points.
    """
    loss = np.abs(one["losses"] - other["losses"]) / np.abs(other["losses"]).clip(1e-30)
    told = {
        "equal": all(np.array_equal(one[name], other[name]) for name in other),
        "losses": float(loss.max()),
    }
    for moment in MOMENTS:
        weights = _pairs(one, other, f"{moment}/parameters/")
        cas = [np.abs(a - b) for a, b in _pairs(one, other, f"{moment}/cas/")]
        ((here, there),) = _pairs(one, other, f"{moment}/map")
        told[moment] = {
            "parameters": float(max(np.abs(a - b).max() for a, b in weights)),
            "relative": float(
                max(np.abs(a - b).max() / max(np.abs(b).max(), 1e-30) for a, b in weights)
            ),
            "cas": float(max(x.max() for x in cas)),
            "mean cas": float(np.concatenate([x.ravel() for x in cas]).mean()),
            "map": float(np.abs(here - there).max()),
        }
    return told


def _pairs(one: dict, other: dict, start: str) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(one[name], other[name]) for name in other if name.startswith(start)]


def spread(trainings: int = TRAININGS) -> dict:
    """Final scores of the config of the smallest committed record, each on features that differ by
    one rounding: what another way of rounding may give. With pinned kernels, in all cores.
    """
    with processes() as pool:
        scores = list(tqdm(pool.map(_shaken_map, range(trainings)), total=trainings, disable=None))
    return {"data": "synthetic-tiny", "noise": NOISE, "map": scores}


def _shaken_map(seed: int) -> list[float]:
    dataset = shaken(load("synthetic-tiny"), NOISE, seed)
    run = train(dataset, experiments.TINY, 0, "cpu")
    return [round(float(x), 6) for x in evaluate(run.predict(dataset.test), dataset.test).map]


def started(setting: Setting, scale: str, path: Path) -> str | None:
    """Train in a process of its own; what it raised, if it did."""
    kept = {name: value for name, value in os.environ.items() if name not in (*CHOICES, *PINNED)}
    words = [sys.executable, __file__, "--one", setting.name, "--scale", scale, "--keep", str(path)]
    told = subprocess.run(
        words, env=kept | dict(setting.variables), stderr=subprocess.PIPE, text=True
    )
    return None if told.returncode == 0 else told.stderr.strip().splitlines()[-1]


def rows(scale: str, chosen: list[Setting], folder: Path, there: Path | None = None) -> list[dict]:
    """Each setting against the one it is compared with, or against itself as kept `there`."""
    told = []
    for setting in chosen:
        print(f"{scale}: {setting.name}", file=sys.stderr)
        path, kept = _path(folder, setting.name), there and _path(there, setting.name)
        row = {"name": setting.name, "of": setting.of}
        if error := started(setting, scale, path):
            told.append(row | {"error": error})
        elif kept and kept.exists():
            told.append(row | {"of": "the same there", **apart(load_file(path), load_file(kept))})
        elif setting.name != setting.of:
            told.append(row | apart(load_file(path), load_file(_path(folder, setting.of))))
    return told


def _path(folder: Path, name: str) -> Path:
    return folder / f"{name}.safetensors"


def scores(path: Path) -> dict[str, float]:
    """AVG(0.1-0.7) in percent by moment."""
    arrays = load_file(path)
    return {moment: float(arrays[f"{moment}/map"][0]) for moment in MOMENTS}


def measured(full: bool, keep: Path | None, folder: Path) -> dict:
    """All settings on this machine."""
    found = settings(torch.backends.cpu.get_cpu_capability(), torch.cuda.is_available())
    told = {"method": method_fingerprint(), "made": described("cpu")}
    told |= {"noise": NOISE, "scales": {}, "elsewhere": [], "spread": spread()}
    for scale in ("short", "full") if full else ("short",):
        inside = folder / scale
        inside.mkdir()
        chosen = found if scale == "short" else telling(found)
        compared = rows(scale, chosen, inside)
        data, config = SCALES[scale]
        told["scales"][scale] = {
            "data": data,
            "epochs": [config.epochs_zero, config.epochs, config.iterations],
            "steps_per_epoch": config.steps_per_epoch,
            "scores": scores(_path(inside, REFERENCE)),
            "rows": compared,
        }
        if keep and scale == "short":
            shutil.copytree(inside, keep, dirs_exist_ok=True)
    return told


def elsewhere(there: Path | None, folder: Path) -> dict:
    """This machine's short training against the same of a machine that kept it, or else against
    its own reference.
    """
    cuda = torch.cuda.is_available()
    chosen = settings(torch.backends.cpu.get_cpu_capability(), cuda)
    if there is not None:
        names = {REFERENCE, PINNED_SETTING, "2 threads", *CUDA}
        chosen = [s for s in chosen if s.name in names or s.name.startswith("kernels")]
    made = described("cuda" if cuda else "cpu")
    return {
        "method": method_fingerprint(),
        "made": made,
        "rows": rows("short", chosen, folder, there),
    }


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="the default schedule, too")
    parser.add_argument("--keep", type=Path, help="save the short trainings here")
    parser.add_argument("--against", type=Path, help="compare with those of another machine")
    parser.add_argument("--add", action="store_true", help="add this machine to the file")
    parser.add_argument("--out", type=Path, default=OUT, help="the json file")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--scale", choices=SCALES, default="short", help=argparse.SUPPRESS)
    given = parser.parse_args(words)
    if given.one:
        (setting,) = (s for s in settings("AVX512", cuda=True) if s.name == given.one)
        data, config = SCALES[given.scale]
        save_file(trained(setting, load(data), config), given.keep)
        return
    with TemporaryDirectory() as folder:
        if given.against or given.add:
            told = json.loads(given.out.read_text())
            if given.against and told.get("method") != method_fingerprint():
                parser.error(f"{given.out} is of other code of the method: measure it anew first")
            told["elsewhere"].append(elsewhere(given.against, Path(folder)))
            told["spread"] = spread()
        else:
            told = measured(given.full, given.keep, Path(folder))
    given.out.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""Every decision of a run in one frozen, validated, hashable record."""

from __future__ import annotations

from dataclasses import dataclass, fields

CHOICES = {
    "heads": ("shared", "parallel"),
    "activation": ("softmax", "sigmoid"),
    "branches": (1, 2),
    "supp_init": ("basic", "copy_base", "scratch"),
    "sampler": ("adaptive", "uniform", "random", "erase", "none"),
    "aggregation": ("maximum", "average", "random"),
    "positions": ("continuous", "bins"),
    "test_classes": ("predicted", "all", "argmax", "oracle"),
    "supervision": ("mutual", "self", "none"),
    "threshold_scope": ("class", "video"),
    "location_axis": ("uniform", "sampled"),
    "class_loss": ("bce", "softmax_ce"),
    "score": ("maximum", "mean", "oic"),
}

# name: (lowest, highest allowed value)
RANGES = {
    "hidden": (1, 2**16),
    "dropout": (0.0, 0.99),
    "topk": (1, 2**16),
    "eta": (0.0, 1e6),
    "factor": (1, 1000),
    "threshold_factor": (0.0, 1e6),
    "localization_weight": (0.0, 1e6),
    "class_weight": (0.0, 1e6),
    "coactivity_weight": (0.0, 1e6),
    "lr": (0.0, 1e3),
    "weight_decay": (0.0, 1e3),
    "batch_size": (1, 2**16),
    "pairs": (0, 2**15),
    "max_snippets": (1, 2**31),
    "steps_per_epoch": (1, 2**31),
    "epochs_zero": (0, 2**31),
    "epochs": (0, 2**31),
    "iterations": (0, 1000),
    "beta": (0.0, 1e6),
    "class_threshold": (0.0, 1e6),
}


@dataclass(frozen=True, kw_only=True)
class Config:
    """The switches of the method. Defaults: the paper, or where it is silent, this project.

    Table III is spelled (A) ``branches=1, sampler="none", supervision="none", iterations=0``,
    (B) the same with two branches, (C) ``supervision="none", iterations=1``,
    (D) ``sampler="none", supervision="self"``, (E) ``sampler="none"``, (F) ``Config()``.

    Raises:
        ValueError: a field is outside its choices or range, or two fields contradict each other.
        TypeError: a field has the wrong type or is unknown.
    """

    # backbone, Eqs 1-3 and Sec. IV-B
    hidden: int | None = None  # width of the first layer; None: as wide as the features
    dropout: float = 0.7
    heads: str = "shared"  # or "parallel": the CAS has a second FC layer of its own
    activation: str = "softmax"  # over classes; or "sigmoid"
    background: bool = False  # one more logit for "no action"
    topk: int = 8  # video score: mean of the ceil(T_i / topk) highest logits
    # two branches
    branches: int = 2
    supp_init: str = "basic"  # phase zero of the supplementary branch
    # adaptive sampler, Eqs 4-7
    sampler: str = "adaptive"  # Table IV; "none" feeds the original features
    aggregation: str = "maximum"  # Table V
    eta: float = 0.75  # Fig. 5
    factor: int = 20  # H, bins per snippet
    positions: str = "continuous"  # or "bins": whole bins of the upsampled axis
    test_classes: str = "predicted"  # whose CAS channels steer the sampler at test time
    # location supervision, Eqs 8-9
    supervision: str = "mutual"  # Table III
    threshold_factor: float = 0.7  # of the mean CAS: alpha and theta_loc alike
    threshold_scope: str = "class"  # mean over time per class; or "video", over its classes, too
    location_axis: str = "uniform"  # Eq. 7; "sampled": labels are gathered instead of CAS aligned
    localization_weight: float = 1.0  # lambda of Eq. 11
    # basic loss, Eq. 10 and the Co-Activity Similarity loss
    class_loss: str = "softmax_ce"  # or "bce", the letter of Eq. 10
    class_weight: float = 0.5
    coactivity_weight: float = 0.5
    # schedule, Sec. III-D2 and IV-B
    lr: float = 1e-4  # of Adam at 1024 features; another width D trains with lr * 1024 / D
    weight_decay: float = 5e-4
    batch_size: int = 10
    pairs: int = 3  # of the batch, pairs of videos that share a class
    max_snippets: int = 1000  # T, longer training videos are cropped
    steps_per_epoch: int = 100
    epochs_zero: int = 20
    epochs: int = 5  # of each phase one and phase two
    iterations: int = 3
    # inference, Eq. 12 and Sec. III-E
    beta: float = 0.15
    class_threshold: float = 0.25  # theta_cls
    score: str = "maximum"

    def __post_init__(self):
        for f in fields(self):
            object.__setattr__(self, f.name, _checked(f.name, getattr(self, f.name), f.default))
        if 2 * self.pairs > self.batch_size:
            raise ValueError(
                f"Config: pairs={self.pairs} need {2 * self.pairs} videos but "
                f"batch_size={self.batch_size}; lower pairs or raise batch_size"
            )
        if self.branches == 1 and (self.sampler != "none" or self.supervision == "mutual"):
            raise ValueError(
                f"Config: branches=1 has no second branch for sampler={self.sampler!r} and "
                f"supervision={self.supervision!r}; use sampler='none' and supervision='self' "
                "or 'none'"
            )
        if self.activation == "sigmoid" and self.class_loss == "softmax_ce":
            raise ValueError(
                "Config: class_loss='softmax_ce' needs probabilities that sum to one; "
                "use class_loss='bce' with activation='sigmoid'"
            )

    def changes(self) -> dict:
        """The fields that differ from the default, by name."""
        return {
            f.name: getattr(self, f.name)
            for f in fields(self)
            if getattr(self, f.name) != f.default
        }


def _checked(name: str, value, default):
    """`value` in the field's own type, or an error that names the field."""
    if name in CHOICES:
        if value not in CHOICES[name]:
            options = ", ".join(map(repr, CHOICES[name]))
            raise ValueError(f"Config: {name}={value!r}; expected one of {options}")
        return value
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise TypeError(f"Config: {name}={value!r}; expected True or False")
        return value
    if name == "hidden" and value is None:
        return None
    whole = isinstance(default, int) or default is None
    if isinstance(value, bool) or not isinstance(value, (int,) if whole else (int, float)):
        kind = "a whole number" if whole else "a number"
        raise TypeError(f"Config: {name}={value!r}; expected {kind}")
    low, high = RANGES[name]
    if not low <= value <= high:
        raise ValueError(f"Config: {name}={value!r}; expected {low} <= {name} <= {high}")
    return value if whole else float(value)

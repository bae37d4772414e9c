"""The registry: every attack, defense, family, objective, data set and network is one file with one decorator.

An entry is named after its file (``random_at.py`` is ``random-at``). Its facts are literals in the decorator and its
summary is the first line of its docstring, so listing entries parses source text and imports nothing, torch included.
Third parties add entries through entry points of the group ``variate.<kind>``. A file without a decorated object is not
an entry; code that several entries share is in the folder ``parts`` beside them.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from variate.errors import UsageError, unknown_name
from variate.files.decorated import decorated_in, source_of
from variate.limits import F, limited

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

T = TypeVar("T")
Access = Literal["none", "labels", "scores", "gradient"]
Group = Literal["none", "ours", "distillation", "adversarial training", "randomized"]
Needs = Literal["nothing", "distribution", "layers", "perturb", "teacher"]
VECTOR = ("classes", "binary", "labels", "regression")  # tasks of a network with one vector of outputs per example

DEFAULTS: dict[str, dict[str, Any]] = {
    "attacks": {"targeted": False, "minimal": False, "quick": {}, "variants": {}, "tasks": ()},
    "datasets": {"shape": (), "classes": 0, "mean": (0.0,), "std": (1.0,), "labels": ()},
    "defenses": {"differs": "", "teacher": None},
    "flags": {"deterministic": None},
    "objectives": {"labels": True},
    "networks": {"tasks": VECTOR},
}
KINDS = (
    *("attacks", "certificates", "datasets", "defenses", "families", "flags", "metrics", "modalities", "networks"),
    *("objectives", "tasks"),
)
SINGULAR = {kind: f"{kind.removesuffix('ies')}y" if kind.endswith("ies") else kind[:-1] for kind in KINDS}
FOLDERS = {"defenses": "training/defenses", "families": "random/families", "modalities": "inputs/modalities"}
FOLDERS |= {"networks": "models", "objectives": "training/objectives"}


@dataclass(frozen=True)
class Entry:
    """One entry of the registry: where it is defined and the facts in its decorator; ``load()`` imports it."""

    kind: str
    name: str
    summary: str
    module: str
    attribute: str
    facts: Mapping[str, Any]

    def load(self) -> Any:
        """Import the entry's file and return the decorated object."""
        return getattr(importlib.import_module(self.module), self.attribute)

    def as_json(self) -> dict[str, Any]:
        """The entry as a flat JSON object, ``name`` first."""
        return {"name": self.name, "summary": self.summary, **self.facts, "module": self.module}


def _mark(kind: str, facts: dict[str, Any]) -> Callable[[T], T]:
    def decorate(entry: T) -> T:
        entry.__variate__ = {"kind": kind, **facts}  # type: ignore[attr-defined]
        return entry

    return decorate


def attack(
    *,
    access: Access,
    norms: tuple[str, ...],
    modality: tuple[str, ...],
    cite: str,
    targeted: bool = False,
    minimal: bool = False,
    quick: Mapping[str, Any] | None = None,
    variants: Mapping[str, tuple[str, ...]] | None = None,
    tasks: tuple[str, ...] = (),
) -> Callable[[F], F]:
    """Register an attack; its options are checked against its annotations (``variate.limits``).

    Args:
        access: what the attacker sees of the network.
        norms: norms it can bound.
        modality: modalities it works on.
        cite: its source.
        targeted: whether it accepts ``target``, the labels to reach.
        minimal: whether it searches for the smallest perturbation instead of the worst one within a budget.
        quick: options with which it takes a second or two on a small batch, for tests and first looks.
        variants: for an adapter to another library, the values of its option ``attack``, by norm.
        tasks: the tasks it works on; empty: all, as seen through ``variate.oracle.view``.
    """
    facts = {"access": access, "norms": norms, "modality": modality, "cite": cite}
    more = {"targeted": targeted, "minimal": minimal, "quick": quick or {}, "variants": variants or {}, "tasks": tasks}
    mark: Callable[[F], F] = _mark("attacks", {**facts, **more})
    return lambda function: mark(limited(function))


def certificate(
    *, norms: tuple[str, ...], modality: tuple[str, ...], deployments: tuple[str, ...], needs: str, cite: str
) -> Callable[[T], T]:
    """Register a certificate.

    Args:
        norms: norms of the budgets within which it proves something.
        modality: modalities it serves.
        deployments: deployments it certifies; ``vote`` is the most frequent label of infinitely many draws.
        needs: which randomness it needs.
        cite: its source.
    """
    facts = {"norms": norms, "modality": modality, "deployments": deployments, "needs": needs, "cite": cite}
    return _mark("certificates", facts)


def dataset(
    *,
    modality: str,
    budget: str,
    cite: str,
    shape: tuple[int, ...] = (),
    classes: int = 0,
    mean: tuple[float, ...] = (0.0,),
    std: tuple[float, ...] = (1.0,),
    labels: tuple[str, ...] = (),
) -> Callable[[T], T]:
    """Register a data set.

    A data set whose facts are only known once its files are read omits ``shape`` and ``classes``; its file then defines
    a function ``about(folder)`` beside the loader: see ``variate.datasets.info``.

    Args:
        modality: what its inputs are.
        budget: the budget usually used with it, such as ``linf:8/255``.
        cite: its source.
        shape: shape of one input.
        classes: number of classes.
        mean: channel means of the training split.
        std: channel standard deviations of the training split.
        labels: names of the classes, if they are more than numbers.
    """
    facts = {"modality": modality, "shape": shape, "classes": classes, "mean": mean, "std": std}
    return _mark("datasets", {**facts, "budget": budget, "labels": labels, "cite": cite})


def defense(
    *, random: bool, adversarial: bool, group: Group, cite: str, differs: str = "", teacher: str | None = None
) -> Callable[[T], T]:
    """Register a defense.

    Args:
        random: whether the network is random.
        adversarial: whether it trains on adversarial inputs.
        group: the kind of defense; in ``ours`` every parameter has a distribution.
        cite: its source.
        differs: how it differs from its source.
        teacher: objective of a teacher of the same architecture, which is trained first.
    """
    facts = {"random": random, "adversarial": adversarial, "group": group, "cite": cite}
    return _mark("defenses", {**facts, "differs": differs, "teacher": teacher})


def family(*, random: bool, cite: str) -> Callable[[T], T]:
    """Register a family of distributions for one parameter tensor."""
    return _mark("families", {"random": random, "cite": cite})


def flag(
    *,
    level: Literal["warning", "note"],
    trigger: str,
    explanation: str,
    remedy: str,
    cite: str,
    deterministic: Literal["warning", "note"] | None = None,
) -> Callable[[T], T]:
    """Register a red flag.

    Args:
        level: its severity.
        trigger: when it is raised.
        explanation: why it matters.
        remedy: what to do.
        cite: the source that describes it.
        deterministic: its severity for a deterministic network, if that differs.
    """
    texts = {"trigger": trigger, "explanation": explanation, "remedy": remedy, "cite": cite}
    return _mark("flags", {"level": level, "deterministic": deterministic, **texts})


def metric(
    *, tasks: tuple[str, ...], better: Literal["high", "low", ""], needs: Literal["answers", "probabilities"], cite: str
) -> Callable[[T], T]:
    """Register a metric.

    Args:
        tasks: the tasks that it measures.
        better: whether high or low values are better; empty for neither.
        needs: what it is computed from.
        cite: its source.
    """
    return _mark("metrics", {"tasks": tasks, "better": better, "needs": needs, "cite": cite})


def modality(*, norms: tuple[str, ...], cite: str) -> Callable[[T], T]:
    """Register a modality and the norms in which its budgets can be given."""
    return _mark("modalities", {"norms": norms, "cite": cite})


def network(*, modality: tuple[str, ...], cite: str, tasks: tuple[str, ...] = VECTOR) -> Callable[[T], T]:
    """Register an architecture, and the modalities and tasks it serves."""
    return _mark("networks", {"modality": modality, "cite": cite, "tasks": tasks})


def objective(*, needs: Needs, cite: str, labels: bool = True) -> Callable[[T], T]:
    """Register a training objective.

    Args:
        needs: what it requires besides a network and a batch: a random network's ``distribution``, ``layers`` that its
            defense added to the network, an inner attack (``perturb``) or a ``teacher``. The training passes it the
            keyword arguments ``perturb``, ``teacher`` and ``clock`` if it declares them (``variate.training.recipe``).
        cite: its source.
        labels: whether it looks at labels; if so, it serves other tasks than classes only if it declares the keyword
            argument ``task``, which the training passes too.
    """
    return _mark("objectives", {"needs": needs, "cite": cite, "labels": labels})


def task(*, labels: str, answers: str, cite: str) -> Callable[[T], T]:
    """Register a task.

    Args:
        labels: what its labels look like.
        answers: what a network returns.
        cite: its source.
    """
    return _mark("tasks", {"labels": labels, "answers": answers, "cite": cite})


@cache
def entries(kind: str) -> dict[str, Entry]:
    """All entries of a kind by name, built-in ones first, read from source text."""
    from importlib.metadata import entry_points  # slow to import; only needed here

    if kind not in SINGULAR:
        raise unknown_name("list", kind, list(SINGULAR))
    package = FOLDERS.get(kind, kind)
    paths = sorted((Path(__file__).parent / package).glob("*.py"))
    built_in = [_parse_entry(kind, f"variate.{package.replace('/', '.')}.{path.stem}", path) for path in paths]
    third_party = [_parse_entry_point(kind, point) for point in entry_points(group=f"variate.{kind}")]
    by_name: dict[str, Entry] = {}
    for entry in filter(None, [*built_in, *third_party]):
        if entry.name in by_name:
            raise UsageError(
                f"two {kind} are named {entry.name!r}: {by_name[entry.name].module} and {entry.module}",
                todo="uninstall one of the packages, or rename its file",
            )
        by_name[entry.name] = entry
    return by_name


def get(kind: str, name: str) -> Entry:
    """Look up an entry by kind and name. Raises ``UsageError`` with the choices and the nearest name."""
    by_name = entries(kind)
    if name not in by_name:
        raise unknown_name(SINGULAR[kind], name, list(by_name))
    return by_name[name]


def _expected(kind: str) -> str:
    return f"one function or class decorated with @{SINGULAR[kind]}(...), with literals as arguments"


def _parse_entry(kind: str, module: str, path: Path) -> Entry | None:
    """Parse one entry from its file; None if the file decorates nothing."""
    found = decorated_in(path, SINGULAR[kind], expected=_expected(kind))
    if found is None:
        return None
    facts = DEFAULTS.get(kind, {}) | found.facts
    return Entry(kind, path.stem.replace("_", "-"), found.summary, module, found.name, facts)


def _parse_entry_point(kind: str, point: EntryPoint) -> Entry:
    source = source_of(point.module)
    if source is None:
        raise UsageError(
            f"the entry point {point.name!r} of variate.{kind} names {point.module!r}, which has no source file",
            todo="reinstall or uninstall the package that declares it",
        )
    entry = _parse_entry(kind, point.module, source)
    if entry is None:
        raise UsageError(f"{source} registers no {SINGULAR[kind]}", expected=_expected(kind))
    return entry

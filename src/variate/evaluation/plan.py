"""One attack to run: its name and options, its oracle, and the contract that its result must meet."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from torch import Tensor

from variate import options as spec
from variate import registry
from variate.errors import AttackError, UsageError, unknown_name
from variate.evaluation.detector import checked_detector, detector_of_attack, detector_settings
from variate.evaluation.fitting import bounds, serves
from variate.evaluation.goals import SOURCE_DRAWS, goal_of
from variate.evaluation.target import Target
from variate.inputs.budget import Budget
from variate.inputs.modality import Modality, Reach, name_of
from variate.limits import check_options
from variate.oracle.averaging import Average, check_average
from variate.oracle.oracle import Oracle, Reuse
from variate.oracle.view import View
from variate.oracle.white_box import ORACLES, GradientOracle
from variate.random.keys import Stream
from variate.random.seeding import kind_of
from variate.records.rows import CLEAN, label_of
from variate.tasks.classes import CLASSES, Classes
from variate.tasks.parts.aimed import Aimed, aimed_at
from variate.tasks.task import Task
from variate.tasks.task import name_of as task_name

WIRED = ("budget", "source", "target")  # arguments that the evaluation supplies to an attack


@dataclass(frozen=True)
class Plan:
    """One attack to run.

    Attributes:
        attack: name of the attack.
        draws: number of draws that each answer of its oracle averages over.
        options: the attack's own options.
        average: quantity to average, see ``variate.oracle.averaging``.
        keys: reuse of draws, see ``variate.oracle.oracle``.
        target: answer to aim at, such as ``next``, ``random``, ``least-likely`` or a label (``Task.check_target``);
            None for an untargeted attack.
        source: network to transfer from: ``mean``, ``ensemble``, or the name of a source of the evaluation.
        climb: for other tasks than classes, the margin of the task that the attack climbs; None for the task's first.
        detector: detector of similar queries that the attack faces; None: every query is answered.
    """

    attack: str
    draws: int
    options: dict[str, Any]
    average: Average = "loss"
    keys: Reuse = "fresh"
    target: str | None = None
    source: str | None = None
    climb: str | None = None
    detector: str | None = None

    @classmethod
    def of(cls, attack: str | Mapping[str, Any], draws: int) -> Plan:
        """Parse ``pgd``, ``pgd(steps=100)`` or ``{"name": "pgd", "draws": 1, "steps": 40}``. Raises ``UsageError``."""
        options: dict[str, Any]
        if isinstance(attack, str):
            name, untyped = spec.parse(attack, "an attack")
            function = None if name == CLEAN else registry.get("attacks", name).load()
            options = dict(spec.parse(attack, "an attack", function)[1] if untyped else untyped)
        else:
            options = dict(attack)
            name = options.pop("name", "")
        if not name or not isinstance(name, str):
            raise UsageError(f"the attack {attack!r} has no name", expected="a name, or a mapping with a 'name'")
        n = spec.whole(options.pop("draws", draws))
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise UsageError(f"{name} cannot average over {n!r} draws", expected="a whole number of draws from 1")
        if name == CLEAN:
            return cls(name, 0, {})
        facts = registry.get("attacks", name).facts
        target = options.pop("target", None)
        return cls(
            name,
            0 if facts["access"] == "none" else n,
            {},
            average=check_average(str(options.pop("average", "loss"))),
            keys=cast(Reuse, options.pop("keys", "fresh")),
            target=None if target is None else _checked_target(name, facts, target),
            source=_checked_source(name, options.pop("source", None)),
            climb=None if (climb := options.pop("climb", None)) is None else str(climb),
            detector=checked_detector(name, facts["access"], options.pop("detector", None)),
        )._with(options)

    def _with(self, options: Mapping[str, Any]) -> Plan:
        known = attack_options(self.attack)
        for option in options:
            if option not in known and not _takes_any(self.attack):
                raise unknown_name(f"option of {self.attack}", option, known)
        chosen = {name: spec.whole(value) for name, value in options.items()}
        check_options(registry.get("attacks", self.attack).load(), chosen)
        return Plan(**{**vars(self), "options": chosen})

    def check_fit(self, budget: Budget, modality: Modality, task: Task = CLASSES) -> None:
        """Raise ``UsageError`` unless the attack supports a task, a modality and the budget's norm there."""
        if self.attack == CLEAN:
            return
        facts, kind = registry.get("attacks", self.attack).facts, name_of(modality)
        if not serves(self.attack, task):
            raise UsageError(
                f"{self.attack} does not work on the task {task_name(task)}", expected=" or ".join(facts["tasks"])
            )
        if isinstance(task, Classes):
            if self.climb is not None:
                raise UsageError(
                    f"{self.attack} has no option climb for the task {task_name(task)}",
                    todo="attacks on classes choose their loss themselves: pgd(loss=margin), for example",
                )
        else:
            (task if self.target is None else Aimed(task=task)).check_climb(self.climb)
        if self.target is not None:
            task.check_target(self.target)
        if bounds(self.attack, budget, modality):
            return
        if kind not in facts["modality"]:
            raise UsageError(f"{self.attack} does not work on {kind} inputs", todo=f"variate list --modality {kind}")
        norms = ", ".join(facts["norms"])
        raise UsageError(f"{self.attack} has no {modality.norm(budget)} version", expected=f"a budget in {norms}")

    @property
    def holds(self) -> bool:
        """Whether the attack can transfer from another network."""
        return self.attack != CLEAN and "source" in _keywords(registry.get("attacks", self.attack).load())

    @property
    def label(self) -> str:
        """Its name in a suite, where an attack may run from several sources and on several deployments."""
        return label_of(self.attack, self.source, self.options.get("deployment"), self.climb)

    def choices(self) -> dict[str, Any]:
        """The options and all other fields that differ from their defaults, as the records keep them."""
        default = Plan(self.attack, self.draws, {})
        others = ("average", "keys", "target", "source", "climb", "detector")
        return self.options | {n: getattr(self, n) for n in others if getattr(self, n) != getattr(default, n)}

    def settings(self) -> dict[str, Any]:
        """All options of the attack, defaults included, without its draws."""
        if self.attack == CLEAN:
            return {}
        parameters = inspect.signature(registry.get("attacks", self.attack).load()).parameters
        defaults = {name: parameters[name].default for name in attack_options(self.attack)}
        declared = {name: value for name, value in defaults.items() if value is not inspect.Parameter.empty}
        wired = {name: getattr(self, name) for name in ("average", "keys", "target", "source")}
        more: dict[str, Any] = {} if self.climb is None else {"climb": self.climb}  # absent where there is no choice
        more |= {} if self.detector is None else {"detector": detector_settings(self.detector)}
        return wired | more | declared | self.options


def attack_options(name: str) -> list[str]:
    """The names of an attack's own options."""
    return [n for n in _keywords(registry.get("attacks", name).load()) if n not in WIRED]


def perturb(
    target: Target,
    plan: Plan,
    budget: Budget,
    x: Tensor,
    y: Tensor,
    goal: Tensor | None = None,
    *,
    checked: bool = True,
) -> tuple[Tensor, Oracle]:
    """Run one attack on one batch, through an oracle that grants the access it needs.

    Args:
        target: the network.
        plan: attack to run.
        budget: norm and size.
        x: inputs in [0, 1], shape (B, ...).
        y: labels of the task, shape (B, ...).
        goal: the answers to aim at, (B, ...), if they have been computed already.
        checked: whether to check the result against the attack's contract.

    Returns:
        Perturbed inputs, shape (B, ...), and the oracle with its counts. Raises ``AttackError`` for a broken contract.
    """
    entry = registry.get("attacks", plan.attack)
    reach = target.modality.reach(x, budget)
    goal = goal_of(target, plan.target, x, y) if goal is None else goal
    task, labels = aimed_at(target.task, y, goal)
    view, labels = task.seen(labels, plan.climb)
    oracle = ORACLES[entry.facts["access"]](
        target.network,
        draws=max(plan.draws, 1),  # an attack without queries has none
        stream=Stream("search", target.seed),
        examples=len(x),
        average=plan.average,
        keys=plan.keys,
        kind=target.kind,
        seed=target.seed,
        memory=target.memory,
        reach=reach,
        view=view,
        detector=detector_of_attack(plan.detector, target.seed, len(x)),
    )
    function = entry.load()
    options = dict(plan.options)
    if plan.holds and (target.can_be_held or _required(function, "source")):
        access = _source(target, plan.source, reach, view)
        options["source"] = partial(registry.get("attacks", "pgd").load(), access)
    if goal is not None and target.classifies:  # in other tasks the view is aimed
        options["target"] = goal
    function = inspect.unwrap(function)  # the plan has checked its options
    points = cast(Tensor, function(oracle, x, labels, budget=reach.budget, **options)).detach()
    perturbed = reach.inputs(points) if points.shape == x.shape else points
    if checked:
        check_contract(plan.attack, perturbed, reach, budget)
    return perturbed, oracle


def check_contract(attack: str, perturbed: Tensor, reach: Reach, budget: Budget) -> None:
    """Raise ``AttackError`` unless the perturbed inputs keep shape, budget, range and all other limits."""
    if perturbed.shape != reach.x.shape:
        raise AttackError(f"{attack} returned shape {tuple(perturbed.shape)}", expected=f"{tuple(reach.x.shape)}")
    outside = int((~reach.contains(perturbed)).sum())
    if outside:
        farthest = float(reach.distance(perturbed).amax())
        raise AttackError(
            f"{attack} left the budget {budget} or [0, 1] on {outside} of {len(perturbed)} examples",
            findings=[f"largest distance {farthest:.6g}; values from {perturbed.min():.4g} to {perturbed.max():.4g}"],
            expected=f"inputs within {budget} of the originals and inside [0, 1]",
        )


def _source(target: Target, name: str | None, reach: Reach, view: View | None) -> GradientOracle:
    """White-box access to the network that an attack transfers from."""
    network, stream = target.held(name), Stream("search", target.seed)
    kind = kind_of(network, reach.x[:2])
    return GradientOracle(
        network, draws=SOURCE_DRAWS, stream=stream, kind=kind, seed=target.seed, reach=reach, view=view
    )


def _required(function: Any, name: str) -> bool:
    return inspect.signature(function).parameters[name].default is inspect.Parameter.empty


def _keywords(function: Any) -> list[str]:
    parameters = inspect.signature(function).parameters.values()
    return [parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]


def _takes_any(name: str) -> bool:
    """Whether an attack takes arbitrary options, which it passes on and checks itself."""
    parameters = inspect.signature(registry.get("attacks", name).load()).parameters.values()
    return any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)


def _checked_target(attack: str, facts: Mapping[str, Any], target: Any) -> str:
    if not facts["targeted"]:
        raise UsageError(f"{attack} cannot be targeted", todo="leave out the target, or choose another attack")
    return str(spec.whole(target))


def _checked_source(attack: str, source: Any) -> str | None:
    if source is not None and "source" not in _keywords(registry.get("attacks", attack).load()):
        raise UsageError(f"{attack} is not a transfer attack", todo="leave out the source, or use transfer")
    return source if source is None else str(source)

"""What red flags need to know beside the attacks of an evaluation, measured on a few examples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from variate import registry
from variate.errors import InputError, UsageError
from variate.evaluation.claims import device_of, judged, look_at
from variate.evaluation.evaluate import budget_of, evaluate
from variate.evaluation.evaluation import Evaluation
from variate.evaluation.plan import attack_options, bounds
from variate.fields import overridden, takes_options
from variate.flags.evidence import DOUBTS
from variate.flags.unbounded_survives import UNBOUNDED
from variate.hashing import fingerprint
from variate.inputs.budget import NORMS, Budget
from variate.inputs.modality import Modality, modality_of
from variate.oracle.losses import cross_entropy
from variate.oracle.oracle import GradientOracle
from variate.random.keys import Stream, hash_words
from variate.random.network import RandomNetwork
from variate.random.seeding import left_as_found
from variate.records.file import Records
from variate.records.schema import Gradient, Part

EXAMPLES = 64  # that doubts are measured on, the first ones
DRAWS = 20  # where those of the attacks are found out
BLACK_BOX: tuple[dict[str, Any], ...] = (
    {"name": "noise", "queries": 100},
    {"name": "square", "queries": 300, "draws": 5},
    {"name": "greedy-words", "draws": 5},
)
CLIMBERS = ("pgd", "fmn", "hotflip")  # the first of them that fits follows the gradient


@takes_options(Evaluation)
def doubt(
    network: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    records: Records,
    name: str,
    group: str | None = None,
    evaluation: Evaluation = Evaluation(),
    examples: int = EXAMPLES,
    steps: int = 20,
    source: nn.Module | Mapping[str, nn.Module] | None = None,
    modality: str | Modality = "image",
    shard: tuple[int, int] = (0, 1),
    show_progress: bool = False,
    **overrides: Any,
) -> None:
    """Measure, on the first examples, what the red flags ask for; what the records hold is not measured again.

    One step and many, twice the steps, half and twice the budget, the whole range of inputs, random search, a short
    black-box attack, transfer, and what the gradients are worth. A network without a gradient is attacked from outside
    only, and the records say that its gradient is zero; a network for texts of another kind than ours, whose words
    have no vectors that could be moved, is attacked from outside too, and nothing is said of its gradient.

    Args:
        network: any module, in the mode it will be used in.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        records: where the answers go.
        name: the network's name there.
        group: a name that networks share which differ in their training seed alone.
        evaluation: options of ``evaluate``; the attacks and the deployment are chosen here, and ``auto`` draws are 20.
        examples: how many inputs, the first ones.
        steps: of the attacks with gradients.
        source: networks to transfer from.
        modality: of the inputs.
        shard: (number, count), as ``evaluate`` has it.
        show_progress: show a progress bar on standard error.
        overrides: fields of ``Evaluation`` by name, instead of those of ``evaluation``.
    """
    asked = overridden(evaluation, overrides, doubt)
    draws = DRAWS if asked.draws == "auto" else asked.draws
    parsed, kept = budget_of(asked), modality_of(modality)
    x, y = x[:examples], y[:examples].long()
    inputs, felt = fingerprint([x, y]), _felt(kept, x, network, parsed)
    with left_as_found(network):
        look = look_at(network, x if felt is None else felt)
        stream = Stream("search", hash_words("gradients", asked.seed))
        oracle = GradientOracle(
            network, draws=draws, stream=stream, examples=len(x), kind=look.kind, memory=asked.memory
        )
        size, memory = asked.batch_size, asked.memory
        facts = judged(look, inputs, kept, name=name, seed=asked.seed, batch_size=size, memory=memory)
        lines = [] if felt is None else _gradients(oracle, felt, y, facts, size)
        if shard[0] == 0:
            records.add(lines)
        sees = any(line.zero < 1 for line in lines)
    alone = replace(asked, draws=draws, deployments=("single",), suite=None, target=None, time_limit=None)
    attacked = partial(
        evaluate, network, x, y, source=source, modality=kept, records=records, name=name, group=group, shard=shard,
        show_progress=show_progress,
    )  # fmt: skip
    holds = isinstance(network, RandomNetwork) or (look.kind == "deterministic" and source is not None)
    for ball, attacks, part in measurements(x, parsed, kept, sees=sees, transfers=holds or bool(source), steps=steps):
        attacked(evaluation=replace(alone, budget=ball, attacks=attacks), part=part)


def measurements(
    x: Tensor, budget: Budget, modality: Modality, *, sees: bool, transfers: bool, steps: int = 20
) -> list[tuple[Budget, list[dict[str, Any]], Part]]:
    """The attacks that red flags need: budgets, the attacks within each, and the part of the records that they go to.

    Args:
        x: inputs in [0, 1], shape (B, ...).
        budget: the norm and the size.
        modality: of the inputs.
        sees: whether the network has a gradient to follow.
        transfers: whether an attacker could hold another network; a random network of another kind has no mean.
        steps: of the attacks with gradients.
    """
    white = next((name for name in CLIMBERS if bounds(name, budget, modality)), "pgd")
    takes_steps = "steps" in attack_options(white)
    many: dict[str, Any] = {"name": white, "steps": steps} if takes_steps else {"name": white}
    whites = [{"name": "fgsm"}, many, *([many | {"steps": 2 * steps}] if takes_steps else [])]
    known = registry.entries("attacks")
    inside = [w for w in whites if sees and bounds(w["name"], budget, modality)]
    outside = [b for b in BLACK_BOX if b["name"] in known and bounds(b["name"], budget, modality)]
    if transfers:
        outside += [{"name": "transfer"}] if bounds("transfer", budget, modality) else []
    measured: list[tuple[Budget, list[dict[str, Any]], Part]] = [(budget, [*inside, *outside], DOUBTS)]
    if not sees or not inside:
        return measured
    measured += [(budget.scaled(factor), [many], DOUBTS) for factor in (Fraction(1, 2), Fraction(2))]
    climbing, whole = {"name": "pgd", "steps": 2 * steps}, modality.whole_range(x, budget)
    return [*measured, (whole, [climbing], UNBOUNDED)]


def _felt(modality: Modality, x: Tensor, network: nn.Module, budget: Budget) -> Tensor | None:
    """The inputs in a form that has a gradient; None where the network takes none, and the budget needs none."""
    try:
        return modality.smooth(x, network)
    except UsageError:
        if modality.norm(budget) in NORMS:
            raise
        return None


def _gradients(
    oracle: GradientOracle, x: Tensor, y: Tensor, facts: Mapping[str, Any], batch_size: int
) -> list[Gradient]:
    """What the gradient at each input is worth, batch by batch under the same draws."""
    device = device_of(oracle.network, x)
    keys = oracle.take_keys(x)
    lines = []
    for start in range(0, len(x), batch_size):
        here, labels = (tensor[start : start + batch_size].to(device) for tensor in (x, y))
        rows = torch.arange(start, start + len(here))
        try:
            _, slopes, _ = oracle.each(here, labels, cross_entropy, keys, rows=rows)  # (S, B, ...)
        except InputError:  # no gradient at all is a finding, not a failure; bad outputs are refused by evaluate
            slopes = torch.zeros(1, *here.shape)
        for i, slope in enumerate(slopes.unbind(1), start):
            zero, snr, cosine = _worth(slope.flatten(1).double())
            worth: dict[str, Any] = {"zero": zero, "snr": snr, "cosine": cosine, "draws": len(slopes)}
            lines.append(Gradient(**facts, example=i, **worth))
    return lines


def _worth(slopes: Tensor) -> tuple[float, float | None, float]:
    """The gradients of one input under several draws, (S, D), as share of zeros, snr and cosine."""
    mean, half = slopes.mean(0), len(slopes) // 2
    spread = float((slopes - mean).square().sum(1).mean().sqrt())
    zero = float((slopes == 0).all(1).double().mean())
    if len(slopes) < 2 or spread == 0:
        return zero, None, float(zero < 1)
    cosine = torch.cosine_similarity(slopes[:half].mean(0), slopes[half:].mean(0), dim=0)
    return zero, round(float(mean.norm()) / spread, 4), round(float(cosine), 4)

"""Measure the evidence for the red flags that the attacks of an evaluation do not give, on a few examples."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from variate import registry
from variate.errors import GradientError, InputError, UsageError
from variate.evaluation.claims import judged, look_at
from variate.evaluation.evaluate import budget_of, evaluate
from variate.evaluation.evaluation import Evaluation
from variate.evaluation.fitting import bounds
from variate.evaluation.plan import attack_options
from variate.evaluation.probes import device_of
from variate.fields import overridden, takes_options
from variate.flags.evidence import DOUBTS, sees_gradient
from variate.flags.unbounded_survives import UNBOUNDED
from variate.hashing import fingerprint
from variate.inputs.budget import NORMS, Budget
from variate.inputs.modality import Modality, modality_of
from variate.inputs.validation import precise
from variate.oracle.losses import cross_entropy
from variate.oracle.query_price import Prices, query_prices
from variate.oracle.white_box import GradientOracle
from variate.random.keys import Stream, hash_words
from variate.random.network import RandomNetwork
from variate.random.seeding import generators_as_found, left_as_found
from variate.records.claim import Part
from variate.records.file import Records
from variate.records.schema import Gradient
from variate.tasks.classes import CLASSES
from variate.tasks.task import Task, network_of, task_of

EXAMPLES = 64  # number of first examples to measure on
DRAWS = 20  # draws per query where the evaluation chooses them itself (``auto``)
BLACK_BOX: tuple[dict[str, Any], ...] = (
    {"name": "noise", "queries": 100},
    {"name": "square", "queries": 300, "draws": 5},
    {"name": "greedy-words", "draws": 5},
)
PRICED = 8  # number of first examples on which the price of a query is measured
SAMPLES = 8  # draws of each half of that measurement
STEPS = (0.1, 0.3, 1.0)  # lengths of a step of its differences, relative to the budget
WHITE_BOX = ("pgd", "fmn", "hotflip")  # the first that fits is the attack that follows the gradient


@takes_options(Evaluation)
@generators_as_found()
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
    task: str | Task = CLASSES,
    shard: tuple[int, int] = (0, 1),
    show_progress: bool = False,
    **overrides: Any,
) -> None:
    """Measure, on the first examples, the evidence that the red flags need; measurements in the records are reused.

    Measured are: one step and many, twice the steps, half and twice the budget, the whole range of inputs, random
    search, a short black-box attack, transfer, the quality of the gradients, and, for a random network, the price of a
    query on the first 8 examples. A network without a gradient is
    attacked by black-box attacks only, and its gradient is recorded as zero. A text network without word vectors to
    perturb is attacked by black-box attacks too, and no gradient is recorded.

    Args:
        network: any module, in the mode it will be used in.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B, ...).
        records: records that the answers are added to.
        name: name of the network in the records.
        group: name shared by networks that differ only in their training seed.
        evaluation: options of ``evaluate``; its attacks and deployments are replaced, and ``auto`` draws are 20.
        examples: number of first examples to measure on.
        steps: steps of the gradient attacks.
        source: networks to transfer from.
        modality: modality of the inputs.
        task: what the answers are.
        shard: (index, count), as in ``evaluate``.
        show_progress: show a progress bar on standard error.
        overrides: fields of ``Evaluation`` by name, which replace those of ``evaluation``.
    """
    settings = overridden(evaluation, overrides, doubt)
    draws = DRAWS if settings.draws == "auto" else settings.draws
    budget, input_kind, kind = budget_of(settings), modality_of(modality), task_of(task)
    x, y, network = x[:examples], kind.typed(y[:examples]), kind.answers(network)
    inputs, relaxed = fingerprint([x, y]), _relaxed(input_kind, precise(x.detach()), network, budget)
    with left_as_found(network):
        look = look_at(network, x if relaxed is None else relaxed)
        stream = Stream("search", hash_words("gradients", settings.seed))
        view, seen = kind.seen(y)
        oracle = GradientOracle(
            network, draws=draws, stream=stream, examples=len(x), kind=look.kind, memory=settings.memory, view=view
        )
        size, memory = settings.batch_size, settings.memory
        facts = judged(look, inputs, input_kind, kind, name=name, seed=settings.seed, batch_size=size, memory=memory)
        lines = [] if relaxed is None else _gradients(oracle, relaxed, seen, facts, size)
        if relaxed is not None and look.kind != "deterministic":
            lines = _priced(lines, oracle, relaxed, seen, budget, size)
        if shard[0] == 0:
            records.add(lines)
        has_gradient = any(line.zero < 1 for line in lines)
    single = replace(
        settings, draws=draws, deployments=("single",), suite=None, target=None, keep_inputs=None, time_limit=None,
        detector=None,
    )  # fmt: skip
    measure = partial(
        evaluate, network, x, y, source=source, modality=input_kind, task=kind, records=records, name=name, group=group,
        shard=shard, show_progress=show_progress,
    )  # fmt: skip
    can_transfer = isinstance(network_of(network), RandomNetwork) or (
        look.kind == "deterministic" and source is not None
    )
    can_transfer = can_transfer or bool(source)
    measured_for = measurements(x, budget, input_kind, has_gradient=has_gradient, transfers=can_transfer, steps=steps)
    with records.held():
        for allowed, attacks, part in measured_for:
            try:
                measure(evaluation=replace(single, budget=allowed, attacks=attacks), part=part)
            except GradientError:  # met on the way, by points that are no inputs
                blind = [attack for attack in attacks if not sees_gradient(attack["name"])]
                measure(evaluation=replace(single, budget=allowed, attacks=blind), part=part)


def measurements(
    x: Tensor, budget: Budget, modality: Modality, *, has_gradient: bool, transfers: bool, steps: int = 20
) -> list[tuple[Budget, list[dict[str, Any]], Part]]:
    """The attacks that the red flags need: budgets, attacks within each, and the part of the records they belong to.

    Args:
        x: inputs in [0, 1], shape (B, ...).
        budget: norm and size.
        modality: modality of the inputs.
        has_gradient: whether the network has a gradient to follow.
        transfers: whether there is a network to transfer from; random networks of other libraries have no mean.
        steps: steps of the gradient attacks.
    """
    white = next((name for name in WHITE_BOX if bounds(name, budget, modality)), "pgd")
    takes_steps = "steps" in attack_options(white)
    many: dict[str, Any] = {"name": white, "steps": steps} if takes_steps else {"name": white}
    whites = [{"name": "fgsm"}, many, *([many | {"steps": 2 * steps}] if takes_steps else [])]
    registered = registry.entries("attacks")
    white_box = [w for w in whites if has_gradient and bounds(w["name"], budget, modality)]
    black_box = [b for b in BLACK_BOX if b["name"] in registered and bounds(b["name"], budget, modality)]
    if transfers:
        black_box += [{"name": "transfer"}] if bounds("transfer", budget, modality) else []
    measured: list[tuple[Budget, list[dict[str, Any]], Part]] = [(budget, [*white_box, *black_box], DOUBTS)]
    if not has_gradient or not white_box:
        return measured
    measured += [(budget.scaled(factor), [many], DOUBTS) for factor in (Fraction(1, 2), Fraction(2))]
    unbounded, whole = {"name": "pgd", "steps": 2 * steps}, modality.whole_range(x, budget)
    return [*measured, (whole, [unbounded], UNBOUNDED)]


def _relaxed(modality: Modality, x: Tensor, network: nn.Module, budget: Budget) -> Tensor | None:
    """Inputs in a differentiable form; None if the network takes no such form and the budget does not need it."""
    try:
        return modality.smooth(x, network)
    except UsageError:
        if modality.norm(budget) in NORMS:
            raise
        return None


def _gradients(
    oracle: GradientOracle, x: Tensor, y: Tensor, facts: Mapping[str, Any], batch_size: int
) -> list[Gradient]:
    """The quality of the gradient at each input, batch by batch under the same draws."""
    device = device_of(oracle.network, x)
    keys = oracle.take_keys(x)
    lines = []
    for start in range(0, len(x), batch_size):
        inputs, labels = (tensor[start : start + batch_size].to(device) for tensor in (x, y))
        rows = torch.arange(start, start + len(inputs))
        try:
            _, gradients, _ = oracle.each(inputs, labels, cross_entropy, keys, rows=rows)  # (S, B, ...)
        except InputError:  # a missing gradient is a finding, not a failure; evaluate refuses bad outputs
            gradients = torch.zeros(1, *inputs.shape)
        for i, by_draw in enumerate(gradients.unbind(1), start):
            zero, snr, cosine = _quality(by_draw.flatten(1).double())
            quality: dict[str, Any] = {"zero": zero, "snr": snr, "cosine": cosine, "draws": len(gradients)}
            lines.append(Gradient(**facts, example=i, **quality))
    return lines


def _priced(
    lines: list[Gradient], oracle: GradientOracle, x: Tensor, y: Tensor, budget: Budget, batch_size: int
) -> list[Gradient]:
    """The lines with the price of a query on the first examples, where the network has a gradient."""
    if budget.norm not in ("linf", "l2") or any(line.zero == 1 for line in lines[:PRICED]):
        return lines
    size = budget.eps if budget.norm == "linf" else budget.eps / math.sqrt(x[0].numel())  # of one value
    keys, priced, device = oracle.stream.take(2 * SAMPLES), [], device_of(oracle.network, x)
    for start in range(0, min(PRICED, len(x)), batch_size):
        few, labels = (tensor[start : min(start + batch_size, PRICED)].to(device) for tensor in (x, y))
        try:
            steps = [size * step for step in STEPS]
            found = query_prices(oracle, few, labels, steps=steps, samples=SAMPLES, keys=keys)
        except InputError:  # at a point that is not an input
            return lines
        priced += [_with_price(line, found, i) for i, line in enumerate(lines[start : start + len(few)])]
    return [*priced, *lines[len(priced) :]]


def _with_price(line: Gradient, found: Prices, i: int) -> Gradient:
    """A line with the price of a query of the i-th example that was measured."""
    by_step = {f"{step:g}": float(one.by_repeats[1][i]) for step, one in zip(STEPS, found.prices, strict=True)}
    finite = {step: round(value, 3) for step, value in by_step.items() if math.isfinite(value)}
    best = float(found.best()[0][i])
    known = round(best, 3) if math.isfinite(best) else None
    return line.model_copy(update={"price": known, "price_by_step": finite})


def _quality(gradients: Tensor) -> tuple[float, float | None, float]:
    """Share of zeros, signal-to-noise ratio and cosine of one input's gradients under several draws, (S, D)."""
    mean, half = gradients.mean(0), len(gradients) // 2
    spread = float((gradients - mean).square().sum(1).mean().sqrt())
    zero = float((gradients == 0).all(1).double().mean())
    if len(gradients) < 2 or spread == 0:
        return zero, None, float(zero < 1)
    cosine = torch.cosine_similarity(gradients[:half].mean(0), gradients[half:].mean(0), dim=0)
    return zero, round(float(mean.norm()) / spread, 4), round(float(cosine), 4)

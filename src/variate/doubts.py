"""What red flags need to know beside the attacks of an evaluation, measured on a few examples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from variate import registry
from variate.budget import Budget
from variate.errors import InputError
from variate.evaluation import evaluate
from variate.evidence import DOUBTS
from variate.fingerprint import fingerprint
from variate.flags.unbounded_survives import UNBOUNDED
from variate.keyed import Kind, identity, kind_of, left_as_found
from variate.lines import Gradient
from variate.losses import cross_entropy
from variate.network import RandomNetwork
from variate.oracle import GradientOracle
from variate.randomness import Stream, hash_words
from variate.record import Records

BLACK_BOX: tuple[dict[str, Any], ...] = (
    {"name": "noise", "queries": 100},
    {"name": "square", "queries": 300, "draws": 5},
)


def doubt(
    network: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    budget: str | Budget,
    records: Records,
    name: str,
    examples: int = 64,
    draws: int = 20,
    steps: int = 20,
    source: nn.Module | Mapping[str, nn.Module] | None = None,
    **common: Any,
) -> None:
    """Measure, on the first examples, what the red flags ask for; what the records hold is not measured again.

    One step and many, twice the steps, half and twice the budget, the whole range of inputs, random search, a short
    black-box attack, transfer, and what the gradients are worth. A network without a gradient is attacked from outside
    only, and the records say that its gradient is zero.

    Args:
        network: any module, in the mode it will be used in.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        budget: the norm and the size.
        records: where the answers go.
        name: the network's name there.
        examples: how many inputs, the first ones.
        draws: that each query of an attack averages over.
        steps: of the attacks with gradients.
        source: networks to transfer from.
        common: further arguments of ``evaluate``.
    """
    parsed = Budget.parse(budget)
    x, y = x[:examples], y[:examples].long()
    with left_as_found(network):
        kind = kind_of(network, x[:2].to(_place(network, x)))
        seed, shard = int(common.get("seed", 0)), common.get("shard", (0, 1))
        sees = _gradients(network, x, y, kind, records, name, seed, draws, shard)
    judged = {"deployments": ("single",), "records": records, "name": name, "source": source, "draws": draws, **common}
    white = "fmn" if parsed.norm == "l0" else "pgd"
    many, twice = {"name": white, "steps": steps}, {"name": white, "steps": 2 * steps}
    known = registry.entries("attacks")
    whites: tuple[dict[str, Any], ...] = ({"name": "fgsm"}, many, twice)
    inside = [w for w in whites if sees and _bounds(w["name"], parsed)]
    outside = [b for b in BLACK_BOX if b["name"] in known and _bounds(b["name"], parsed)]
    if isinstance(network, RandomNetwork) or source is not None:
        outside += [{"name": "transfer"}] if _bounds("transfer", parsed) else []
    evaluate(network, x, y, budget=parsed, attacks=[*inside, *outside], part=DOUBTS, **judged)
    if not sees:
        return
    for size in _sizes(parsed):
        evaluate(network, x, y, budget=parsed.with_size(size), attacks=[many], part=DOUBTS, **judged)
    whole = {"linf": "1", "l2": f"{x[0].numel() ** 0.5:.6g}"}.get(parsed.norm, str(x[0].numel()))
    evaluate(network, x, y, budget=parsed.with_size(whole), attacks=[twice], part=UNBOUNDED, **judged)


def _gradients(
    network: nn.Module,
    x: Tensor,
    y: Tensor,
    kind: Kind,
    records: Records,
    name: str,
    seed: int,
    draws: int,
    shard: tuple[int, int],
) -> bool:
    """Record what the gradient at each input is worth; whether there is one at all."""
    prints = identity(network), fingerprint([x, y])
    stream = Stream("search", hash_words("gradients", seed))
    oracle = GradientOracle(network, draws=draws, stream=stream, kind=kind)
    device = _place(network, x)
    x, y = x.to(device), y.to(device)
    try:
        _, slopes, _ = oracle.each(x, y, cross_entropy, oracle.take_keys(x))  # (S, B, ...)
    except InputError:
        slopes = torch.zeros(1, *x.shape)
    lines = []
    for i, slope in enumerate(slopes.unbind(1)):
        zero, snr, cosine = _worth(slope.flatten(1).double())
        lines.append(
            Gradient(
                network=name,
                fingerprint=prints[0],
                inputs=prints[1],
                example=i,
                zero=zero,
                snr=snr,
                cosine=cosine,
                draws=len(slopes),
            )
        )
    if shard[0] == 0:
        records.add(lines)
    return any(line.zero < 1 for line in lines)


def _worth(slopes: Tensor) -> tuple[float, float | None, float]:
    """The gradients of one input under several draws, (S, D), as share of zeros, snr and cosine."""
    mean, half = slopes.mean(0), len(slopes) // 2
    spread = float((slopes - mean).square().sum(1).mean().sqrt())
    zero = float((slopes == 0).all(1).double().mean())
    if len(slopes) < 2 or spread == 0:
        return zero, None, float(zero < 1)
    cosine = torch.cosine_similarity(slopes[:half].mean(0), slopes[half:].mean(0), dim=0)
    return zero, round(float(mean.norm()) / spread, 4), round(float(cosine), 4)


def _sizes(budget: Budget) -> list[str]:
    """Half and twice the size, as exact fractions; in l0 whole numbers."""
    half, double = budget.size / 2, budget.size * 2
    return [str(int(half)), str(double)] if budget.norm == "l0" else [str(half), str(double)]


def _bounds(attack: str, budget: Budget) -> bool:
    return budget.norm in registry.get("attacks", attack).facts["norms"]


def _place(network: nn.Module, x: Tensor) -> torch.device:
    return next((parameter.device for parameter in network.parameters()), x.device)

"""Cost of the noise: ResNet-18's 11.2 million Gaussians, made and applied, against one pass over the same memory.

    python benchmarks/sampling.py [--json FILE] [--rounds N] [--threads 1 2]

``variate`` is the compiled sampler, once with the standard deviation given and once computing its softplus. The pass
reads two tensors and writes a third (``torch.add(a, b, out=c)``), tensor by tensor.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import measuring
import torch
from measuring import Timed
from networks import CASES
from torch import Tensor
from torch.nn import functional as F

from variate.random.keys import hash_words
from variate.random.noise import native, threefry
from variate.random.noise.native import Row, Table

CASE = "ResNet-18 b128"
SECONDS = 20  # for all rounds at one number of threads, unless the minimum number of rounds takes longer
PASS = "streaming pass"
SCALED, SOFTPLUS = "variate, mean + scale * noise", "variate, mean + softplus(rho) * noise"
CHAIN, PLAIN_TORCH = "torch, mean + softplus(rho) * randn_like", "variate in plain torch (threefry)"
TARGET = 2.0  # as a multiple of the streaming pass


@dataclass(frozen=True)
class Tensors:
    """The tensors that every variant reads and writes, with the sizes of ResNet-18's parameters.

    Attributes:
        uids: numbers of the parameters.
        means: tensors to which the noise is added.
        levels: scale of the noise, used as a standard deviation or as the input of softplus.
        outs: tensors that receive the sum.
    """

    uids: list[int]
    means: list[Tensor]
    levels: list[Tensor]
    outs: list[Tensor]

    @property
    def count(self) -> int:
        """Number of elements of all means."""
        return sum(mean.numel() for mean in self.means)


def tensors() -> Tensors:
    """Tensors with the sizes of the benchmark's network."""
    named = {name: parameter.detach() for name, parameter in CASES[CASE]()[0].named_parameters()}
    means = list(named.values())
    uids = [hash_words("parameter", name) for name in named]
    return Tensors(uids, means, [torch.full_like(mean, -4.0) for mean in means], [mean.clone() for mean in means])


def streaming(t: Tensors) -> Callable[[], object]:
    """Read two tensors, write one."""

    def run() -> None:
        for mean, level, out in zip(t.means, t.levels, t.outs, strict=True):
            torch.add(mean, level, out=out)

    return run


def compiled(t: Tensors, positive: bool) -> Callable[[], object]:
    """The compiled sampler."""
    table = Table([Row(uid, "normal", mean.numel(), positive) for uid, mean in zip(t.uids, t.means, strict=True)])
    keys = itertools.count()
    return lambda: table.run("draw", next(keys), t.means, t.levels, t.outs)


def chain(t: Tensors) -> Callable[[], object]:
    """The obvious way in torch."""
    return lambda: [m + F.softplus(rho) * torch.randn_like(m) for m, rho in zip(t.means, t.levels, strict=True)]


def plain_torch(t: Tensors) -> Callable[[], object]:
    """The noise of the compiled sampler, made in plain torch."""
    keys = itertools.count()

    def run() -> object:
        key = next(keys)
        return [
            mean + F.softplus(rho) * threefry.noise("normal", key, uid, mean.numel()).view_as(mean)
            for uid, mean, rho in zip(t.uids, t.means, t.levels, strict=True)
        ]

    return run


def measure(t: Tensors, threads: int, rounds: int | None) -> dict[str, Any]:
    """All variants on a number of threads."""
    torch.set_num_threads(threads)
    sides = {PASS: streaming(t)}
    if native.available():
        sides |= {SCALED: compiled(t, positive=False), SOFTPLUS: compiled(t, positive=True)}
    sides |= {CHAIN: chain(t), PLAIN_TORCH: plain_torch(t)}
    timed = measuring.interleaved(sides, seconds=SECONDS, rounds=rounds)
    found = {side: record(timed, side, t.count) for side in sides}
    rows = [
        (
            side,
            f"{row['ms']:.2f}",
            f"{row['ns per weight']:.2f}",
            str(row.get("ratio", "")),
            f"{TARGET:.0f}" * (side in (SCALED, SOFTPLUS)),
        )
        for side, row in found.items()
    ]
    measuring.table(
        (f"{t.count:,} weights, threads: {threads}", "ms", "ns / weight", "ratio to the pass", "target"), rows
    )
    measuring.warn(timed)
    return {"elsewhere": round(timed.elsewhere, 3), "sides": found}


def record(timed: Timed, side: str, count: int) -> dict[str, Any]:
    """The numbers of one variant."""
    ms = timed.median(side)
    numbers = {"ms": round(ms, 3), "ns per weight": round(1e6 * ms / count, 4), "rounds": timed.rounds}
    return numbers | ({} if side == PASS else {"ratio": timed.ratio(side, PASS)})


def main() -> None:
    """Print the tables, and write them as JSON if asked."""
    parser = measuring.arguments(__doc__)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="numbers of threads to measure with")
    options = parser.parse_args()
    machine = measuring.facts()
    measuring.announce(machine)
    t = tensors()
    with torch.no_grad():
        found = {str(threads): measure(t, threads, options.rounds) for threads in options.threads}
    measuring.write(options.json, machine, {"weights": t.count, "threads": found})


if __name__ == "__main__":
    main()

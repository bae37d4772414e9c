"""Cost of attacks and verdicts: Variate against plain loops and other libraries at the same network, steps and draws.

    python benchmarks/attacks.py [--json FILE] [--seconds N]

All variants of a measurement take turns in one process; the result is the ratio of medians with a 95 % bootstrap
interval. torchattacks, foolbox and ART are included where they are installed
(``pip install --no-deps -r benchmarks/tools.txt``).
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import measuring
import torch
from networks import images
from torch import Tensor, nn
from torch.nn import functional as F

from variate import registry
from variate.evaluation.judge import judge
from variate.inputs.budget import Budget
from variate.oracle.white_box import GradientOracle
from variate.random.fixing import fixed
from variate.random.keys import Stream
from variate.random.network import RandomNetwork
from variate.random.randomize import randomize
from variate.statistics.rates import Deployment

Run = Callable[[], object]
EPS, DRAWS, VERDICT = 0.1, 20, 100
OURS, PLAIN = "variate", "plain loop"
CASES = {  # network, shape, batch, steps, rounds, target for our best variant against torchattacks' EOTPGD
    "LeNet b256": ("lenet", (1, 28, 28), 256, 2, 11, 0.9),
    "LeNet b16": ("lenet", (1, 28, 28), 16, 5, 11, 0.5),
    "LeNet b1": ("lenet", (1, 28, 28), 1, 5, 15, 0.3),
    "ResNet-18 b32": ("resnet18", (3, 32, 32), 32, 1, 5, 0.8),
}
ASKED = {"deterministic": 1.05, "judge": 1.1, "oracle": 1.03}


def plain_pgd(network: nn.Module, x: Tensor, y: Tensor, steps: int, draws: int) -> Tensor:
    """A plain loop: PGD from the input, averaging the gradients of fresh forwards."""
    perturbed = x.clone()
    for _ in range(steps):
        total = torch.zeros_like(x)
        for _ in range(draws):
            leaf = perturbed.detach().requires_grad_()
            total += torch.autograd.grad(F.cross_entropy(network(leaf), y), leaf)[0]
        moved = perturbed + 2.5 * EPS / steps * total.sign()
        perturbed = (x + (moved - x).clamp(-EPS, EPS)).clamp(0, 1)
    return perturbed


def our_pgd(network: nn.Module, x: Tensor, y: Tensor, steps: int, draws: int) -> Tensor:
    """The same attack through the oracle."""
    pgd = registry.get("attacks", "pgd").load()
    oracle = GradientOracle(network, draws=draws, stream=Stream("search", 0))
    result: Tensor = pgd(oracle, x, y, budget=Budget.parse(f"linf:{EPS}"), steps=steps, random_start=False)
    return result


def eotpgd(network: nn.Module, x: Tensor, y: Tensor, steps: int, draws: int) -> Callable[[], Tensor]:
    """Torchattacks' EOTPGD."""
    import torchattacks

    attack = torchattacks.EOTPGD(network, eps=EPS, alpha=2.5 * EPS / steps, steps=steps, eot_iter=draws)
    attack.random_start = False
    return functools.partial(attack, x, y)


def foolbox_pgd(network: nn.Module, x: Tensor, y: Tensor, steps: int) -> Callable[[], object]:
    """Foolbox' PGD."""
    import foolbox

    attack = foolbox.attacks.LinfProjectedGradientDescentAttack(
        rel_stepsize=2.5 / steps, steps=steps, random_start=False
    )
    return functools.partial(attack, foolbox.PyTorchModel(network, bounds=(0, 1)), x, y, epsilons=EPS)


def averaged(network: nn.Module, draws: int) -> nn.Module:
    """A module whose every forward is the mean over fresh draws, for libraries that cannot average."""

    class Averaged(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, x: Tensor) -> Tensor:
            return torch.stack([self.network(x) for _ in range(draws)]).mean(0)

    return Averaged().train(network.training)


def art_pgd(network: nn.Module, x: Tensor, y: Tensor, steps: int) -> Callable[[], object]:
    """ART's PGD."""
    from art.attacks.evasion import ProjectedGradientDescentPyTorch
    from art.estimators.classification import PyTorchClassifier

    with torch.no_grad():
        classes = network(x[:1]).shape[1]
    model = PyTorchClassifier(network, nn.CrossEntropyLoss(), tuple(x.shape[1:]), classes, clip_values=(0, 1))
    attack = ProjectedGradientDescentPyTorch(
        model, eps=EPS, eps_step=2.5 * EPS / steps, max_iter=steps, batch_size=len(x), verbose=False
    )
    return functools.partial(attack.generate, x.numpy(), y.numpy())


def installed(name: str) -> bool:
    """Whether a library is installed."""
    return importlib.util.find_spec(name) is not None


def show(title: str, timed: measuring.Timed, against: str, asked: Mapping[str, float]) -> dict[str, Any]:
    """Print one measurement, and return its record."""
    found: dict[str, Any] = {"rounds": timed.rounds, "against": against, "sides": {}}
    rows = []
    for side in timed.seconds:
        ratio = timed.ratio(side, against)
        row: dict[str, Any] = {"ms": round(timed.median(side), 2), "ratio": ratio}
        row |= {"asked": asked[side]} if side in asked else {}
        found["sides"][side] = row
        rows.append((side, f"{row['ms']:.1f}", str(ratio), f"{asked[side]:.2f}" if side in asked else ""))
    measuring.table((title, "ms", f"ratio to {against}", "asked"), rows)
    measuring.warn(timed)
    return found


def deterministic(seconds: float) -> dict[str, Any]:
    """PGD on a deterministic network, through the oracle against a plain loop, and other libraries."""
    network, x, y = images("lenet", (1, 28, 28), 128)
    network.eval()
    runs: dict[str, Run] = {
        PLAIN: functools.partial(plain_pgd, network, x, y, 10, 1),
        OURS: functools.partial(our_pgd, network, x, y, 10, 1),
    }
    if installed("foolbox"):
        runs["foolbox"] = foolbox_pgd(network, x, y, 10)
    if installed("art"):
        runs["ART"] = art_pgd(network, x, y, 10)
    timed = measuring.interleaved(runs, seconds=seconds)
    return show("PGD, deterministic LeNet b128", timed, PLAIN, {OURS: ASKED["deterministic"]})


def random(case: str) -> dict[str, Any]:
    """PGD with averaged draws on a random network."""
    architecture, shape, batch, steps, rounds, asked = CASES[case]
    plain, x, y = images(architecture, shape, batch)
    network = randomize(plain).eval()
    arguments = (network, x, y, steps, DRAWS)
    runs: dict[str, Run] = {
        PLAIN: functools.partial(plain_pgd, *arguments),
        OURS: functools.partial(our_pgd, *arguments),
    }
    against = PLAIN
    if installed("torchattacks"):
        against = "torchattacks EOTPGD"
        runs[against] = eotpgd(*arguments)
    small = architecture == "lenet"  # the others take minutes on a large network
    if small and installed("foolbox"):
        runs["foolbox, averaged module"] = foolbox_pgd(averaged(network, DRAWS), x, y, steps)
    if small and installed("art"):
        runs["ART, averaged module"] = art_pgd(averaged(network, DRAWS), x, y, steps)
    timed = measuring.interleaved(runs, seconds=0, rounds=rounds)
    return show(f"PGD, {DRAWS} draws, random {case}", timed, against, {OURS: asked})


def verdict(seconds: float) -> dict[str, Any]:
    """The judge at 100 draws against as many forwards of the deterministic network."""
    plain, x, y = images("lenet", (1, 28, 28), 256)
    plain.eval()
    network = randomize(plain)

    def forwards() -> None:
        with torch.no_grad():
            for _ in range(VERDICT):
                plain(x)

    def judged() -> None:
        ways = [Deployment.parse(text) for text in ("single", "mean-16", "majority-16", "survive-10")]
        stream = Stream("verdict", 0)
        judge(network, x, y, deployments=ways, draws=VERDICT, stream=stream, kind="keyed")

    name = f"{VERDICT} deterministic forwards"
    runs: dict[str, Run] = {name: forwards, OURS: judged}
    timed = measuring.interleaved(runs, seconds=seconds)
    return show(f"judge at {VERDICT} draws, LeNet b256", timed, name, {OURS: ASKED["judge"]})


def oracle(seconds: float) -> dict[str, Any]:
    """Overhead of the oracle: averaged gradients through it against the same passes without it."""
    plain, x, y = images("resnet18", (3, 32, 32), 32)
    network = randomize(plain).eval()

    def bare(network: RandomNetwork, x: Tensor, y: Tensor) -> Tensor:
        total = torch.zeros_like(x)
        for key in Stream("search", 0).take(5):
            leaf = x.detach().requires_grad_()
            with fixed(network, key, learn=False):
                total += torch.autograd.grad(F.cross_entropy(network(leaf), y), leaf)[0]
        return total

    asked = GradientOracle(network, draws=5, stream=Stream("search", 0), kind="keyed")
    runs: dict[str, Run] = {
        "5 passes under keys": functools.partial(bare, network, x, y),
        "oracle": functools.partial(asked.gradient, x, y),
    }
    timed = measuring.interleaved(runs, seconds=seconds)
    return show("one gradient over 5 draws, ResNet-18 b32", timed, "5 passes under keys", {"oracle": ASKED["oracle"]})


def main() -> None:
    """Print the tables, and write them as JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the measurements here too")
    parser.add_argument("--seconds", type=float, default=60, help="for all rounds of one measurement")
    options = parser.parse_args()
    machine = measuring.facts()
    measuring.announce(machine)
    found = {
        "deterministic": deterministic(options.seconds),
        "random": {case: random(case) for case in CASES},
        "judge": verdict(options.seconds),
        "oracle": oracle(options.seconds),
    }
    measuring.write(options.json, machine, found)


if __name__ == "__main__":
    main()

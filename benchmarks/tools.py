"""What tools report about a random network, and how fresh draws judge the inputs they return.

    variate train --data fashion-mnist --network lenet --defense "random-at(scale=1.25)" --epochs 2 --lr 3e-3
        --objective "adversarial+snr(target=0.8):1" --budget linf:0.01 --attack-steps 1 --out runs/tools
    python benchmarks/tools.py runs/tools --json docs/results/tools/tools.json
    python benchmarks/tools.py --page docs/results/tools/tools.json     # the table again, from the records

All tools get the same network, 256 test images of Fashion-MNIST, budget and steps. Other libraries are called the way
their users call them, and those that cannot average get a module whose forward is the mean over fresh draws. They are
included where they are installed (``pip install --no-deps -r benchmarks/tools.txt``).
"""

from __future__ import annotations

import argparse
import functools
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import measuring
import numpy as np
import torch
from attacks import averaged, installed
from torch import Tensor, nn

from variate import registry
from variate.evaluation.judge import judge
from variate.evaluation.plan import Plan, perturb
from variate.evaluation.target import Target
from variate.inputs.budget import Budget
from variate.random.fixing import keys_from
from variate.random.keys import Stream
from variate.random.network import RandomNetwork
from variate.statistics.rates import Deployment, rate_of
from variate.training.saved import load

BUDGET, NOTHING = "linf:0.1", "linf:1e-6"
EXAMPLES, STEPS, FRESH = 256, 40, 50
LOOP = "plain loop, 10 draws"


@dataclass(frozen=True)
class Returned:
    """The result of a tool: inputs, and the robust accuracy if it reports one."""

    x: Tensor
    reports: float | None = None


Tool = Callable[[RandomNetwork, Tensor, Tensor, float], Returned]


def loop(draws: int) -> Tool:
    """A plain PGD loop of twenty lines."""

    def run(network: RandomNetwork, x: Tensor, y: Tensor, eps: float) -> Returned:
        found = x.clone()
        for _ in range(STEPS):
            total = torch.zeros_like(x)
            for _ in range(draws):
                leaf = found.detach().requires_grad_()
                total += torch.autograd.grad(nn.functional.cross_entropy(network(leaf), y), leaf)[0]
            found = (x + (found + 2.5 * eps / STEPS * total.sign() - x).clamp(-eps, eps)).clamp(0, 1)
        return Returned(found)

    return run


def ours(draws: int) -> Tool:
    """Our PGD; it reports the judge's verdict."""

    def run(network: RandomNetwork, x: Tensor, y: Tensor, eps: float) -> Returned:
        budget, target = Budget.parse(f"linf:{eps}"), Target(network, "keyed")
        found, _ = perturb(target, Plan("pgd", draws, {"steps": STEPS}), budget, x, y)
        return Returned(found, float(verdict(network, found, y, seed=0).mean()))

    return run


def torchattacks_pgd(draws: int) -> Tool:
    """Torchattacks; it reports nothing."""

    def run(network: RandomNetwork, x: Tensor, y: Tensor, eps: float) -> Returned:
        import torchattacks

        options = {"eps": eps, "alpha": 2.5 * eps / STEPS, "steps": STEPS}
        kind = torchattacks.PGD if draws == 1 else functools.partial(torchattacks.EOTPGD, eot_iter=draws)
        return Returned(kind(network, **options)(x, y))

    return run


def foolbox_pgd(draws: int) -> Tool:
    """Foolbox on the averaged module; it reports how many of its inputs the module gets wrong."""

    def run(network: RandomNetwork, x: Tensor, y: Tensor, eps: float) -> Returned:
        import foolbox

        model = foolbox.PyTorchModel(averaged(network, draws), bounds=(0, 1))
        attack = foolbox.attacks.LinfProjectedGradientDescentAttack(rel_stepsize=2.5 / STEPS, steps=STEPS)
        _, found, broken = attack(model, x, y, epsilons=eps)
        return Returned(found, 1 - float(broken.float().mean()))

    return run


def foolbox_repeat(draws: int) -> Tool:
    """Foolbox' own repetition: an example is broken once any of several runs has seen it broken."""

    def run(network: RandomNetwork, x: Tensor, y: Tensor, eps: float) -> Returned:
        import foolbox

        model = foolbox.PyTorchModel(network, bounds=(0, 1))
        attack = foolbox.attacks.LinfProjectedGradientDescentAttack(rel_stepsize=2.5 / STEPS, steps=STEPS)
        _, found, broken = attack.repeat(draws)(model, x, y, epsilons=eps)
        return Returned(found, 1 - float(broken.float().mean()))

    return run


def art_eot(draws: int) -> Tool:
    """ART's expectation over transformation, with a transformation that changes nothing: copies in one batch."""

    def run(network: RandomNetwork, x: Tensor, y: Tensor, eps: float) -> Returned:
        from art.attacks.evasion import ProjectedGradientDescentPyTorch
        from art.estimators.classification import PyTorchClassifier
        from art.preprocessing.expectation_over_transformation import EoTBrightnessPyTorch

        copies = EoTBrightnessPyTorch(nb_samples=draws, clip_values=(0.0, 1.0), delta=0.0)
        model = PyTorchClassifier(
            network, nn.CrossEntropyLoss(), tuple(x.shape[1:]), 10, clip_values=(0, 1), preprocessing_defences=[copies]
        )
        size = 2.5 * eps / STEPS
        attack = ProjectedGradientDescentPyTorch(
            model, eps=eps, eps_step=size, max_iter=STEPS, batch_size=len(x), verbose=False
        )
        return Returned(torch.from_numpy(attack.generate(x.numpy(), y.numpy())))

    return run


def autoattack(network: RandomNetwork, x: Tensor, y: Tensor, eps: float) -> Returned:
    """AutoAttack's version for randomized networks, as published: 20 draws a gradient."""
    from pyautoattack import AutoAttack

    logging.getLogger("auto-attack").setLevel(logging.ERROR)
    attack = AutoAttack(network, eps=eps, norm="Linf", version="rand", seed=0)
    found, answers = attack.run_standard_evaluation(x, y, batch_size=len(x))
    return Returned(found, float((answers == y).float().mean()))


TOOLS: dict[str, tuple[str | None, Tool]] = {
    "plain loop, 1 draw": (None, loop(1)),
    LOOP: (None, loop(10)),
    "plain loop, 20 draws": (None, loop(20)),
    "variate pgd, 1 draw": (None, ours(1)),
    "variate pgd, 10 draws": (None, ours(10)),
    "variate pgd, 20 draws": (None, ours(20)),
    "torchattacks PGD": ("torchattacks", torchattacks_pgd(1)),
    "torchattacks EOTPGD, 10 draws": ("torchattacks", torchattacks_pgd(10)),
    "foolbox PGD, averaged module, 10 draws": ("foolbox", foolbox_pgd(10)),
    "foolbox PGD, repeat(10)": ("foolbox", foolbox_repeat(10)),
    "ART PGD, EoT x10": ("art", art_eot(10)),
    "AutoAttack rand, 20 draws": ("pyautoattack", autoattack),
}


def verdict(network: RandomNetwork, x: Tensor, y: Tensor, *, seed: int) -> np.ndarray:
    """Correct answers of fresh draws, shape (draws, examples)."""
    single = [Deployment.parse("single")]
    return judge(network, x, y, deployments=single, draws=FRESH, stream=Stream("verdict", seed), kind="keyed")["single"]


def measure(network: RandomNetwork, x: Tensor, y: Tensor) -> dict[str, Any]:
    """For every installed tool: its report, the rate on fresh draws, the null test, processor seconds."""
    found: dict[str, Any] = {"clean": {"right": verdict(network, x, y, seed=1).sum(1).tolist()}}
    for name, (needs, tool) in TOOLS.items():
        if needs is not None and not installed(needs):
            found[name] = {"missing": needs}
            print(f"{name}: not installed", flush=True)
            continue
        torch.manual_seed(0)
        start = time.process_time()
        with keys_from(network, Stream("user", 0)):
            returned = tool(network, x, y, Budget.parse(BUDGET).eps)
            seconds = time.process_time() - start
            null = tool(network, x, y, Budget.parse(NOTHING).eps).reports if returned.reports is not None else None
        network.requires_grad_(True).zero_grad()
        bits = verdict(network, returned.x.detach(), y, seed=1)
        single = rate_of(Deployment.parse("single"), bits)
        found[name] = {
            "reports": returned.reports, "null": null, "seconds": round(seconds, 1),
            "right": bits.sum(1).tolist(), "low": round(single.low, 4), "high": round(single.high, 4),
        }  # fmt: skip
        print(name, found[name], flush=True)
    return found


def table(found: dict[str, Any]) -> str:
    """The results as a Markdown table."""
    clean = np.array(found["clean"]["right"]) / EXAMPLES
    lines = [
        f"Clean: {clean.mean():.1%}, sd {clean.std(ddof=1):.1%} from draw to draw.",
        "",
        "| tool | processor time, of the plain loop's | it reports | the same inputs on 50 fresh draws "
        "| lowest and highest draw | null test: it reports |",
        "| :-- | --: | --: | --: | --: | --: |",
    ]
    for name, row in found.items():
        if "seconds" not in row:
            continue
        rates = 100 * np.array(row["right"]) / EXAMPLES
        ratio = row["seconds"] / found[LOOP]["seconds"]
        fresh = f"{rates.mean():.1f} [{100 * row['low']:.1f}, {100 * row['high']:.1f}]"
        reports, null = (f"{100 * row[n]:.1f}" if row[n] is not None else "-" for n in ("reports", "null"))
        lines.append(f"| {name} | {ratio:.2f} | {reports} | {fresh} | {rates.min():.1f}, {rates.max():.1f} | {null} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print the table, or print it again."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", nargs="?", help="folder of the trained random network")
    parser.add_argument("--json", type=Path, help="write the measurements here")
    parser.add_argument("--page", type=Path, help="print the table of these measurements")
    options = parser.parse_args()
    if options.page:
        print(table(json.loads(options.page.read_text(encoding="utf-8"))["tools"]))
        return
    machine = measuring.facts()
    measuring.announce(machine)
    network = load(options.run)
    x, y = registry.get("datasets", "fashion-mnist").load()("test")
    found = measure(network, x[:EXAMPLES], y[:EXAMPLES])
    measuring.write(options.json, machine, {"tools": found})
    print(table(found))


if __name__ == "__main__":
    main()

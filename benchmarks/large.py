"""Cost of randomness on networks that people use: ViT-B/16, ResNet-50 and BERT-base, in time and in memory.

    python benchmarks/large.py [--json FILE] [--rounds N] [--batch N]

The networks have random weights (from configurations of ``transformers``): this is their cost, and no more. Every
parameter is random, with one learned scale per element or, as ``variate, one scale per tensor``, per tensor.
``forward`` is a pass without gradients in eval mode, ``step`` forward, backward and a step of SGD without momentum, and
``gradient`` one of the 20 draws of an averaged input gradient, against one input gradient of the deterministic network;
networks of this size draw one at a time, so 20 draws cost 20 of these. Memory is the peak of a process of its own that
runs two training steps, as in memory.py. With ``--json``, a case that is in the file already is not measured again.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import measuring
import torch
from measuring import Run
from memory import MEGABYTE, peak
from torch import Tensor, nn
from torch.nn import functional as F

from variate.random import many
from variate.random.network import RandomNetwork
from variate.random.randomize import randomize

PLAIN, OURS, LIGHT = "deterministic", "variate", "variate, one scale per tensor"
SIDES: dict[str, Callable[[nn.Module], nn.Module]] = {
    PLAIN: lambda network: network,
    OURS: randomize,
    LIGHT: lambda network: randomize(network, share="tensor"),
}
CLASSES, TOKENS, DRAWS, STEPS = 10, 128, 20, 2


class Logits(nn.Module):
    """A network of ``transformers`` that answers with its logits alone.

    Args:
        network: the network.
        words: whether the inputs are embedded words rather than pixels.
    """

    def __init__(self, network: nn.Module, *, words: bool) -> None:
        super().__init__()
        self.network, self.keyword = network, "inputs_embeds" if words else "pixel_values"

    def forward(self, x: Tensor) -> Tensor:
        """Logits of shape (B, K)."""
        logits: Tensor = self.network(**{self.keyword: x}).logits
        return logits


def vit() -> tuple[nn.Module, tuple[int, ...]]:
    """ViT-B/16 on images of 224 pixels, with the shape of one input."""
    from transformers import ViTConfig, ViTForImageClassification

    config = ViTConfig(num_labels=CLASSES, attn_implementation="eager")
    return Logits(ViTForImageClassification(config), words=False), (3, 224, 224)


def resnet() -> tuple[nn.Module, tuple[int, ...]]:
    """ResNet-50 on images of 224 pixels, with the shape of one input."""
    from transformers import ResNetConfig, ResNetForImageClassification

    return Logits(ResNetForImageClassification(ResNetConfig(num_labels=CLASSES)), words=False), (3, 224, 224)


def bert() -> tuple[nn.Module, tuple[int, ...]]:
    """BERT-base on 128 embedded words, with the shape of one input."""
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(num_labels=CLASSES, attn_implementation="eager")
    return Logits(BertForSequenceClassification(config), words=True), (TOKENS, 768)


CASES = {"ViT-B/16": vit, "ResNet-50": resnet, "BERT-base": bert}


def made(case: str, batch: int) -> tuple[nn.Module, Tensor, Tensor]:
    """The deterministic network of a case in eval mode, with one batch of inputs and labels."""
    torch.manual_seed(0)
    network, shape = CASES[case]()
    return network.eval(), torch.rand(batch, *shape), torch.arange(batch) % CLASSES


def forward(network: nn.Module, x: Tensor) -> Run:
    """One forward pass without gradients."""

    def run() -> None:
        with torch.no_grad():
            network(x)

    return run


def step(network: nn.Module, x: Tensor, y: Tensor) -> Run:
    """One step of SGD; batch norm stays in eval mode, since statistics of two images are of no use."""
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=1e-6)

    def run() -> None:
        optimizer.zero_grad()
        F.cross_entropy(network(x), y).backward()
        optimizer.step()

    return run


def gradient(network: nn.Module, x: Tensor, y: Tensor) -> Run:
    """The gradient of the inputs, under the next key of a random network."""
    keys = iter(range(1_000_000))

    def run() -> None:
        if isinstance(network, RandomNetwork):
            many.input_gradient(network, x, lambda out: F.cross_entropy(out, y, reduction="none"), [next(keys)])
            return
        leaf = x.clone().requires_grad_()
        torch.autograd.grad(F.cross_entropy(network(leaf), y), leaf)

    return run


def timed(case: str, batch: int, rounds: int) -> dict[str, Any]:
    """The times of one case as ratios to the deterministic network."""
    plain, x, y = made(case, batch)
    networks = {side: make(plain) for side, make in SIDES.items()}
    ours = networks[OURS]
    assert isinstance(ours, RandomNetwork)
    results: dict[str, Any] = {
        "parameters": sum(p.numel() for p in plain.parameters()),
        "draws in a group": many.group_size(ours, x, list(range(DRAWS))),
    }
    parts: dict[str, tuple[Callable[[nn.Module], Run], int]] = {
        "forward": (lambda network: forward(network, x), rounds),
        "step": (lambda network: step(network, x, y), rounds),
        "gradient": (lambda network: gradient(network, x, y), DRAWS),
    }
    for part, (run_of, count) in parts.items():
        for network in networks.values():
            network.requires_grad_(part == "step")  # as an attacker would freeze them
        sides = {side: run_of(network) for side, network in networks.items()}
        found = measuring.interleaved(sides, seconds=0, rounds=count)
        measuring.warn(found)
        results[part] = {"ms": round(found.median(PLAIN), 1), "rounds": found.rounds}
        results[part] |= {side: found.ratio(side, PLAIN).record() for side in (OURS, LIGHT)}
    return results


def remembered(case: str, batch: int) -> dict[str, Any]:
    """The peak memory of training, in MB and as a ratio to the deterministic network."""
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(2**16)}
    found = {}
    for side in SIDES:
        words = [sys.executable, __file__, "--case", case, "--side", side, "--batch", str(batch)]
        done = subprocess.run(words, check=True, capture_output=True, text=True, env=environment)
        found[side] = int(done.stdout.split()[-1])
    ratios = {side: round(found[side] / found[PLAIN], 3) for side in (OURS, LIGHT)}
    return {"MB": round(found[PLAIN] / MEGABYTE), **ratios}


def worker(case: str, side: str, batch: int) -> None:
    """Train one variant, and print the peak in bytes."""
    plain, x, y = made(case, batch)
    run = step(SIDES[side](plain), x, y)
    del plain
    for _ in range(STEPS):
        run()
    print(peak())


def show(results: Mapping[str, Any]) -> None:
    """Print a table of ratios."""
    rows = [
        [f"{case}, {side}", *(f"{found[part][side]['value']:.3f}" for part in ("forward", "step", "gradient")),
         f"{found['memory'][side]:.2f}"]
        for case, found in results.items() for side in (OURS, LIGHT)
    ]  # fmt: skip
    measuring.table(("ratio to deterministic", "forward", "step", "gradient", "memory"), rows)


def main() -> None:
    """Measure the cases that are not in the file yet, and write it after each."""
    parser = measuring.arguments(__doc__ or "")
    parser.add_argument("--batch", type=int, default=2, help="examples")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    parser.add_argument("--side", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        worker(options.case, options.side, options.batch)
        return
    machine = measuring.facts()
    measuring.announce(machine)
    path: Path | None = options.json
    cases: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["cases"] if path and path.exists() else {}
    for case in CASES:
        if case not in cases:
            memory = remembered(case, options.batch)
            cases[case] = json.loads(json.dumps(timed(case, options.batch, options.rounds or 5))) | {"memory": memory}
            measuring.write(path, machine, {"batch": options.batch, "draws": DRAWS, "cases": cases})
            show({case: cases[case]})


if __name__ == "__main__":
    main()

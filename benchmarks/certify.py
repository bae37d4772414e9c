"""Cost of a certificate: votes of the all-random network, against deterministic passes and a plain loop over noise.

    python benchmarks/certify.py [--json FILE] [--rounds N]

All variants take 1,000 votes on each of 200 images. ``plain loop`` is smoothing as it is usually written: for each
image, batches of noisy copies. Cohen et al. (https://github.com/locuslab/smoothing, ``code/certify.py``) take batches
of 1,000 by default; of 100 is what suits these cores best. The results are ratios of medians with a 95 % bootstrap
interval.
"""

from __future__ import annotations

from typing import Any

import measuring
import torch
from measuring import Run
from networks import images
from torch import Tensor, nn

from variate.certificates.reading import Reading
from variate.certificates.subject import mechanism_of
from variate.random.input_noise import Shift
from variate.random.keys import Stream
from variate.random.randomize import randomize

SECONDS = 150
SIGMA, EXAMPLES, DRAWS = 0.25, 200, 1000
PLAIN, OURS, SMOOTHED = "deterministic passes", "every parameter random", "input noise alone"
LOOP, SMALL_LOOP = "plain loop, batches of 1,000", "plain loop, batches of 100"
ASKED = {OURS: (1.15, 0.9), SMOOTHED: (1.15, 0.9)}  # at most, to the passes and to the loop


def deterministic(network: nn.Module, x: Tensor) -> None:
    """As many passes of the batch as there are draws."""
    with torch.no_grad():
        for _ in range(DRAWS):
            network(x).argmax(1)


def plain_loop(network: nn.Module, x: Tensor, chunk: int) -> Tensor:
    """Votes of noisy copies, image by image, in batches of ``chunk``."""
    counts = []
    with torch.no_grad():
        for image in x:
            votes = torch.zeros(10, dtype=torch.long)
            for start in range(0, DRAWS, chunk):
                batch = image.repeat(min(chunk, DRAWS - start), 1, 1, 1)
                labels = network(batch + SIGMA * torch.randn_like(batch)).argmax(1)
                votes += torch.bincount(labels, minlength=10)
            counts.append(votes)
    return torch.stack(counts)


def sides_of(plain: nn.Module, x: Tensor) -> dict[str, Run]:
    """All variants."""
    shift = {"0.bias": f"normal(scale={SIGMA}, learn=no)"}
    every = randomize(nn.Sequential(Shift(x.shape[1:]), plain), {**shift, "*": "normal"}).eval()
    alone = randomize(nn.Sequential(Shift(x.shape[1:]), plain), {**shift, "*": "fixed"}).eval()
    keys = Stream("verdict", 0).take(DRAWS)
    ours, smoothed = mechanism_of(every, x), mechanism_of(alone, x)
    return {
        PLAIN: lambda: deterministic(plain, x),
        LOOP: lambda: plain_loop(plain, x, 1000),
        SMALL_LOOP: lambda: plain_loop(plain, x, 100),
        OURS: lambda: ours.votes(every, x, keys, 1, Reading.of_classes(x)),
        SMOOTHED: lambda: smoothed.votes(alone, x, keys, 1, Reading.of_classes(x)),
    }


def main() -> None:
    """Print the table, and write it as JSON if asked."""
    options = measuring.arguments(__doc__).parse_args()
    machine = measuring.facts()
    measuring.announce(machine)
    plain, x, _ = images("lenet", (1, 28, 28), EXAMPLES)
    sides = sides_of(plain.eval(), x)
    timed = measuring.interleaved(sides, seconds=SECONDS, rounds=options.rounds)
    measuring.warn(timed)
    found: dict[str, Any] = {"rounds": timed.rounds, "examples": EXAMPLES, "draws": DRAWS, "sides": {}}
    rows = []
    for side in sides:
        to_plain, to_loop = timed.ratio(side, PLAIN), timed.ratio(side, LOOP)
        row = {"ms": round(timed.median(side), 2), "ratio": to_plain.record(), "to loop": to_loop.record()}
        found["sides"][side] = row | ({"asked": ASKED[side]} if side in ASKED else {})
        asked = " and ".join(map(str, ASKED.get(side, ())))
        rows.append((side, f"{row['ms']:.1f}", str(to_plain), str(to_loop), asked))
    measuring.table((f"votes, LeNet, {EXAMPLES} x {DRAWS}", "ms", "ratio to passes", "to loop", "targets"), rows)
    measuring.write(options.json, machine, found)


if __name__ == "__main__":
    main()

"""Cost of a request to a served random network: one draw and the mean of 16, against the deterministic network.

    python benchmarks/serving.py [--json FILE] [--rounds N] [--case NAME]

Every variant answers the same batch with log probabilities, without gradients. ``one draw`` is ``Served(net)``, with a
key from the operating system for every request; the mean of 16 groups its draws by the library's rule. Where
onnxruntime is installed, the exported ONNX graphs are included, those with randomness against the deterministic one:
one makes its noise itself, the other takes its draw as inputs, and its time includes making that draw. The results are
the latency and the ratio of medians with a 95 % bootstrap interval.
"""

from __future__ import annotations

import tempfile
from typing import Any

import measuring
import torch
from measuring import Run
from networks import images
from torch import Tensor, nn

from variate.errors import UsageError
from variate.random.randomize import randomize
from variate.serving.exporting import export
from variate.serving.opening import open_exported
from variate.serving.serving import Served

SECONDS = 15  # for all rounds of one case, unless the minimum number of rounds takes longer
PLAIN, PLAIN_GRAPH, GIVEN = "deterministic", "deterministic, ONNX", "one draw as inputs, ONNX"
DRAWS = 16
CASES = {
    "LeNet b1": lambda: images("lenet", (1, 28, 28), 1),
    "LeNet b64": lambda: images("lenet", (1, 28, 28), 64),
    "ResNet-18 b1": lambda: images("resnet18", (3, 32, 32), 1),
}


def graphs(plain: nn.Module, x: Tensor, folder: str) -> dict[str, Run]:
    """The networks that can be exported here."""
    try:
        export(plain, f"{folder}/plain.onnx", x)
        export(randomize(plain), f"{folder}/random.onnx", x)
        export(randomize(plain), f"{folder}/inputs.onnx", x, noise="input")
    except UsageError as error:
        print(f"without ONNX: {error.problem}")
        return {}
    fixed, drawn = open_exported(f"{folder}/plain.onnx"), open_exported(f"{folder}/random.onnx")
    given = open_exported(f"{folder}/inputs.onnx")
    return {PLAIN_GRAPH: lambda: fixed(x), "one draw, ONNX": lambda: drawn(x), GIVEN: lambda: given(x)}


def measured(name: str, rounds: int | None) -> dict[str, Any]:
    """All variants of one case."""
    plain, x, _ = CASES[name]()
    net = randomize(plain.eval())
    deterministic, one, averaged = Served(plain), Served(net), Served(net, DRAWS)

    def direct() -> None:
        with torch.no_grad():
            plain(x).log_softmax(-1)

    sides: dict[str, Run] = {
        PLAIN: direct,
        "deterministic, Served": lambda: deterministic(x),
        "one draw": lambda: one(x),
        f"mean of {DRAWS}": lambda: averaged(x),
    }
    with tempfile.TemporaryDirectory() as folder:
        sides |= graphs(plain, x, folder)
    timed = measuring.interleaved(sides, seconds=SECONDS, rounds=rounds)
    measuring.warn(timed)
    found: dict[str, Any] = {"rounds": timed.rounds}
    for side in sides:
        reference = PLAIN_GRAPH if side.endswith("ONNX") else PLAIN
        found[side] = {"ms": round(timed.median(side), 4), "ratio": timed.ratio(side, reference)}
    return found


def main() -> None:
    """Print the tables, and write them as JSON if asked."""
    parser = measuring.arguments(__doc__)
    parser.add_argument("--case", choices=CASES, help="measure this case alone")
    options = parser.parse_args()
    machine = measuring.facts()
    measuring.announce(machine)
    found = {}
    for name in CASES if options.case is None else [options.case]:
        found[name] = measured(name, options.rounds)
        rows = [
            (side, "cannot", row["cannot"]) if "cannot" in row else (side, f"{row['ms']:.3f}", str(row["ratio"]))
            for side, row in found[name].items()
            if side != "rounds"
        ]
        measuring.table((name, "ms", "ratio"), rows)
    measuring.write(options.json, machine, {"cases": found})


if __name__ == "__main__":
    main()

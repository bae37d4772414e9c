"""What arc adds to the suite standard on two random networks, and what it costs.

    python benchmarks/arc_in_standard.py

Digits, 40 test images, linf .15; training takes seconds. One network has a random weight everywhere; the other answers
with one of four networks, drawn for each batch, whose gradients differ more than those of draws around one mean.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor, nn

from variate.datasets.batches import loader
from variate.datasets.load import data
from variate.evaluation.evaluate import evaluate
from variate.evaluation.suites import SUITES
from variate.random.randomize import randomize
from variate.report.cost import by_attack, spent
from variate.training.train import train

BUDGET, EXAMPLES, EPOCHS, HIDDEN = "linf:0.15", 40, 8, 32


class OneOf(nn.Module):
    """Answers with one of several networks, drawn from torch's global generator at every pass."""

    def __init__(self, networks: list[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, x: Tensor) -> Tensor:
        """Inputs of shape (B, ...) to logits of shape (B, K)."""
        logits: Tensor = self.networks[int(torch.randint(len(self.networks), (1,)))](x)
        return logits


def trained(seed: int, *, random: bool = False) -> nn.Module:
    """An adversarially trained network of one hidden layer."""
    torch.manual_seed(seed)
    network: nn.Module = nn.Sequential(nn.Flatten(), nn.Linear(64, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 10))
    if random:
        network = randomize(network, scale=0.2)
    train(network, loader("digits", seed=seed), objective="adversarial", budget=BUDGET, epochs=EPOCHS, seed=seed)
    return network.eval()


def main() -> None:
    """Print, for each network, the rates and the cost of the suite with and without arc."""
    x, y = data("digits", limit=EXAMPLES)
    networks = {
        "one of four": OneOf([trained(seed) for seed in range(4)]).eval(),
        "all weights random": trained(0, random=True),
    }
    judged = functools.partial(evaluate, budget=BUDGET, attacks=[], suite="standard", draws=16, batch_size=EXAMPLES)
    whole = SUITES["standard"]
    for name, network in networks.items():
        for suite, attacks in (("with arc", whole), ("without", [one for one in whole if "arc" not in str(one)])):
            SUITES["standard"] = attacks
            result = judged(network, x, y, deployments=("single", "mean-16"), name=name)
            claim, cost = result.claims[-1], spent(result.records, result.claims[-1])
            rates = ", ".join(f"{row.attack} {row.deployment} {100 * row.rate:.1f} %" for row in result.rows)
            print(f"{name}, {suite}: {rates}", flush=True)
            print(
                f"  {cost.forward_passes:,.0f} + {cost.backward_passes:,.0f} passes an example, {cost.attack_seconds} s"
            )
            for attack, (forwards, backwards, seconds) in by_attack(result.records, claim).items():
                print(f"  {attack}: {forwards:,.0f} + {backwards:,.0f} passes an example, {seconds:.1f} s", flush=True)


if __name__ == "__main__":
    main()

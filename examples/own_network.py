"""Your own network, made random, trained and judged on digits: about half a minute on two cores.

Usage: ``python examples/own_network.py``
"""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import variate
from variate import registry


class OwnNetwork(nn.Module):
    """Any module works: Variate finds parameters by name, not layers by class."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 16, 3, padding=1)
        self.norm = nn.BatchNorm2d(16)
        self.rows = nn.GRU(16 * 8, 32, batch_first=True)
        self.head = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Read the image row by row."""
        features = torch.relu(self.norm(self.conv(x)))  # (B, 16, 8, 8)
        _, last = self.rows(features.permute(0, 2, 1, 3).flatten(2))  # rows of the image as time
        return self.head(last[0])


def main(epochs: int = 15) -> variate.Result:
    """Train with PGD inside, then attack with FGSM and PGD averaged over 20 draws."""
    digits = registry.get("datasets", "digits").load()
    torch.manual_seed(0)
    net = variate.randomize(OwnNetwork(), scale=0.2)
    loader = DataLoader(TensorDataset(*digits("train")), batch_size=64, shuffle=True)
    variate.train(net, loader, objective="adversarial+snr", budget="linf:0.1", attack_steps=5, epochs=epochs)
    x, y = digits("test")
    return variate.evaluate(net, x[:100], y[:100], budget="linf:0.1", attacks=["fgsm", {"name": "pgd", "steps": 20}])


if __name__ == "__main__":
    print(main())

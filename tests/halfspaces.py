"""A network whose boundary is at a known distance, behind Gaussian noise on its input."""

import torch
from torch import nn

from variate.random.input_noise import Shift
from variate.random.randomize import randomize

SIGMA = 0.25


class Halfspace(nn.Module):
    """Label 1 above the middle of the first value, label 0 below: the boundary is at a known distance."""

    def forward(self, x):
        margin = 10 * (x[:, 0] - 0.5)
        return torch.stack([-margin, margin], 1)


def halfspace():
    return randomize(nn.Sequential(Shift((3,)), Halfspace()), {"0.bias": f"normal(scale={SIGMA}, learn=no)"})


def at(distances):
    """Inputs with label 1 at these distances from the boundary."""
    x = torch.full((len(distances), 3), 0.5)
    x[:, 0] += torch.as_tensor(distances, dtype=torch.float32)
    return x, torch.ones(len(distances), dtype=torch.long)

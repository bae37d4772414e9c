"""A small network with operations of all kinds, for tests of bounds."""

import torch
from torch import nn
from torch.nn import functional as F


class Many(nn.Module):
    """Operations of all kinds, as functions, methods and operators."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.fc = nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Linear(16, 3)

    def forward(self, x):
        x = (x - 0.3) / torch.tensor(0.7)
        h = self.norm(self.conv(x))
        h = F.leaky_relu(h, 0.1) + 0.5 * torch.tanh(h) - h.sigmoid()
        h = torch.cat([F.max_pool2d(h, 2), F.avg_pool2d(h, 2)], 1)  # (B, 8, 1, 1) for 2x2 inputs
        h = torch.cat([h, -h], dim=1).flatten(1)
        return 2 - self.fc(F.dropout(h.relu(), training=False))


def many():
    """The network in eval mode, for inputs (B, 1, 2, 2), with statistics of batch norm that are not the usual ones."""
    torch.manual_seed(0)
    network = Many()
    network.norm.running_mean.uniform_(-1, 1)
    network.norm.running_var.uniform_(0.5, 2)
    return network.eval()

"""A training with everything on, in a process of its own: ``python killed.py MODE AVERAGE FOLDER``.

MODE ``epoch`` kills the process with SIGKILL within the third epoch, ``saving`` while it writes the state after it,
``whole`` trains without a stop, ``resumed`` goes on from what is in the folder. The last two save what they end with.
"""

import json
import os
import signal
import sys
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from variate.datasets.batches import Batches
from variate.random.randomize import randomize
from variate.training.train import train

MODE, AVERAGE, FOLDER = sys.argv[1], sys.argv[2], Path(sys.argv[3])


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Deadly(Batches):
    def __iter__(self):
        for number, batch in enumerate(super().__iter__()):
            if self.epoch == 2 and number == 3 and MODE == "epoch":
                die()
            yield batch


def network() -> nn.Module:
    torch.manual_seed(0)
    plain = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(0.1), nn.Linear(256, 3)
    )
    return randomize(plain, {"5.*": "lowrank-normal(rank=1)", "*": "normal"}, scale=0.1)


generator = torch.Generator().manual_seed(0)
x, y = torch.rand(100, 1, 8, 8, generator=generator), torch.arange(100) % 3
x[:, 0, 0] += y[:, None] * 0.1
x = x.clamp(max=1)
if MODE == "saving":
    replace, count = os.replace, 0

    def deadly(old, new):
        global count
        count += 1
        if count == 3:
            die()
        replace(old, new)

    os.replace = deadly
trained = network()
history = train(
    trained,
    Deadly(x, y, batch_size=16, seed=0),
    objective="adversarial+snr",
    budget="linf:0.03",
    attack_steps=2,
    epochs=6,
    lr=0.05,
    optimizer="sgd",
    warmup=1.5,
    accumulate=2,
    augment="flip+crop+cutout",
    patience=4,
    keep="best",
    validation=(x, y),
    validation_steps=2,
    validation_examples=60,
    curve_examples=40,
    checkpoint=FOLDER / "whole.safetensors" if MODE == "whole" else FOLDER / "state.safetensors",
    **({"ema": 0.8} if AVERAGE == "ema" else {"swa": 5}),
)
save_file({name: tensor.contiguous() for name, tensor in trained.state_dict().items()}, FOLDER / f"{MODE}.tensors")
(FOLDER / f"{MODE}.json").write_text(json.dumps(asdict(history)))

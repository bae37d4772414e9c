"""Networks that answer in another form, or whose answers have no gradient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from brought.network import Brought, Then, Written, asks, everywhere, mlp
from torch import Tensor, nn


@dataclass
class Answer:
    """What a model of another library returns."""

    logits: Tensor
    loss: Tensor | None = None


class Inside(Written):
    """A network under ``torch.no_grad``."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            return super().forward(x)


def in_inference_mode() -> nn.Module:
    with torch.inference_mode():
        return mlp()


def fails(x: Tensor) -> Tensor:
    raise ValueError("this network takes 32 features")


def times(factor: float) -> Callable[[], nn.Module]:
    return lambda: Then(lambda out: factor * out)


def one_logit() -> nn.Module:
    return Then(lambda out: out[:, :1])


def masked(out: Tensor) -> Tensor:
    return torch.cat([out, torch.full_like(out[:, :1], -torch.inf)], 1)


def vit() -> nn.Module:
    from transformers import ViTConfig, ViTForImageClassification

    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = ViTForImageClassification(
            ViTConfig(image_size=6, patch_size=3, num_channels=2, num_labels=3, initializer_range=0.6, **sizes)
        )
    return net.eval()


def images() -> Tensor:
    return torch.rand(24, 2, 6, 6, generator=torch.Generator().manual_seed(1))


class NaN(Written):
    """A root whose slope at 0 is infinite, times 0."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + (0 * x[:, :1]).sqrt()


OUTPUTS = {
    "logits of -inf (masked classes)": Brought(lambda: Then(masked), mlp),
    "logits x 100": Brought(times(100), times(100), attacked=mlp, unit=100),
    "logits x 1e-20": Brought(times(1e-20), times(1e-20), attacked=mlp, unit=1e-20, learns=False),
    "a dictionary with logits": Brought(lambda: Then(lambda out: {"logits": out, "loss": None}), mlp),
    "an object with logits": Brought(lambda: Then(Answer), mlp),
    "Hugging Face ViT": Brought(
        vit, vit, inputs=images, needs="transformers", still=("vit.layers.0.attention.k_proj.bias",)
    ),
    "a tuple": Brought(lambda: Then(lambda out: (out, out)), mlp, refuses=everywhere(r"tuple of 2.*network\(x\)\[0\]")),
    "a dictionary without logits": Brought(
        lambda: Then(lambda out: {"scores": out}), mlp, refuses=everywhere(r"dict with the keys scores.*\['...'\]")
    ),
    "one logit": Brought(one_logit, one_logit, refuses=everywhere("binary answer.*two logits")),
    "detach inside": Brought(
        lambda: Then(before=lambda x: x.detach()), mlp, attack="square(queries=60)", blind="no gradient"
    ),
    "no_grad inside": Brought(
        Inside,
        mlp,
        attack="square(queries=60)",
        blind="no gradient",
        refuses={"train": "no gradient", "train, random": "no gradient"},
    ),
    "made in inference mode": Brought(
        in_inference_mode,
        mlp,
        attack="square(queries=60)",
        blind="inference mode",
        refuses={"train": "inference mode"},
    ),
    "NaN gradients": Brought(
        NaN, mlp, attack="square(queries=60)", blind="gradient is NaN or infinite at 24 of 24 inputs"
    ),
    "raises inside": Brought(
        lambda: Then(before=fails),
        mlp,
        finds=("ValueError: this network takes 32 features",),
        refuses=asks("this network takes 32 features"),
        unfit=True,
    ),
}

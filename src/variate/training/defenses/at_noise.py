"""Adversarial training, and noise at inference only."""

from __future__ import annotations

from torch import nn

from variate.errors import UsageError
from variate.registry import defense
from variate.training.defenses.parts.inference_noise import InferenceNoise
from variate.training.defenses.parts.noise import check_input_noise
from variate.training.defenses.parts.ranges import check_above_zero


@defense(
    random=True,
    adversarial=True,
    group="randomized",
    cite="Qin et al. 2021 (RND), arXiv:2104.11470; Nguyen et al. 2024, arXiv:2310.00567; "
    "Aithal & Li 2022 (boundary defense), arXiv:2201.13444",
    differs="All three add their noise to networks that were trained in any way; here the training is that of at. "
    "Features are those that enter the last linear layer, and their noise is relative to their size. All examples of a "
    "batch share the noise.",
)
def at_noise(
    network: nn.Module, *, where: str = "input", std: float = 0.05, below: float = 1.0
) -> tuple[nn.Module, str]:
    """Adversarial training of the deterministic network; Gaussian noise on input, features or logits when it answers.

    The noise makes every query of an attacker without gradients dearer, and changes nothing in the limit of many
    queries: judge it by its accuracy against queries, beside ``at``. ``--start runs/at --epochs 1 --lr 0`` adds the
    noise to a trained network.

    Args:
        network: the architecture, initialized.
        where: ``input``, ``feature`` or ``logit``.
        std: standard deviation of the noise: in units of the input range [0, 1], as a multiple of the features' root
            mean square, or in units of the logits.
        below: noise only where the largest probability without noise is below this; 1: everywhere.

    Returns:
        The network to train and its objective.

    Raises:
        UsageError: for another place, for noise on the word indices of texts, or on features of a network without a
            linear layer.
    """
    check_above_zero("std", std)
    if not 0 < below <= 1:
        raise UsageError(f"below is {below!r}", expected="a probability above 0, up to 1 for noise everywhere")
    if where == "input":
        check_input_noise("at-noise(where=input)", network, std)
    return InferenceNoise(network, where=where, std=std, below=below), "adversarial"

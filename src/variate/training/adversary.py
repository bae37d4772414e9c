"""Adversarial training inside the loop of another library: it asks for perturbed batches, and keeps its own loss."""

from __future__ import annotations

from torch import Tensor, nn

from variate import registry
from variate.errors import UsageError
from variate.inputs.budget import Budget
from variate.inputs.modality import Modality
from variate.inputs.validation import check_inputs
from variate.random.fixing import set_seed
from variate.random.inside import contains_random, drawn_in
from variate.random.keys import Stream
from variate.random.seeding import outputs_under
from variate.training.clock import Clock
from variate.training.inner_attack import InnerAttack
from variate.training.recipe import Recipe
from variate.training.wiring import SUM, wire

Indices = tuple[int, int]  # of the next key of the training, and of the search


class Adversary:
    """The inner attack of ``variate.train``, for a training loop that another library runs.

    The network takes a fresh draw at every forward pass, from the stream of the training. The oracle of the attack
    draws from a stream of its own, so the draw of the loss never guided the attack.

    Args:
        network: the network in training; every random network in it takes its keys from the stream of the training.
        budget: budget of the perturbation.
        steps: steps of the inner attack.
        draws: draws that each step averages over.
        scales: objectives of the distribution alone, such as ``snr`` or ``kl:0.02``; None, or a network that is not
            random: none.
        seed: seed of both streams.
        modality: modality of the inputs; None: every value in [0, 1] is free.
        seen: the network from inputs in [0, 1] to logits, if that is not ``network`` itself.
        clock: progress of the training, for objectives that need it.
        indices: where the streams continue.

    Raises:
        UsageError: for an impossible budget or number of steps, and for ``scales`` that need inputs.
    """

    def __init__(
        self,
        network: nn.Module,
        budget: str,
        *,
        steps: int = 10,
        draws: int = 1,
        scales: str | None = "snr",
        seed: int = 0,
        modality: Modality | None = None,
        seen: nn.Module | None = None,
        clock: Clock | None = None,
        indices: Indices = (0, 0),
    ) -> None:
        check_options(budget, steps=steps, draws=draws, scales=scales)
        self.clock = clock or Clock()
        self._network, self._seen, self._draws = network, network if seen is None else seen, draws
        self._stream = Stream("train", seed)
        if drawn_in(network):
            self._stream = set_seed(network, seed)
        self._search = Stream("search", seed, index=indices[1])
        self._stream.index = indices[0]
        self._attack = InnerAttack(
            self._seen, self._search, Budget.parse(budget), steps=steps, seed=seed, modality=modality, clock=self.clock
        )
        random = scales is not None and contains_random(network)
        recipe = Recipe(objective=scales, seed=seed, deployed="single")
        self._scales = wire(recipe, network, self._stream, clock=self.clock) if random else None

    def perturb(self, x: Tensor, y: Tensor) -> Tensor:
        """Perturbed inputs: (B, ...) in [0, 1] and labels (B,) to (B, ...). Raises ``InputError``."""
        check_inputs(x, y)
        perturbed = self._attack(x.detach(), y, draws=self._draws)
        self._attack.forget()
        return perturbed

    def answers(self, x: Tensor) -> Tensor:
        """The network's own answers under one draw of the search: (B, ...) to (B,)."""
        return outputs_under(self._seen, x, [self._search.next()])[0].argmax(-1)

    def add_gradient(self) -> None:
        """Add the gradient of ``scales`` to that of the loss, before a step of the optimizer, and count the step."""
        if self._scales is not None:
            nothing = next(self._network.parameters()).new_zeros(0)
            self._scales(self._network, nothing, nothing).backward()  # type: ignore[no-untyped-call]
        self.clock.step += 1

    @property
    def indices(self) -> Indices:
        """Where the streams are: with the network and its optimizer, all that a checkpoint must hold."""
        return self._stream.index, self._search.index

    def leave(self) -> None:
        """End the training: from now on, draws come from the entropy of the operating system."""
        if drawn_in(self._network):
            set_seed(self._network, None)


def check_options(budget: str, *, steps: int, draws: int, scales: str | None) -> None:
    """Raise ``UsageError`` for options that no training can have, before it begins."""
    Budget.parse(budget)
    for name, count in (("steps", steps), ("draws", draws)):
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise UsageError(f"{name} is {count!r}", expected="a whole number from 1")
    for part in [] if scales is None else SUM.split(scales):
        name = part.strip().partition(":")[0].partition("(")[0]
        if registry.get("objectives", name).facts["labels"]:
            alone = [entry.name for entry in registry.entries("objectives").values() if not entry.facts["labels"]]
            raise UsageError(
                f"the objective {name} needs inputs and labels, and the loss is that of your own loop",
                expected=f"one of {', '.join(alone)}, joined by +",
            )

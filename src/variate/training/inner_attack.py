"""The attack inside adversarial training, on the network as it learns, with draws of the training's own stream."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from variate import registry
from variate.errors import UsageError
from variate.inputs.budget import Budget
from variate.inputs.modality import Modality, Reach
from variate.oracle.losses import Loss, cross_entropy
from variate.oracle.oracle import GradientOracle
from variate.random.fixing import fixed
from variate.random.keys import Stream, hash_words
from variate.random.network import RandomNetwork
from variate.random.seeding import Kind, kind_of, left_as_found

INNER = {"pgd": "steps", "hotflip": "beam"}  # what the number of steps is called there


class InnerAttack:
    """What an adversarial objective is given as ``perturb``: from inputs and labels to perturbed inputs.

    Within a ball it is ``pgd``; where words are replaced it is ``hotflip``, which tries in each of its rounds as many
    replacements as pgd would make steps.

    Batch-norm statistics and gradients do not see it. Objectives that are summed share their perturbed inputs: the
    same question about the same batch is answered once.

    Args:
        network: the network in training.
        stream: the training's stream of keys.
        budget: of the perturbation.
        steps: where the objective does not say.
        seed: of the random starts; every batch begins elsewhere.
        modality: of the inputs; images without one.
    """

    def __init__(
        self,
        network: nn.Module,
        stream: Stream,
        budget: Budget,
        *,
        steps: int,
        seed: int,
        modality: Modality | None = None,
    ) -> None:
        self._network = network
        self._stream = stream
        self._budget = budget
        self._steps = steps
        self._seed = seed
        self._modality = modality
        self._kind: Kind | None = None
        self._held: int | None = None
        self._found: dict[tuple[object, ...], tuple[Tensor, Tensor, Tensor]] = {}

    def __call__(
        self,
        x: Tensor,
        y: Tensor,
        *,
        loss: Loss = cross_entropy,
        draws: int = 1,
        steps: int | None = None,
        step_size: float | None = None,
    ) -> Tensor:
        """Inputs perturbed to raise the loss averaged over fresh draws, the same number at every step.

        Args:
            x: inputs in [0, 1], shape (B, ...).
            y: labels, shape (B,), or whatever else ``loss`` compares with, one row an example.
            loss: what to raise, per example.
            draws: averaged at each step; inside ``one_draw`` that draw is the only one.
            steps: the training's own number without it.
            step_size: of pgd, in units of the budget's size; 2.5 / steps without one.

        Returns:
            Perturbed inputs, shape (B, ...).
        """
        asked = (id(x), id(y), loss, draws, steps, step_size, self._held)
        if asked not in self._found:
            perturbed = self._attack(x, y, loss, draws, steps or self._steps, step_size)
            self._found[asked] = (x, y, perturbed)  # the inputs are kept, so that no other takes their place in memory
        return self._found[asked][2]

    @contextmanager
    def one_draw(self) -> Iterator[None]:
        """Inside, the attack and every call of the network use one and the same fresh draw."""
        if not isinstance(self._network, RandomNetwork) or self._held is not None:
            yield
            return
        self._held = self._stream.index
        try:
            with fixed(self._network, self._stream.next()):
                yield
        finally:
            self._held = None

    def forget(self) -> None:
        """Forget the perturbed inputs of the last batch."""
        self._found.clear()

    def _attack(self, x: Tensor, y: Tensor, loss: Loss, draws: int, steps: int, step_size: float | None) -> Tensor:
        if self._kind is None:
            self._kind = kind_of(self._network, x[:2])
        norm = self._budget.norm if self._modality is None else self._modality.norm(self._budget)
        attack, options = _attack_within(norm, steps)
        seed = hash_words("start", self._seed, self._stream.index)
        x = x if self._modality is None else self._modality.prepared(x, self._budget, self._network)
        reach = Reach(x, self._budget) if self._modality is None else self._modality.reach(x, self._budget)
        if self._held is None:
            how: dict[str, Any] = {"draws": draws, "stream": self._stream}
        else:
            again = Stream("train", self._stream.seed, index=self._held)
            how = {"stream": again, "keys": "fixed"}
        oracle = GradientOracle(self._network, kind=self._kind, seed=seed, reach=reach, **how)
        if step_size is not None and "steps" in options:
            options["step_size"] = step_size * reach.budget.eps
        with left_as_found(self._network):
            points: Tensor = attack.load()(oracle, x, y, budget=reach.budget, loss=loss, **options)
        return reach.inputs(points)


def _attack_within(norm: str, steps: int) -> tuple[registry.Entry, dict[str, Any]]:
    """The inner attack that bounds a norm, and what the steps are to it. Raises ``UsageError``."""
    for name, option in INNER.items():
        entry = registry.get("attacks", name)
        if norm in entry.facts["norms"]:
            return entry, {option: steps}
    known = [norm for name in INNER for norm in registry.get("attacks", name).facts["norms"]]
    raise UsageError(
        f"no inner attack bounds {norm}, so nothing can be trained within it",
        expected=f"a budget in {', '.join(known)}; it need not be the one of the evaluation",
        todo="pass another budget to the training; in a study under [training]",
    )

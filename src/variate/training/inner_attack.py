"""The attack inside adversarial training, on the network in training, with draws from the training stream."""

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
from variate.oracle.white_box import GradientOracle
from variate.random.fixing import fixed
from variate.random.inside import drawn_in
from variate.random.keys import Stream, hash_words
from variate.random.seeding import Kind, kind_of, left_as_found
from variate.tasks.classes import CLASSES
from variate.tasks.task import Task
from variate.training.clock import Clock

INNER = {"pgd": "steps", "hotflip": "beam"}  # attack and the name of its number of steps


class InnerAttack:
    """The ``perturb`` function of adversarial objectives: maps inputs and labels to perturbed inputs.

    The attack is ``pgd`` within a norm ball, and ``hotflip`` where words are replaced; hotflip tries as many
    replacements in each round as pgd makes steps.

    The attack leaves batch-norm statistics and gradients unchanged. Objectives in a sum share perturbed inputs: the
    same request for the same batch is computed once.

    Args:
        network: the network in training.
        stream: key stream of the training.
        budget: budget of the perturbation.
        steps: number of steps, unless the objective sets its own.
        seed: seed of the random starts, which differ from batch to batch.
        modality: modality of the inputs, images by default.
        task: what the answers are; of another one than classes, the attack climbs the usual margin.
        clock: counts the steps.

    Attributes:
        budget: the budget.
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
        task: Task = CLASSES,
        clock: Clock | None = None,
    ) -> None:
        self._network = task.answers(network)
        self._task = task
        self._stream = stream
        self.budget = budget
        self._steps = steps
        self._seed = seed
        self._modality = modality
        self._clock = clock or Clock()
        self._kind: Kind | None = None
        self._shared_index: int | None = None
        self._cache: dict[tuple[object, ...], tuple[Tensor, Tensor, Tensor]] = {}

    @property
    def radius(self) -> float:
        """The size of the budget in changes of the inputs, which differ in unit from the budgets of some modalities."""
        return self.budget.eps / (1.0 if self._modality is None else self._modality.unit)

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
        """Perturb inputs to raise the loss averaged over fresh draws, the same number at every step.

        Args:
            x: inputs in [0, 1], shape (B, ...).
            y: labels, shape (B, ...), or any other target of ``loss`` with one row per example.
            loss: loss to raise, per example.
            draws: draws averaged at each step; inside ``one_draw`` only that draw is used.
            steps: number of steps; by default that of the training.
            step_size: step size of pgd, in units of the budget's size; by default 2.5 / steps.

        Returns:
            Perturbed inputs, shape (B, ...).
        """
        request = (id(x), id(y), loss, draws, steps, step_size, self._shared_index)
        if request not in self._cache:
            perturbed = self._attack(x, y, loss, draws, steps or self._steps, step_size)
            self._cache[request] = (x, y, perturbed)  # keeps the inputs alive, so their ids stay unique
        return self._cache[request][2]

    @contextmanager
    def one_draw(self) -> Iterator[None]:
        """Inside this context, the attack and every call of the network use the same fresh draw."""
        if not drawn_in(self._network) or self._shared_index is not None:
            yield
            return
        self._shared_index = self._stream.index
        try:
            with fixed(self._network, self._stream.next()):
                yield
        finally:
            self._shared_index = None

    def forget(self) -> None:
        """Forget the perturbed inputs of the last batch."""
        self._cache.clear()

    def _attack(self, x: Tensor, y: Tensor, loss: Loss, draws: int, steps: int, step_size: float | None) -> Tensor:
        if self._kind is None:
            self._kind = kind_of(self._network, x[:2])
        norm = self.budget.norm if self._modality is None else self._modality.norm(self.budget)
        attack, options = _attack_within(norm, steps)
        self._clock.inner_steps += len(x) * steps * (1 if self._shared_index is not None else draws)
        seed = hash_words("start", self._seed, self._stream.index)
        x = x if self._modality is None else self._modality.prepared(x, self.budget, self._network)
        reach = Reach(x, self.budget) if self._modality is None else self._modality.reach(x, self.budget)
        if self._shared_index is None:
            draw_options: dict[str, Any] = {"draws": draws, "stream": self._stream}
        else:
            replayed = Stream("train", self._stream.seed, index=self._shared_index)
            draw_options = {"stream": replayed, "keys": "fixed"}
        view, y = self._task.seen(y)
        oracle = GradientOracle(self._network, kind=self._kind, seed=seed, reach=reach, view=view, **draw_options)
        if step_size is not None and "steps" in options:
            options["step_size"] = step_size * reach.budget.eps
        with left_as_found(self._network):
            points: Tensor = attack.load()(oracle, x, y, budget=reach.budget, loss=loss, **options)
        return reach.inputs(points)


def _attack_within(norm: str, steps: int) -> tuple[registry.Entry, dict[str, Any]]:
    """The inner attack for a norm, and its options. Raises ``UsageError``."""
    for name, option in INNER.items():
        entry = registry.get("attacks", name)
        if norm in entry.facts["norms"]:
            return entry, {option: steps}
    supported = [norm for name in INNER for norm in registry.get("attacks", name).facts["norms"]]
    raise UsageError(
        f"no inner attack supports {norm}, so nothing can be trained within it",
        expected=f"a budget in {', '.join(supported)}; it may differ from that of the evaluation",
        todo="pass another budget to the training; in a study under [training]",
    )

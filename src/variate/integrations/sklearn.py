"""A random network as a scikit-learn classifier."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor, nn

from variate.datasets.batches import Batches
from variate.random.keys import Stream, fresh_keys
from variate.random.seeding import outputs_under
from variate.random.strata import stratified
from variate.training.defense import defended
from variate.training.train import train

SEEDS = 2**31 - 1


class RandomNetworkClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A network whose every parameter is a random variate, trained with a defense, as a scikit-learn classifier.

    Inputs are scaled to [0, 1] by the range of each feature in ``fit`` (by the range of all values if X has more than
    two dimensions) and clipped to it. Budgets are in these units; ``scaled`` returns the scaled inputs.

    With ``random_state=None`` every prediction uses fresh draws, with keys from the operating system. With a number,
    predictions are reproducible, as scikit-learn expects: all calls use the same draws, which anyone who knows the
    number can compute. Deploy with None.

    Args:
        network: the architecture: a module from (B, ...) to logits of as many classes as ``y`` has, or a function
            ``network(shape, classes)`` that builds one; by default a perceptron with two hidden layers.
        defense: name and options of the defense: ``random``, ``random-at``, ``pni(share=channel)``; see
            ``variate list defenses``.
        hidden: width of the two hidden layers if ``network`` is not given.
        epochs: passes over the data.
        batch_size: examples per step.
        lr: highest learning rate.
        budget: budget of the inner attack of an adversarial defense, such as ``linf:0.1``, in scaled units.
        draws: number of draws that predictions average over, S.
        random_state: seed of initialization, training and predictions.

    Attributes:
        classes_: the labels, sorted.
        network_: the trained network, in eval mode; it takes scaled inputs.
        n_features_in_: number of features, for two-dimensional X.
    """

    def __init__(
        self,
        network: nn.Module | Callable[[tuple[int, ...], int], nn.Module] | None = None,
        *,
        defense: str = "random",
        hidden: int = 64,
        epochs: int = 50,
        batch_size: int = 32,
        lr: float = 1e-2,
        budget: str | None = None,
        draws: int = 16,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.network = network
        self.defense = defense
        self.hidden = hidden
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr
        self.budget = budget
        self.draws = draws
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike) -> RandomNetworkClassifier:  # noqa: N803
        """Train on inputs of shape (N, D), or (N, ...) with a ``network``, and labels of shape (N,)."""
        inputs, labels = validate_data(self, X, y, dtype=np.float64, allow_nd=self.network is not None)
        check_classification_targets(labels)
        self.classes_, indices = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"RandomNetworkClassifier needs at least two classes; y has one class: {self.classes_[0]}")
        axis = 0 if inputs.ndim == 2 else None
        self._low, high = inputs.min(axis), inputs.max(axis)
        self._range = np.where(high > self._low, high - self._low, 1.0)
        self._shape = inputs.shape[1:]
        seed = int(check_random_state(self.random_state).randint(SEEDS))
        self._seed = None if self.random_state is None else seed
        x, y_tensor = self._to_unit(inputs), torch.from_numpy(indices.astype(np.int64))
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            network, objective = defended(self.defense, self._architecture(), shape=self._shape)
            train(
                network,
                Batches(x, y_tensor, batch_size=self.batch_size, seed=seed),
                objective=objective,
                epochs=self.epochs,
                lr=self.lr,
                budget=self.budget,
                seed=seed,
                accelerator="cpu",
            )
        self.network_ = network.eval()
        return self

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:  # noqa: N803
        """Mean probabilities over the draws, in the order of ``classes_``: (N, D) to (N, K)."""
        x = self.scaled(X)
        keys = fresh_keys(self.draws) if self._seed is None else Stream("user", self._seed).take(self.draws)
        logits = outputs_under(self.network_, x, stratified(self.network_, keys))  # (S, N, K)
        mean: NDArray[np.float64] = logits.double().softmax(-1).mean(0).numpy()
        return mean

    def predict(self, X: ArrayLike) -> NDArray[Any]:  # noqa: N803
        """The most probable label of every example: (N, D) to (N,)."""
        best = self.predict_proba(X).argmax(1)
        labels: NDArray[Any] = self.classes_[best]
        return labels

    def scaled(self, X: ArrayLike) -> Tensor:  # noqa: N803
        """Scaled inputs for ``network_``, ``variate.evaluate`` and attacks: (N, D) to float32 in [0, 1]."""
        check_is_fitted(self)
        inputs = validate_data(self, X, dtype=np.float64, reset=False, allow_nd=self.network is not None)
        return self._to_unit(inputs)

    def _to_unit(self, inputs: NDArray[np.float64]) -> Tensor:
        unit = np.clip((inputs - self._low) / self._range, 0.0, 1.0)
        return torch.from_numpy(unit.astype(np.float32))

    def _architecture(self) -> nn.Module:
        classes = len(self.classes_)
        if isinstance(self.network, nn.Module):
            return copy.deepcopy(self.network)
        if self.network is not None:
            return self.network(self._shape, classes)
        return nn.Sequential(
            nn.Flatten(),
            nn.Linear(math.prod(self._shape), self.hidden),
            nn.ReLU(),
            nn.Linear(self.hidden, self.hidden),
            nn.ReLU(),
            nn.Linear(self.hidden, classes),
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.non_deterministic = self.random_state is None
        tags.input_tags.three_d_array = self.network is not None
        return tags

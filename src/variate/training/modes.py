"""Modes in training: what the user has put in eval mode stays there, such as the batch norm of a fine-tuned network."""

from __future__ import annotations

from torch import nn

from variate.errors import UsageError
from variate.random.inside import is_random, seen_through


def kept_in_eval(network: nn.Module) -> frozenset[str]:
    """The paths of the modules that stay in eval mode: those that are in it while the network itself is in train mode.

    A random network inside a larger module counts as a network of its own: loading and training leave it in eval mode.
    """
    kept: set[str] = set()
    _collect(seen_through(network), "", kept)
    return frozenset(kept)


def _collect(module: nn.Module, path: str, kept: set[str]) -> None:
    for name, child in module.named_children() if module.training else ():
        child_path = f"{path}.{name}" if path else name
        if child.training:
            _collect(child, child_path, kept)
        elif not is_random(child):
            kept.update(".".join(filter(None, (child_path, inner))) for inner, _ in child.named_modules())


def set_train_mode(network: nn.Module, kept: frozenset[str]) -> None:
    """Put a network in train mode, except for the modules at ``kept``.

    Raises:
        UsageError: for a network that has no train mode, such as a program of ``torch.export``.
    """
    try:
        network.train()
    except NotImplementedError as error:
        name = type(seen_through(network)).__name__
        raise UsageError(f"{name} has no train mode: {error}", todo="train the module it was made of") from error
    inner = seen_through(network)
    for path in kept:
        inner.get_submodule(path).training = False

"""The module that the user names by ``module:callable`` or ``FILE.py:callable``."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from variate.errors import UsageError
from variate.options import import_callable

if TYPE_CHECKING:
    from torch import nn

    from variate.inputs.modality import Modality


def build(path: str) -> nn.Module:
    """Call the user's callable and return its module, or that of its transformers pipeline. Raises ``UsageError``."""
    from torch import nn

    from variate.integrations.transformers.pipelines import is_pipeline, network_of
    from variate.own_code import running

    function = import_callable(path)
    try:
        inspect.signature(function).bind()
    except TypeError as error:
        raise UsageError(
            f"{path} cannot be called without arguments: {error}", expected="a callable that needs none"
        ) from error
    except ValueError:  # built-in functions may have no signature
        pass
    with running(path):
        network = function()
    if is_pipeline(network):
        return network_of(network)
    if not isinstance(network, nn.Module):
        raise UsageError(
            f"{path} returned {type(network).__name__}", expected="a torch.nn.Module, or a pipeline of transformers"
        )
    return network


def fitted(network: nn.Module, modality: Modality) -> nn.Module:
    """A user's network for inputs of a modality: the pipeline of a text gets the vocabulary, others what they need."""
    from variate.inputs.modalities.text import Text
    from variate.integrations.transformers.pipelines import TextPipeline

    if isinstance(network, TextPipeline):
        return network.with_words(modality.words if isinstance(modality, Text) else ())
    return modality.taken(network)

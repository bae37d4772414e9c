"""An ONNX graph whose random parameters are inputs, with a fresh draw from our sampler for every answer."""

from __future__ import annotations

import json
import threading
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from variate.optional import imported
from variate.random.average import mean_log_probabilities
from variate.random.distribution import Site
from variate.random.draw.node import Draws
from variate.random.families.modes import Modes
from variate.random.keys import check_key, fresh_keys, sibling
from variate.random.strata import Found, stratified_by
from variate.serving.noise_input import INPUTS, DrawnInput


class DrawnSession:
    """Answers with fresh draws, whose keys come from the operating system: used for one answer each, never kept.

    The draw of a key is the one that the network has in PyTorch, up to rounding.

    Args:
        path: path of the file.
        session: onnxruntime's session of that file.

    Attributes:
        draws: S, number of draws whose mean probability is the answer.
    """

    def __init__(self, path: Path, session: Any) -> None:
        facts = session.get_modelmeta().custom_metadata_map
        self.draws = int(json.loads(facts["variate.draws"]))
        self._session = session
        self._drawing = threading.Lock()  # draws reuse memory that no other thread may take meanwhile
        self._inputs = [DrawnInput(**each) for each in json.loads(facts[INPUTS])]
        tensors = _tensors(path)
        self._networks = [
            _Network(list(inputs), tensors) for _, inputs in groupby(self._inputs, key=lambda each: each.network)
        ]
        self._modes = next((found for network in self._networks if (found := network.modes())), None)

    def __call__(self, x: Tensor) -> Tensor:
        """Inputs of shape (B, ...) to logits of shape (B, K), or to log probabilities for the mean of several draws."""
        keys = stratified_by(self._modes, fresh_keys(self.draws)) if self.draws > 1 else fresh_keys(1)
        logits = [self.at(key, x) for key in keys]
        return logits[0] if self.draws == 1 else mean_log_probabilities(torch.stack(logits))

    def at(self, key: int, x: Tensor) -> Tensor:
        """The logits of the draw of ``key``, shape (B, K): what ``net.at(key)(x)`` returns, up to rounding.

        Args:
            key: key of the draw.
            x: inputs, shape (B, ...).
        """
        check_key(key)
        with torch.no_grad(), self._drawing:
            drawn = [t for i, network in enumerate(self._networks) for t in network.draw(sibling(key, i))]
        feed = {each.input: tensor.numpy() for each, tensor in zip(self._inputs, drawn, strict=True)}
        return torch.from_numpy(self._session.run(["logits"], {"x": x.detach().cpu().numpy(), **feed})[0])


class _Network:
    """The random parameters of one random network."""

    def __init__(self, inputs: list[DrawnInput], tensors: dict[str, Tensor]) -> None:
        sites = [Site(each.input, each.family, (("", each.input),), each.uid, each.channel) for each in inputs]
        self._draws = Draws(sites, scaled=True)
        self._groups = [
            tuple([tensors[each.tensors[name]] for name in ("mean", "scale", *site.distribution.learned)])
            for site, each in zip(sites, inputs, strict=True)
        ]

    def draw(self, key: int) -> list[Tensor]:
        """The drawn tensor of every input."""
        return self._draws.draw(key, self._groups, None)

    def modes(self) -> Found | None:
        """The family with modes and its learned tensors, if there is one."""
        pairs = zip(self._draws.distributions, self._groups, strict=True)
        return next(((family, group[2:]) for family, group in pairs if isinstance(family, Modes)), None)


def _tensors(path: Path) -> dict[str, Tensor]:
    """The initializers of a graph by name."""
    onnx = imported("onnx", "onnx")
    return {
        tensor.name: torch.from_numpy(onnx.numpy_helper.to_array(tensor).copy())
        for tensor in onnx.load(path).graph.initializer
    }

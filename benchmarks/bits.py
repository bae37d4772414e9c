"""Torch's int8 quantization of the deterministic networks of a study of few bits, attacked in the same records.

    variate study docs/results/bits/digits.toml --out runs/bits/digits
    python benchmarks/bits.py docs/results/bits/digits.toml runs/bits/digits      # and the folder of the data, if any

``torch.ao.quantization.quantize_dynamic`` rounds the weights of linear layers to 8 bits after training, and the inputs
of each layer at every call; its kernels have no gradient. The attack of the study's suite that climbs gradients
therefore climbs those of a twin in floating point with the same rounded weights, and what it finds is judged on the
quantized network, beside a search that sees its scores.
"""

from __future__ import annotations

import copy
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from variate.evaluation.evaluate import evaluate
from variate.records.file import Records
from variate.records.schema import NetworkLine
from variate.study.file import read_study
from variate.study.grid import places
from variate.training.run_folder import describe
from variate.training.saved import load, read_card

GROUP = "int8 of torch"
NUMBERS = 8 + 8  # bytes of the scale (float64) and the zero point (int64) of a tensor
SUITE = "transfer+square(queries=40)"


def quantized(network: nn.Module) -> nn.Module:
    """The network with int8 weights in every linear layer, whose inputs are rounded to 8 bits at every call."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.ao gives way to torchao, whose int8 is for GPUs and large matrices
        return torch.ao.quantization.quantize_dynamic(copy.deepcopy(network), {nn.Linear}, dtype=torch.qint8)


def twin(network: nn.Module, rounded: nn.Module) -> nn.Module:
    """The network in floating point with the weights of its quantization."""
    copied = copy.deepcopy(network)
    for name, module in copied.named_modules():
        if isinstance(module, nn.Linear):
            with torch.no_grad():
                module.weight.copy_(rounded.get_submodule(name).weight().dequantize())
    return copied


def stored(network: nn.Module) -> int:
    """The bytes of the quantized network: one for each weight of a linear layer."""
    linear = [module for module in network.modules() if isinstance(module, nn.Linear)]
    saved = sum(module.weight.nbytes - module.weight.numel() - NUMBERS for module in linear)
    return sum(tensor.nbytes for tensor in network.state_dict().values()) - saved


def main(study_file: str, folder: str, data_folder: str | None = None) -> None:
    """Add the quantized networks of all seeds to the records of a study."""
    study, records = read_study(study_file), Records(Path(folder) / "records.jsonl")
    for place in places(study, Path(folder), folders=data_folder).values():
        if place.cell.defense != "deterministic":
            continue
        card, network = read_card(place.folder), load(place.folder)
        rounded = quantized(network)
        own = twin(network, rounded)
        name = f"{GROUP}, seed {card.seed}"
        lines = [line for line in describe(card, network, name, group=GROUP) if isinstance(line, NetworkLine)]
        records.add([line.model_copy(update={"bytes": stored(network)}) for line in lines])
        x, y = place.cell.split("test")
        evaluation = replace(study.evaluation.options(place.cell.recipe.seed), budget=place.budgets[0], suite=SUITE)
        count = study.evaluation.examples
        facts = place.cell.about()
        evaluate(
            rounded,
            x[:count],
            y[:count],
            evaluation=evaluation,
            source={"the same weights in floating point": own},
            modality=facts.modality,
            records=records,
            name=name,
            group=GROUP,
        )


if __name__ == "__main__":
    main(*sys.argv[1:])

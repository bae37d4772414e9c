"""Saved networks: safetensors with a JSON card. Loading reads tensors and text, and never unpickles."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor, nn

from variate import registry
from variate._version import __version__
from variate.datasets.info import Facts
from variate.errors import CheckpointError, UsageError, unknown_name
from variate.files.reading import reading, replace_text
from variate.files.toml import findings_of
from variate.hashing import fingerprint
from variate.options import import_callable, names_code, parse, whole
from variate.random.measures import sites
from variate.random.network import RandomNetwork
from variate.random.packing import packed, unpacked
from variate.random.priors import set_priors
from variate.random.randomize import randomize
from variate.records.curve import EpochAccuracy
from variate.tasks.task import task_of
from variate.training.defense import defended
from variate.training.fitting import check_serves, in_units
from variate.training.tensors import FREE, count, load_into, read_tensors, write_tensors

CARD, WEIGHTS = "card.json", "network.safetensors"
SEAL = "card"  # key of the card's hash in the metadata of the tensors
SEALED = ("architecture", "shape", "classes", "mean", "std", "families", "defense", "kind", "labels", "details")
SLACK = 2**24  # numbers that a network may have beyond those of its file, before they are compared
MOST = 2**31 - 1  # length of a side of an input, and number of classes


class Card(BaseModel):
    """The description of a saved network: everything needed to rebuild it, and how it was trained."""

    model_config = ConfigDict(extra="forbid")

    format: Literal["variate-network-1"] = "variate-network-1"
    architecture: str
    shape: list[Annotated[int, Field(ge=1, le=MOST)]] = Field(min_length=1, max_length=8)
    classes: int = Field(ge=1, le=MOST)
    mean: list[float]
    std: list[float]
    families: dict[str, str]
    priors: dict[str, str] = {}
    defense: str
    objective: str
    data: str
    seed: int
    training: dict[str, Any]
    history: dict[str, list[float]]
    seconds: float
    versions: dict[str, str]
    fingerprint: str
    curve: list[EpochAccuracy] = []
    kind: str = "image"
    labels: list[str] = []
    details: dict[str, Any] = {}
    task: str = "classes"


def versions() -> dict[str, str]:
    """The versions that affect results: Python, Variate, torch and numpy."""
    return {
        "python": platform.python_version(),
        "variate": __version__,
        **{package: version(package) for package in ("torch", "numpy")},
    }


def build(architecture: str, facts: Facts) -> nn.Module:
    """Build and initialize an architecture: a registered name with or without options, or a ``module:callable``.

    The function receives those of ``shape``, ``classes``, ``mean``, ``std`` and ``details`` that it has as arguments.
    ``classes`` is the number of outputs that the task of the data needs. A registered network for numbers returns them
    in the unit of the labels. Raises ``UsageError`` for an architecture of another modality or task.
    """
    import inspect

    options: dict[str, Any] = {}
    if names_code(architecture):
        function = import_callable(architecture)
    else:
        name, _ = parse(architecture, "a network")
        entry = registry.get("networks", name)
        function = entry.load()
        options = parse(architecture, "a network", function)[1]
        check_serves(architecture, entry, facts)
    standard = {name: getattr(facts, name) for name in ("shape", "classes", "mean", "std", "details")}
    standard |= {"classes": task_of(facts.task).width(facts.classes)}
    standard |= {"shape": tuple(standard["shape"]), "mean": list(standard["mean"]), "std": list(standard["std"])}
    parameters = inspect.signature(function).parameters
    unknown = [option for option in options if option not in parameters or option in standard]
    if unknown:
        raise unknown_name(
            f"option of {architecture}", unknown[0], [name for name in parameters if name not in standard]
        )
    own = {name: whole(value) for name, value in options.items()}
    network = function(**{name: value for name, value in standard.items() if name in parameters}, **own)
    if not isinstance(network, nn.Module):
        raise UsageError(f"{architecture} returned {type(network).__name__}", expected="a torch.nn.Module")
    return network if names_code(architecture) else in_units(network, facts)


def save(network: nn.Module, folder: str | Path, card: Card) -> None:
    """Write a network and its card into a folder, each file atomically; means on a grid in few bits.

    Raises:
        CheckpointError: if it cannot be written.
    """
    target = Path(folder)
    write_tensors(target / WEIGHTS, packed(network), {SEAL: _seal(card)})
    replace_text(target / CARD, card.model_dump_json(indent=2) + "\n", CheckpointError, todo=FREE)


def read_card(folder: str | Path) -> Card:
    """Read the card of a saved network. Raises ``CheckpointError``."""
    path = Path(folder) / CARD
    if not path.is_file():
        raise CheckpointError(
            f"{folder} holds no saved network: there is no {CARD}",
            todo="give the folder that `variate train --out` wrote",
        )
    with reading(path, CheckpointError, todo="restore the file, or train the network again"):
        try:
            return Card.model_validate_json(path.read_text(encoding="utf-8"))
        except (ValidationError, UnicodeDecodeError) as error:
            raise CheckpointError(
                f"{path} is not a card of this version of Variate",
                findings=findings_of(error, Card) if isinstance(error, ValidationError) else [str(error)],
            ) from error


def load(folder: str | Path, *, trust_code: bool = False) -> nn.Module:
    """Load a saved network, in eval mode.

    Args:
        folder: folder that ``save`` wrote.
        trust_code: allow a card that names the user's own ``module:callable``, which is then imported and called.

    Raises:
        CheckpointError: if the folder, card or tensors are missing, truncated, of another format, or do not match.
    """
    card = read_card(folder)
    if names_code(card.architecture) and not trust_code:
        raise CheckpointError(
            f"the card in {folder} names the code {card.architecture!r}, which loading would run",
            todo="pass trust_code=True (--trust-code) if you trust it",
        )
    tensors, metadata = read_tensors(Path(folder) / WEIGHTS)
    network = _rebuilt(card, tensors, folder)
    load_into(network, unpacked(network, tensors, Path(folder) / WEIGHTS), Path(folder) / WEIGHTS)
    _check_fingerprint(network, card, folder)
    if metadata.get(SEAL, _seal(card)) != _seal(card):  # older files have no seal
        raise CheckpointError(
            f"the card in {folder} was changed since its network was saved",
            findings=[f"one of {', '.join(SEALED)}, task is not what it was"],
            todo="restore both files from the same run",
        )
    return network.eval()


def _rebuilt(card: Card, tensors: Mapping[str, Tensor], folder: str | Path) -> nn.Module:
    """The network that a card describes, with other parameters. Raises ``CheckpointError``."""
    if names_code(card.architecture):  # the user's own code, whose errors are left as they are
        return _described(card)
    with reading(f"the card in {folder}", CheckpointError, todo="restore the file, or train the network again"):
        _check_size(card, tensors, folder)
        return _described(card)


def _described(card: Card) -> nn.Module:
    network, _ = defended(card.defense, build(card.architecture, card), shape=card.shape)
    if families_of(network) != card.families:
        network = build(card.architecture, card)
        fixed = any(name not in card.families for name, _ in network.named_parameters())
        families = {**card.families, "*": "fixed"} if fixed else card.families
        network = randomize(network, families) if card.families else network
    if card.priors:
        set_priors(network, card.priors)
    return network


def _check_size(card: Card, tensors: Mapping[str, Tensor], folder: str | Path) -> None:
    """Check, before memory is taken, that the file holds as much as the card describes. Raises ``CheckpointError``."""
    if parse(card.architecture, "a network")[0] == "encoder":  # its size is that of a folder of weights
        return
    try:
        with torch.device("meta"):  # shapes alone
            shapes = build(card.architecture, card)
    except (RuntimeError, NotImplementedError):  # an architecture that needs values to be built
        return
    few_bits = {name: t for name, t in tensors.items() if isinstance(t, Tensor) and t.dtype == torch.uint8}
    described, held = count(shapes.state_dict()), count(tensors) + 7 * count(few_bits)  # a byte has up to 8 numbers
    if described > held + SLACK:  # smaller networks are compared tensor by tensor
        raise CheckpointError(
            f"the card in {folder} describes another network than was saved: {described:,} numbers",
            findings=[f"{WEIGHTS} holds {held:,}"],
            todo="restore both files from the same run",
        )


def _seal(card: Card) -> str:
    """A hash of everything in a card that the answers of its network depend on, besides its tensors."""
    sealed = {*SEALED} | ({"task"} if card.task != "classes" else set())  # as in cards before there were tasks
    facts = card.model_dump_json(include=sealed)
    return hashlib.blake2b(facts.encode(), digest_size=16).hexdigest()


def load_start(network: nn.Module, folder: str | Path, architecture: str) -> None:
    """Load the parameters of a saved deterministic network, to train it further or to make it random.

    Args:
        network: network of the same architecture, not random yet.
        folder: folder that ``save`` wrote.
        architecture: architecture of ``network``, as named in its card.

    Raises:
        CheckpointError: if the saved network is random, of another architecture, or does not match its card.
    """
    card = read_card(folder)
    if card.architecture != architecture:
        raise CheckpointError(
            f"{folder} holds a {card.architecture}, and the network to train is a {architecture}",
            todo=f"pass network={card.architecture!r} (--network {card.architecture}), or start from another folder",
        )
    if card.families:
        raise CheckpointError(
            f"{folder} holds a random network ({card.defense}); training starts from means only",
            todo="give the folder of a network that was trained with the defense deterministic or at",
        )
    tensors, _ = read_tensors(Path(folder) / WEIGHTS)
    load_into(network, tensors, Path(folder) / WEIGHTS)
    _check_fingerprint(network, card, folder)


def families_of(network: nn.Module) -> dict[str, str]:
    """The family of every random parameter, by name; empty for a deterministic network."""
    return {site.name: site.family for site in sites(network)} if isinstance(network, RandomNetwork) else {}


def _check_fingerprint(network: nn.Module, card: Card, folder: str | Path) -> None:
    if fingerprint(network.state_dict()) != card.fingerprint:
        raise CheckpointError(
            f"the tensors in {folder} are not those of its card", todo="restore both files from the same run"
        )

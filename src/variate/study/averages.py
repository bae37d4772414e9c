"""Networks of several seeds as one network: the twin of the same inference cost as a network with K modes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import nn

from variate import registry
from variate.errors import UsageError
from variate.hashing import fingerprint
from variate.options import parse
from variate.random.as_modes import as_modes
from variate.records.schema import AVERAGED
from variate.study.file import Study
from variate.study.grid import Place
from variate.training.saved import CARD, Card, families_of, load, read_card, save


def join(members: Sequence[Place], place: Place) -> Card:
    """Write the networks of several places into another as one network, each of them a mode; one there is replaced.

    Raises:
        UsageError: if a network is not trained yet, or is random.
    """
    missing = [member.name for member in members if not (member.folder / CARD).exists()]
    if missing:
        raise UsageError(f"{place.name} is made of networks that are not trained: {', '.join(missing)}")
    cards = [read_card(member.folder) for member in members]
    training = {**cards[0].training, AVERAGED: _fingerprints(members)}
    trusted = [card.architecture == member.cell.network for member, card in zip(members, cards, strict=True)]
    networks = [load(m.folder, trust_code=own) for m, own in zip(members, trusted, strict=True)]
    network = as_one(networks)
    card = cards[0].model_copy(
        update={
            "families": families_of(network),
            "training": training,
            "history": {"losses": cards[0].history["losses"]},
            "curve": [],
            "seconds": round(sum(card.seconds for card in cards), 1),
            "fingerprint": fingerprint(network.state_dict()),
        }
    )
    save(network, place.folder, card)
    return card


def is_joined(place: Place, grid: Mapping[str, Place]) -> bool:
    """Whether a place holds the average of the networks that its members hold now."""
    members = [grid[name] for name in place.members]
    if not all((own.folder / CARD).exists() for own in (place, *members)):
        return False
    return bool(read_card(place.folder).training.get(AVERAGED) == _fingerprints(members))


def _fingerprints(members: Sequence[Place]) -> dict[str, str]:
    return {member.name: read_card(member.folder).fingerprint for member in members}


def as_one(networks: Sequence[nn.Module]) -> nn.Module:
    """Several networks as one, of which ``mean-K`` is the mean probability of all."""
    return as_modes(networks, around="fixed", share="tensor")


def check_averages(study: Study) -> None:
    """Check that every average is one of different deterministic networks. Raises ``UsageError``."""
    for average in study.averages:
        defenses = [defense for defense in study.defenses if defense.shown == average.of]
        if not defenses:
            shown = [defense.shown for defense in study.defenses]
            raise UsageError(f"{average.shown} is an average of {average.of!r}", expected=f"one of {', '.join(shown)}")
        for defense in defenses:
            if registry.get("defenses", parse(defense.defense, "a defense")[0]).facts["random"]:
                raise UsageError(f"{average.shown} is an average of random networks", todo="average deterministic ones")
        if average.networks > len(study.seeds):
            raise UsageError(
                f"{average.shown} needs {average.networks} seeds, and the study has {len(study.seeds)}",
                todo="add seeds, or average fewer networks",
            )

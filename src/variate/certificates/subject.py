"""What is certified: a network, its checked inputs, and the mechanism that its certificate rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from variate import registry
from variate.certificates.acceptance import CHOOSING
from variate.certificates.certification import Casting
from variate.certificates.front import EXAMPLE
from variate.certificates.mechanism import Mechanism
from variate.errors import UsageError
from variate.evaluation.claims import Look, judged, look_at
from variate.evaluation.probes import check_mode, device_of
from variate.hashing import fingerprint
from variate.inputs.modality import Modality, modality_of
from variate.inputs.validation import check_inputs, check_module, precise
from variate.records.certified import Certificate
from variate.tasks.classes import CLASSES, Classes
from variate.tasks.task import Task, name_of

WITHOUT_NOISE = ("interval", "crown-ibp")  # the last to be tried, in this order


class NothingProvedError(UsageError):
    """A network has nothing that a certificate needs, such as noise on its input."""


@dataclass(frozen=True)
class Subject:
    """A network with labelled inputs, and what its certificate rests on.

    Attributes:
        network: the network.
        x: inputs, shape (B, ...).
        y: labels, shape (B, ...).
        task: what the answers mean.
        mechanism: what the certificate rests on.
        certificate: its record.
        modality: modality of the inputs.
        look: what one forward pass reveals.
    """

    network: nn.Module
    x: Tensor
    y: Tensor
    task: Task
    mechanism: Mechanism
    certificate: Certificate
    modality: Modality
    look: Look


def checked(
    network: nn.Module, x: Tensor, y: Tensor, modality: str | Modality, task: Task, casting: Casting
) -> Modality:
    """The modality of inputs that can be certified, if the options make sense too.

    Raises:
        InputError: for inputs or labels that cannot be judged.
        UsageError: for a network that is not a module, an unknown modality, and an option that makes no sense.
    """
    casting.check()
    check_module(network)
    check_inputs(x, y, task.label_findings)
    return modality_of(modality)


def subject_of(
    network: nn.Module,
    x: Tensor,
    y: Tensor,
    kind: Modality,
    task: Task,
    casting: Casting,
    *,
    name: str,
    group: str | None,
    early_stop: bool = False,
) -> Subject:
    """The subject of a certificate, to be used inside ``left_as_found(network)``.

    Args:
        network: the network, which answers as ``task.answers`` makes it.
        x: inputs, shape (B, ...).
        y: labels, shape (B, ...).
        kind: result of ``checked``.
        task: what the answers mean.
        casting: how votes are cast.
        name: name of the network in the records.
        group: name shared by networks that differ only in their training seed.
        early_stop: whether votes on an example end as soon as they tell whether it is certified.

    Raises:
        InputError: for labels that the network has no outputs for.
        UsageError: for a network of which nothing can be proved.
    """
    inputs, x, y = fingerprint([x, y]), precise(x.detach()), task.typed(y)
    look = look_at(network, x)
    task.check(look.width, y)
    found = mechanism_of(network, x, look, casting.mechanism, task).on(kind)
    facts = judged(look, inputs, kind, task, name=name, seed=casting.seed, batch_size=casting.batch_size, memory=None)
    certificate = Certificate(
        **facts,
        mechanism=found.name,
        noise=found.sentence(),
        choosing=CHOOSING if found.random else 1,
        draws=casting.draws if found.random else 1,
        alpha=casting.alpha if found.random else 0.0,
        votes_of=casting.votes_of,
        group=group,
        asked=len(x),
        early_stop=early_stop and found.random,
    )
    return Subject(network, x, y, task, found, certificate, kind, look)


def mechanism_of(
    network: nn.Module, x: Tensor, look: Look | None = None, name: str | None = None, task: Task = CLASSES
) -> Mechanism:
    """What can be proved of a network, by one certificate or any, for a task.

    Raises:
        NothingProvedError: if it has nothing that a certificate needs.
        UsageError: if it has, and nothing can be proved with it.
    """
    look = look_at(network, x) if look is None else look
    check_mode(network, look.kind)
    few = x[:2].to(device_of(network, x))
    entries = registry.entries("certificates")
    noisy = [entry for entry in entries if entry not in WITHOUT_NOISE]
    chosen: Sequence[str] = [*noisy, *WITHOUT_NOISE] if name is None else [name]
    for one in chosen:
        kind: type[Mechanism] = registry.get("certificates", one).load()
        mechanism = kind.find(network, few) if kind.parted or isinstance(task, Classes) else None
        if mechanism is None:
            continue
        if look.coupled is not None:
            raise UsageError(
                f"nothing is proved where answers depend on the batch: {look.coupled}", todo="call eval() first"
            )
        return mechanism
    needs = {one: registry.get("certificates", one).facts["needs"] for one in chosen}
    raise NothingProvedError(
        f"nothing can be proved of this network{_for(task)}: it is not what certificates need",
        expected="; or ".join(f"{need} ({one})" for one, need in needs.items()),
        todo=EXAMPLE,
    )


def _for(task: Task) -> str:
    return "" if isinstance(task, Classes) else f" for the task {name_of(task)}"

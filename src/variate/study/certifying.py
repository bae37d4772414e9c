"""Certify the networks of a study, as its ``[[certify]]`` tables ask."""

from __future__ import annotations

from contextlib import suppress

from torch import Tensor, nn

from variate import registry
from variate.certificates.certifiable import certifiable
from variate.certificates.certify import certify
from variate.certificates.mechanism import Mechanism, usual_norm
from variate.certificates.proof import check_deployments
from variate.certificates.subject import NothingProvedError
from variate.datasets.info import about
from variate.errors import UsageError
from variate.inputs.budget import Budget
from variate.records.file import Records
from variate.study.file import Certification, Study
from variate.study.grid import Folders, Place, folder_for, kind_of_data


def prove(
    certification: Certification,
    place: Place,
    network: nn.Module,
    x: Tensor,
    y: Tensor,
    records: Records,
    *,
    show_progress: bool,
) -> None:
    """Certify a trained network, if it has what the certificate needs; votes in its records are not cast again."""
    if not certification.radii_for(place.cell.data):
        return
    facts = place.cell.about()
    with suppress(NothingProvedError):
        certify(
            network,
            x[: certification.examples],
            y[: certification.examples],
            certification=certification.options(place.cell.data, place.cell.recipe.seed),
            records=records,
            name=place.name,
            group=place.group,
            modality=facts.modality,
            task=facts.task,
            show_progress=show_progress,
        )


def mechanism_in(certification: Certification, network: nn.Module, x: Tensor) -> Mechanism | None:
    """What proves something of a network, such as noise on its input; None for a network without it."""
    mechanism: Mechanism | None = registry.get("certificates", certification.mechanism).load().find(network, x)
    return mechanism


def check_certifications(study: Study, folders: Folders = None) -> None:
    """Check that the certificates of a study exist, and serve its norms and its tasks. Raises ``UsageError``."""
    for certification in study.certify:
        norms = registry.get("certificates", certification.mechanism).facts["norms"]
        if certification.norm not in (None, *norms):
            raise UsageError(
                f"{certification.mechanism} certifies nothing in {certification.norm}",
                expected=f"one of {', '.join(norms)}",
            )
        check_deployments(certification.deployments)
        sizes = [(data, size) for data in study.data for size in certification.radii_for(data)]
        if not sizes:
            raise UsageError(f"the study has no radius for {certification.mechanism}", todo="radii = [0.25, 0.5]")
        for data in dict.fromkeys(data for data, _ in sizes):
            certifiable(about(data, folder=folder_for(folders, data)).task)
        for data, size in sizes:
            kind = kind_of_data(data)
            kind.check_norm(Budget.parse(f"{certification.norm or usual_norm(norms, kind.norms)}:{size}"))

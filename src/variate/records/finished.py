"""The finished certificates of every network: the last is shown, the others are named."""

from __future__ import annotations

from collections.abc import Iterator

from variate.records.certified import Certificate, Proved
from variate.records.file import Records

Finished = dict[tuple[str, str], list[tuple[Certificate, Proved]]]


def finished(records: Records) -> Finished:
    """What was proved of each network in each norm, in the order it was certified."""
    found: Finished = {}
    for certificate in records.certificates.values():
        for (owner, norm), proved in records.proofs.items():
            if owner == certificate.id:
                found.setdefault((certificate.network, norm), []).append((certificate, proved))
    return found


def earlier_notes(records: Records) -> Iterator[str]:
    """The certificates that are in the records but not shown, in words."""
    for (network, norm), all_ in finished(records).items():
        *hidden, (last, _) = all_
        if hidden:
            words = dict.fromkeys(_words(certificate, last) for certificate, _ in hidden)
            yield (
                f"{network}: only the newest certificate in {norm} is shown. Also in the records, but not shown: "
                f"{'; '.join(words)}."
            )


def _words(certificate: Certificate, last: Certificate) -> str:
    """How a certificate that is not shown differs from the one that is."""
    about = f"{certificate.draws:,} votes on {certificate.asked} examples, {certificate.date}"
    if certificate.fingerprint == last.fingerprint:
        return f"an earlier one ({about})"
    return f"another network of this name, {certificate.fingerprint} ({about})"

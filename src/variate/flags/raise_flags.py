"""Which red flags the records of an evaluation raise."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from variate import registry
from variate.flags.evidence import Evidence
from variate.records.file import Records
from variate.records.groups import shown

PAGES = "docs/flags"


@dataclass(frozen=True)
class Raised:
    """A red flag on one network.

    Attributes:
        network: name of the network in the records.
        flag: name of the flag.
        level: ``warning``, or ``note`` for what may be intended.
        findings: one sentence for each finding.
        explanation: why it matters.
        remedy: what to do.
        page: path of the page that explains the flag.
    """

    network: str
    flag: str
    level: str
    findings: tuple[str, ...]
    explanation: str
    remedy: str
    page: str

    def as_json(self) -> dict[str, Any]:
        """As a dict for JSON."""
        return asdict(self)


def raised(records: Records, only: str | None = None) -> list[Raised]:
    """Every raised flag, warnings first, then by network; ``only`` those on one network."""
    flags = []
    for network in dict.fromkeys(claim.network for claim in shown(records) if only in (None, claim.network)):
        evidence = Evidence(records, network)
        if not evidence.claims:
            continue
        for name, entry in registry.entries("flags").items():
            findings = entry.load()(evidence)
            if findings:
                facts = entry.facts
                level = facts["level"] if evidence.claims_random else facts["deterministic"] or facts["level"]
                texts = (level, tuple(findings), facts["explanation"], facts["remedy"])
                flags.append(Raised(network, name, *texts, f"{PAGES}/{name}.md"))
    return sorted(flags, key=lambda flag: flag.level != "warning")

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
        network: its name in the records.
        flag: the flag's name.
        level: ``warning``, or ``note`` for what may be meant.
        findings: what was seen, a sentence each.
        explanation: why it matters.
        remedy: what to do.
        page: where the flag is explained.
    """

    network: str
    flag: str
    level: str
    findings: tuple[str, ...]
    explanation: str
    remedy: str
    page: str

    def as_json(self) -> dict[str, Any]:
        """As one plain object."""
        return asdict(self)


def raised(records: Records) -> list[Raised]:
    """Every flag that is raised, network by network, warnings first."""
    found = []
    for network in dict.fromkeys(claim.network for claim in shown(records)):
        evidence = Evidence(records, network)
        if not evidence.claims:
            continue
        for name, entry in registry.entries("flags").items():
            findings = entry.load()(evidence)
            if findings:
                facts = entry.facts
                level = facts["level"] if evidence.claims_random else facts["deterministic"] or facts["level"]
                texts = (level, tuple(findings), facts["explanation"], facts["remedy"])
                found.append(Raised(network, name, *texts, f"{PAGES}/{name}.md"))
    return sorted(found, key=lambda flag: flag.level != "warning")

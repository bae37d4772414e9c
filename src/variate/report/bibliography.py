"""BibTeX for exactly what the records used: attacks, defenses, objectives, families, architectures, data sets."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from variate import registry
from variate.inputs.budget import Budget
from variate.options import plain
from variate.records.file import Records

TITLE = "Variate"  # as in CITATION.cff
AUTHORS = "The Variate developers"
OF_CONFIDENCE = (
    ("measure", "expected calibration error", "Guo et al. 2017, arXiv:1706.04599"),
    ("measure", "area under the risk-coverage curve", "Geifman & El-Yaniv 2017, arXiv:1705.08500"),
)
FAMILY = "normal"  # default family of a random network
WORD = re.compile(r"[a-z][a-z0-9-]*")
NAME = r"[A-Z][\w'’-]+"
WHO = re.compile(rf"({NAME}(?:(?:, | & ){NAME})*(?: et al\.)?),?(?: (\d{{4}}))?(?=\W|$)")
ARXIV = re.compile(r"arXiv:(\d{4}\.\d{4,5})")


def bibtex(records: Records) -> str:
    """One entry for each source, in the order of use, and one for Variate itself."""
    sources: dict[str, tuple[dict[str, str], list[str]]] = {}
    norms = {Budget.parse(claim.budget).norm for claim in records.claims.values() if claim.budget}
    for kind, name, cite in _used(records):
        for key, fields in _sources(cite, name, without=() if "l1" in norms else ("l1",)):
            users = sources.setdefault(key, (fields, []))[1]
            users += [label] if (label := f"{registry.SINGULAR.get(kind, kind)} {name}") not in users else []
    known = titles()
    entries = [
        _entry("misc", key, _titled(fields, known.get(key)) | {"note": _note(fields, users)})
        for key, (fields, users) in sources.items()
    ]
    version = next((run.versions["variate"] for run in records.runs if "variate" in run.versions), None)
    software = {"author": f"{{{AUTHORS}}}", "title": f"{{{TITLE}}}"}
    if version is not None and version[:1].isdigit():
        software["version"] = version
    return "\n\n".join([_entry("software", "variate", software), *entries])


@cache
def titles() -> dict[str, str]:
    """The titles of the sources that the registry cites, by key."""
    return tomllib.loads((Path(__file__).parent / "sources.toml").read_text(encoding="utf-8"))


def _titled(fields: dict[str, str], title: str | None) -> dict[str, str]:
    """The fields with a title after the authors; its capitals are protected."""
    if title is None:
        return fields
    authors = {name: value for name, value in fields.items() if name == "author"}
    return authors | {"title": f"{{{title}}}"} | fields


def _note(fields: dict[str, str], users: list[str]) -> str:
    return "; ".join(filter(None, [fields.get("note", ""), f"used as: {', '.join(users)}"]))


def _used(records: Records) -> Iterator[tuple[str, str, str]]:
    """Kind, name and citation of each registered entry that the records name, and of the measures they need."""
    for kind, name in dict.fromkeys(_named(records)):
        entry = registry.entries(kind).get(name)
        if entry is not None and entry.facts.get("cite"):
            yield kind, name, entry.facts["cite"]
    if any(line.confidences for examples in records.examples.values() for line in examples.values()):
        yield from OF_CONFIDENCE


def _named(records: Records) -> Iterator[tuple[str, str]]:
    """Kind and name of everything in the records that may be a registered entry."""
    for claim in records.claims.values():
        yield "attacks", claim.attack
        for part in claim.options.get("attacks", ()):
            yield "attacks", str(part["name"] if isinstance(part, dict) else part)
    for certificate in records.certificates.values():
        yield "certificates", plain(certificate.mechanism)
    for network in records.networks.values():
        defense = plain(network.defense)
        yield "defenses", defense
        yield "networks", plain(network.architecture)
        yield "datasets", plain(str(network.training.get("data")))
        yield from (("objectives", word) for word in WORD.findall(network.objective))
        entry = registry.entries("defenses").get(defense)
        families = [word for word in WORD.findall(network.defense) if word in registry.entries("families")]
        if entry is not None and entry.facts["random"] and entry.facts["group"] == "ours":
            families = families or [FAMILY]
        yield from (("families", word) for word in families)
    for run in records.runs:
        yield "datasets", plain(run.data)


def _sources(cite: str, name: str, *, without: Sequence[str] = ()) -> Iterator[tuple[str, dict[str, str]]]:
    """Key and fields of each source in a citation; the citation as a note if none can be parsed.

    Args:
        cite: sources separated by semicolons.
        name: name of the entry, the fallback key.
        without: norms that were not used; sources cited only for them are omitted.
    """
    parsed = False
    for part in cite.split(";"):
        arxiv, authors = ARXIV.search(part), _authors_and_year(part)
        if authors is None or part.strip().startswith(tuple(f"{norm}:" for norm in without)):
            continue
        parsed = True
        names, year = authors
        key = re.sub(r"\W", "", re.split(r"[ ,]", names)[0]).lower() + year
        fields = {"author": _bibtex_authors(names), "year": year}
        if arxiv:
            address = {"eprint": arxiv[1], "archivePrefix": "arXiv", "url": f"https://arxiv.org/abs/{arxiv[1]}"}
            yield f"{key}-{arxiv[1].replace('.', '')}", fields | address
        else:
            yield key, fields | {"note": part.strip()}
    if not parsed:
        yield re.sub(r"\W", "", name), {"note": cite}


def _authors_and_year(part: str) -> tuple[str, str] | None:
    """The last authors with a year; or those right before the arXiv number, with its year."""
    before, address, number = part.partition("arXiv:")
    dated = [match for match in WHO.finditer(before) if match[2]]
    if dated:
        return dated[-1][1], dated[-1][2]
    last = [match for match in WHO.finditer(before) if not before[match.end() :].strip(" ,")]
    return (last[-1][1], f"20{number[:2]}") if address and last else None


def _bibtex_authors(names: str) -> str:
    """``A, B & C et al.`` as BibTeX writes it."""
    return re.sub(r",\s+|\s+&\s+", " and ", names.replace(" et al.", " and others"))


def _entry(kind: str, key: str, fields: dict[str, str]) -> str:
    lines = [f"  {field} = {{{value if field == 'title' else _escaped(value)}}}," for field, value in fields.items()]
    return "\n".join([f"@{kind}{{{key},", *lines, "}"])


def _escaped(value: str) -> str:
    return re.sub(r"(?<!\\)([&%#_])", r"\\\1", value) if not value.startswith("https://") else value

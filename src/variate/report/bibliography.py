"""BibTeX of exactly what the records used: attacks, defenses, objectives, families, architectures and data sets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from variate import registry
from variate.inputs.budget import Budget
from variate.options import plain
from variate.records.file import Records

TITLE = "Variate"  # as in CITATION.cff
AUTHORS = "The Variate developers"
CALIBRATION = ("measure", "expected calibration error", "Guo et al. 2017, arXiv:1706.04599")
FAMILY = "normal"  # of a random network whose defense names none
WORD = re.compile(r"[a-z][a-z0-9-]*")
NAME = r"[A-Z][\w'’-]+"
WHO = re.compile(rf"({NAME}(?:(?:, | & ){NAME})*(?: et al\.)?),?(?: (\d{{4}}))?(?=\W|$)")
ARXIV = re.compile(r"arXiv:(\d{4}\.\d{4,5})")


def bibtex(records: Records) -> str:
    """One entry for each source, in the order of use, and one for Variate itself."""
    found: dict[str, tuple[dict[str, str], list[str]]] = {}
    norms = {Budget.parse(claim.budget).norm for claim in records.claims.values() if claim.budget}
    for kind, name, cite in _used(records):
        for key, fields in _sources(cite, name, without=() if "l1" in norms else ("l1",)):
            users = found.setdefault(key, (fields, []))[1]
            users += [label] if (label := f"{registry.SINGULAR.get(kind, kind)} {name}") not in users else []
    entries = [_entry("misc", key, fields | {"note": _note(fields, users)}) for key, (fields, users) in found.items()]
    version = next((run.versions["variate"] for run in records.runs if "variate" in run.versions), None)
    ours = {"author": f"{{{AUTHORS}}}", "title": f"{{{TITLE}}}"}
    named = version is not None and version[:1].isdigit()
    return "\n\n".join([_entry("software", "variate", ours | ({"version": str(version)} if named else {})), *entries])


def _note(fields: dict[str, str], users: list[str]) -> str:
    return "; ".join(filter(None, [fields.get("note", ""), f"used as: {', '.join(users)}"]))


def _used(records: Records) -> Iterator[tuple[str, str, str]]:
    """Kind, name and source of every registered entry that the records name, each once, and of what they measure."""
    for kind, name in dict.fromkeys(_named(records)):
        entry = registry.entries(kind).get(name)
        if entry is not None and entry.facts.get("cite"):
            yield kind, name, entry.facts["cite"]
    if any(line.confidences for examples in records.examples.values() for line in examples.values()):
        yield CALIBRATION


def _named(records: Records) -> Iterator[tuple[str, str]]:
    """Words of the records that may name an entry."""
    for claim in records.claims.values():
        yield "attacks", claim.attack
        for one in claim.options.get("attacks", ()):
            yield "attacks", str(one["name"] if isinstance(one, dict) else one)
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
    """Key and fields of each source that a citation names; of one that names none that can be read, the words.

    Args:
        cite: sources, separated by semicolons.
        name: of the entry, for want of a better key.
        without: norms that were not used; what is cited for them alone is left out.
    """
    found = False
    for part in cite.split(";"):
        number, who = ARXIV.search(part), _who(part)
        if who is None or part.strip().startswith(tuple(f"{norm}:" for norm in without)):
            continue
        found = True
        names, year = who
        key = re.sub(r"\W", "", re.split(r"[ ,]", names)[0]).lower() + year
        fields = {"author": _authors(names), "year": year}
        if number:
            address = {"eprint": number[1], "archivePrefix": "arXiv", "url": f"https://arxiv.org/abs/{number[1]}"}
            yield f"{key}-{number[1].replace('.', '')}", fields | address
        else:
            yield key, fields | {"note": part.strip()}
    if not found:
        yield re.sub(r"\W", "", name), {"note": cite}


def _who(part: str) -> tuple[str, str] | None:
    """The last names with a year; or those right before the address, with its year."""
    before, address, number = part.partition("arXiv:")
    dated = [match for match in WHO.finditer(before) if match[2]]
    if dated:
        return dated[-1][1], dated[-1][2]
    last = [match for match in WHO.finditer(before) if not before[match.end() :].strip(" ,")]
    return (last[-1][1], f"20{number[:2]}") if address and last else None


def _authors(names: str) -> str:
    """``A, B & C et al.`` as BibTeX writes it."""
    return re.sub(r",\s+|\s+&\s+", " and ", names.replace(" et al.", " and others"))


def _entry(kind: str, key: str, fields: dict[str, str]) -> str:
    lines = [f"  {field} = {{{_escaped(value)}}}," for field, value in fields.items()]
    return "\n".join([f"@{kind}{{{key},", *lines, "}"])


def _escaped(value: str) -> str:
    return re.sub(r"(?<!\\)([&%#_])", r"\\\1", value) if not value.startswith("https://") else value

"""The reports of the gallery, from committed records: one for each modality, one of several runs, one of a suite."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from variate.records.file import Records
from variate.report.page import page_text

DOCS = Path(__file__).parent.parent
RESULTS = DOCS / "results"


def page_of(name: str) -> str:
    """The HTML of a report of the gallery."""
    return page_text(REPORTS[name]())


def studies(*names: str) -> list[Records]:
    """The records of some studies, each as one run."""
    return [Records(RESULTS / name) for name in names]


def about(name: str, data: str) -> list[Records]:
    """The part of a study's records that is about one data set."""
    study, part = Records(RESULTS / name), Records()
    networks = [line for line in study.networks.values() if line.training["data"] == data]
    own = tuple(line.network for line in networks)  # their twins are named after them
    claims = [claim for claim in study.claims.values() if claim.network.startswith(own)]
    part.add([*(run for run in study.runs if run.data == data), *networks, *claims])
    for claim in claims:
        part.add([*study.examples[claim.id].values(), *study.timings.get(claim.id, {}).values()])
    part.add([scale for scale in study.scales if scale.network in own])
    return [part]


REPORTS: dict[str, Callable[[], list[Records]]] = {
    "image": lambda: studies("fashion-mnist/records.jsonl.gz"),
    "audio": lambda: studies("modalities/sound.jsonl.gz"),
    "text": lambda: about("modalities/records.jsonl.gz", "movie-snippets(neighbors=wordnet)"),
    "table": lambda: about("modalities/records.jsonl.gz", "phishing"),
    "suite": lambda: studies("random-at/records.jsonl.gz"),
    "three-runs": lambda: studies("standard/records.jsonl.gz", "black-box/records.jsonl.gz", "draws/records.jsonl.gz"),
}

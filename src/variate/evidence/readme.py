"""The page inside an evidence file: what an auditor looks for, in plain Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from variate.evidence.manifest import Manifest
from variate.flags.raise_flags import raised
from variate.records.file import Records
from variate.records.groups import notes
from variate.records.rows import CLEAN
from variate.report.metrics import metric_sheet
from variate.report.proved import proved_markdown
from variate.report.sheet import markdown_of
from variate.statistics.notation import percent, percent_interval

ASSUMPTIONS = (
    "A rate under attack is what the attacks that were run have left. It is an upper bound on robustness: an attack "
    "that was not run may leave less.",
    "The attacker knows the network, that it is random and how it is deployed, and averages over its draws; the draws "
    "of the deployed network are fresh at every answer and unknown to the attacker.",
    "The attacker changes an input within the budget and in no other way, and does not touch the training data or the "
    "network.",
    "Intervals are 95 % confidence intervals over examples and draws. They take the examples as a random sample of "
    "those that the network will meet; they say nothing of other data.",
    "Adversarial inputs were found with draws that the verdict did not use.",
    "A certified rate is a lower bound for the named deployment and budget, whatever the attacker does within it.",
)
CLAIMS_NOTHING = (
    "The page lists what was measured, so that a reader can hold it against the requirements that apply. It states no "
    "conformity with any standard or regulation."
)
ELSE = (
    "Curves of convergence, evidence for red flags, costs, training and certificates are recorded in `records.jsonl`; "
    "they describe searches, trainings and votes that an archive of inputs cannot repeat."
)


def readme(manifest: Manifest, records: Records) -> str:
    """The page, in Markdown."""
    metrics = metric_sheet(records)
    parts = [
        f"# Evidence: the robustness of `{escaped(manifest.network)}`",
        CLAIMS_NOTHING,
        "## What was judged",
        "\n".join(_facts(manifest, records)),
        "## Results",
        _table(manifest),
        *([] if metrics is None else [markdown_of(metrics)]),
        *filter(None, [proved_markdown(records)]),
        "## Assumptions",
        "\n".join(f"- {sentence}" for sentence in ASSUMPTIONS),
        "## What makes these numbers doubtful",
        "\n".join(_doubts(manifest, records)),
        "## How to check it",
        "\n".join(_checks(manifest)),
    ]
    return "\n\n".join(parts) + "\n"


def _facts(manifest: Manifest, records: Records) -> Iterator[str]:
    saved = "in `network/`" if manifest.saved else "not included; by its fingerprint alone"
    yield f"- Network: `{escaped(manifest.network)}`, fingerprint `{manifest.fingerprint}`, {saved}"
    for line in [records.networks[manifest.network]] if manifest.network in records.networks else []:
        yield (
            f"- Architecture {escaped(line.architecture)}, defense {escaped(line.defense)}, objective "
            f"{escaped(line.objective)}, {line.parameters:,} parameters, {line.epochs} epochs, training seed "
            f"{line.seed}"
        )
    yield f"- Data: {escaped(', '.join(manifest.data)) or 'given in Python'}"
    for member, one in manifest.originals.items():
        yield f"- Original inputs: {one.examples} examples, {one.modality}, task {escaped(one.task)}, in `{member}`"
    budgets = dict.fromkeys(stored.budget for stored in manifest.stored)
    yield f"- Budgets of the attacker: {', '.join(f'`{escaped(budget)}`' for budget in budgets)}"
    yield f"- Seeds of attacks and verdicts: {', '.join(map(str, manifest.seeds))}"
    for title, versions in (("Measured with", manifest.versions), ("Written with", manifest.written_with)):
        if versions:
            yield f"- {title}: {', '.join(f'{name} {version}' for name, version in versions.items())}"
    yield from (f"- Command: `{escaped(command)}`" for command in manifest.commands)


def _table(manifest: Manifest) -> str:
    rows = ["| attack | budget | deployment | rate, % | 95 % interval | examples | draws of the verdict | seed |"]
    rows.append("| :-- | :-- | :-- | --: | :-- | --: | --: | --: |")
    for rate in manifest.rates:
        cells = (
            _attack(rate),
            rate["budget"] or "-",
            rate["deployment"],
            percent(rate["rate"]),
            percent_interval(rate["low"], rate["high"]),
            rate["examples"],
            rate["verdict_draws"],
            rate["seed"],
        )
        rows.append("| " + " | ".join(escaped(str(cell)) for cell in cells) + " |")
    return "\n".join(rows)


def _attack(rate: dict[str, Any]) -> str:
    if rate["attack"] == CLEAN:
        return "none (clean)"
    options = [f"{name}={value}" for name, value in rate["options"].items() if name not in ("attacks", "sources")]
    return ", ".join([rate["attack"], *options, f"{rate['draws']} draws a query"])


def _doubts(manifest: Manifest, records: Records) -> Iterator[str]:
    flags = raised(records, manifest.network)
    for flag in flags:
        yield f"- {flag.level} `{flag.flag}`: {escaped('; '.join(flag.findings))}. {flag.explanation} Do: {flag.remedy}"
    if not flags:
        yield "- No red flag was raised by what is recorded. That proves nothing."
    yield from (f"- {escaped(note)}" for note in notes(records))


def _checks(manifest: Manifest) -> Iterator[str]:
    own = "" if manifest.saved else " --network FILE.py:callable"
    yield f"    variate verify EVIDENCE.zip{own}"
    yield ""
    yield (
        "It compares the SHA-256 of every file with `manifest.json`, checks that every adversarial input is within its "
        "budget, judges all inputs again on fresh draws, and tests each rate and metric against the new one. The "
        "hashes show damage; that nobody replaced the whole archive, only a hash kept elsewhere can show."
    )
    yield ""
    yield (
        "- `data/*.npz`: arrays `x` and `y`, the original inputs and the adversarial inputs of each attack, in the "
        "same order; `variate audit --data FILE.npz` reads them"
    )
    yield "- `records.jsonl`: every answer of every draw, one line an example (`variate report` makes the page)"
    yield "- `manifest.json`: the table above, seeds, versions, and the hash of every file"
    yield ""
    yield ELSE


def escaped(text: str) -> str:
    """Text of others in one line, for a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")

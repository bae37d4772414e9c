"""A class is much more frequent than another, so that accuracy rewards answering it always."""

from __future__ import annotations

from variate.flags.evidence import Evidence
from variate.records.rows import CLEAN
from variate.registry import flag
from variate.statistics.prevalence import prevalence


@flag(
    level="note",  # the rates are right; what they hide is in other metrics
    trigger=(
        "Among the evaluated examples, the most frequent class has at least three times as many examples as the "
        "rarest one that occurs, and more than chance explains (99 %, over all pairs of classes). Never raised for "
        "tasks other than choosing a class."
    ),
    explanation=(
        "A network that always answers the frequent class reaches a high accuracy, and keeps it under every attack: "
        "its robust accuracy says how frequent that class is. Errors on a rare class hardly lower the accuracy, "
        "although they may be the ones that matter."
    ),
    remedy=(
        "Report metrics that weigh classes equally, such as balanced accuracy, the Matthews correlation coefficient or "
        "average precision, clean and under attack, or the expected cost if errors differ in cost; or evaluate equally "
        "many examples of each class."
    ),
    cite="Maier-Hein et al. 2024, arXiv:2206.01653",
)
def accuracy_misleads(evidence: Evidence) -> list[str]:
    """A class is much more frequent than another, so that accuracy rewards answering it always."""
    claims = [claim for claim in evidence.claims if claim.task.partition("(")[0] in ("classes", "binary")]
    labels: dict[int, int] = {}
    for claim in sorted(claims, key=lambda claim: claim.attack == CLEAN):
        labels |= {n: line.label for n, line in evidence.examples(claim).items() if line.label is not None}
    found = prevalence(labels.values())
    if not found.skewed:
        return []
    named = next((run.labels for run in evidence.records.runs if run.data == evidence.data and run.labels), [])

    def title(label: int) -> str:
        return f"class {label} ({named[label]})" if label < len(named) else f"class {label}"

    most, least = found.most, found.least
    often, rarely = (f"{100 * found.share(label):.1f} %" for label in (most, least))
    return [
        f"{found.counts[most]} of {found.examples} examples ({often}) are of {title(most)}, and {found.counts[least]} "
        f"({rarely}) of {title(least)}: answering {title(most)} always is right for {often}"
    ]

"""The answer to an example depends on the rest of its batch."""

from __future__ import annotations

from variate.flags.evidence import Evidence
from variate.registry import flag


@flag(
    level="warning",
    trigger=(
        "Before anything is attacked, a few examples are asked together, in a batch of copies of themselves and (where "
        "no generator draws) one by one, under the same key: some logits differ by more than rounding. Or a batch norm "
        "layer uses the statistics of the batch."
    ),
    explanation=(
        "The rates depend on the batch size and on how the examples are ordered, and an adversarial example that was "
        "found in one batch may be harmless in another. Batch norm that uses the statistics of the batch often looks "
        "more robust than the same network in eval mode."
    ),
    remedy=(
        "Call eval() on the network (--mode eval) before it is judged, and train() only on its noise modules. If it is "
        "used with the statistics of the batch on purpose, report the batch size with every rate."
    ),
    cite="Nado et al. 2020, arXiv:2006.10963",
)
def answers_depend_on_the_batch(evidence: Evidence) -> list[str]:
    """The answer to an example depends on the rest of its batch."""
    return list(dict.fromkeys(claim.coupled for claim in evidence.claims if claim.coupled))

"""The gradient is zero."""

from __future__ import annotations

from variate.flags.evidence import Evidence
from variate.registry import flag

MAX_SHARE = 0.05  # fraction of the draws and inputs


@flag(
    level="warning",
    trigger="The gradient is zero everywhere in more than 5 % of the draws and inputs.",
    explanation=(
        "An attacker who follows the gradient cannot move where it is zero. That does not make the network robust: it "
        "hides its gradient (gradient masking)."
    ),
    remedy=(
        "Trust black-box attacks, transfer and losses on logits (apgd-dlr, cw) rather than gradient attacks; check "
        "for saturation, rounding and detached outputs."
    ),
    cite="Athalye et al. 2018, arXiv:1802.00420, section 3; Pintor et al. 2022, arXiv:2106.09947, I1",
)
def zero_gradients(evidence: Evidence) -> list[str]:
    """The gradient is zero."""
    lines = evidence.gradients
    share = sum(line.zero for line in lines) / max(len(lines), 1)
    if share <= MAX_SHARE:
        return []
    skipped = "" if share < 1 else "; gradient attacks were therefore skipped in the diagnostics"
    return [f"the gradient of the loss is zero everywhere in {share:.0%} of the draws at {len(lines)} inputs{skipped}"]

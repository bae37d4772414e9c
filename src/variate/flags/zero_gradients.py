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
    if not lines:
        return _of_attacks(evidence)
    share = sum(line.zero for line in lines) / len(lines)
    if share <= MAX_SHARE:
        return []
    skipped = "" if share < 1 else "; gradient attacks were therefore skipped in the diagnostics"
    return [f"the gradient of the loss is zero everywhere in {share:.0%} of the draws at {len(lines)} inputs{skipped}"]


def _of_attacks(evidence: Evidence) -> list[str]:
    """Without measurements of the gradient itself, the gradients that the attacks met."""
    found = []
    for claim in evidence.attacked():
        examples = evidence.examples(claim).values()
        share = sum(example.flat for example in examples) / max(sum(example.backwards for example in examples), 1)
        if share > MAX_SHARE:
            found.append(f"{share:.0%} of the gradients that {claim.attack} followed were zero everywhere")
    return found

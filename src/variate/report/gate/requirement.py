"""One requirement, as a user writes it: ``survive-10>=40``, ``certified vote l2:0.5>=30`` or ``no flags``.

``[clean] WHAT [under ATTACK] [at BUDGET] [of NETWORK] >= NUMBER``, with ``>=``, ``>``, ``<=`` or ``<``. WHAT is a
deployment as tables print it, ``wrong`` or ``abstained`` and ``certified-R``, ``certified DEPLOYMENT BUDGET``, or a
metric, with or without a deployment after its name. Rates are in percent. Without ``clean`` a rate is one under attack,
and without ``under`` and ``at`` it must hold under every attack and budget in the table.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from variate import registry
from variate.errors import UsageError, unknown_name
from variate.inputs.budget import Budget
from variate.options import exact, parse
from variate.statistics.accepted import certified_radius
from variate.statistics.rates import Deployment

Kind = Literal["rate", "metric", "certified", "flags"]
FLAGS = {"no flags": "flags", "no warnings": "warnings"}
EXPECTED = (
    "DEPLOYMENT>=PERCENT such as survive-10>=40, with 'clean' before it, or 'under ATTACK', 'at BUDGET', 'of NETWORK' "
    "after it; 'certified vote l2:0.5>=30'; a metric such as mae<=0.5; 'no flags' or 'no warnings'"
)
COMPARED = re.compile(r"(?P<subject>.+?)\s*(?P<operator>>=|<=|>|<)\s*(?P<threshold>[^<>=]+)", re.S)
SUBJECT = re.compile(
    r"(?P<clean>clean\s+)?(?P<what>.+?)(?:\s+under\s+(?P<attack>.+?))?(?:\s+at\s+(?P<budget>.+?))?"
    r"(?:\s+of\s+(?P<network>.+))?",
    re.S,
)
METRIC = re.compile(r"(?P<metric>[\w-]+(?:\s*\([^)]*\))?)(?:\s+(?P<rule>\S+))?", re.S)
ANY = "any"  # the deployment of a deterministic network in tables


@dataclass(frozen=True)
class Requirement:
    """What must be measured, and how large it must be.

    Attributes:
        text: what the user wrote.
        kind: kind of the measurement.
        name: deployment or metric; ``flags`` or ``warnings``.
        rule: for a metric, how draws answer; None for any.
        clean: whether it speaks of clean inputs.
        attack, budget: those of the measurement; None for all.
        network: name of the network or of its group of seeds; None for all.
        at_least: whether large values are required (``>=``, ``>``).
        strict: whether the threshold itself is not enough (``>``, ``<``).
        threshold: in the unit of the measurement: rates in [0, 1].
    """

    text: str
    kind: Kind
    name: str
    rule: str | None = None
    clean: bool = False
    attack: str | None = None
    budget: str | None = None
    network: str | None = None
    at_least: bool = True
    strict: bool = False
    threshold: float = 0.0

    @classmethod
    def parse(cls, text: str | Requirement) -> Requirement:
        """Parse a requirement. Raises ``UsageError``."""
        if isinstance(text, Requirement):
            return text
        words = " ".join(str(text).split())
        flags, _, network = words.partition(" of ")
        if flags.replace("-", " ") in FLAGS:
            return cls(words, "flags", FLAGS[flags.replace("-", " ")], network=network or None)
        compared = COMPARED.fullmatch(words)
        subject = None if compared is None else SUBJECT.fullmatch(compared["subject"])
        if compared is None or subject is None:
            raise UsageError(f"{words!r:.200} is not a requirement", expected=EXPECTED)
        kind, name, rule, budget = _subject(subject["what"], words)
        if kind == "certified" and (subject["clean"] or subject["attack"] or subject["budget"]):
            raise UsageError(
                f"{words!r} names an attack, and a certificate holds against any",
                expected="certified DEPLOYMENT BUDGET>=PERCENT",
            )
        if subject["clean"] and (subject["attack"] or subject["budget"]):
            raise UsageError(f"{words!r} asks for clean inputs under an attack", expected=EXPECTED)
        if subject["attack"]:
            parse(subject["attack"], "an attack")
        budget = budget or subject["budget"]
        if budget:
            Budget.parse(budget)
        return cls(
            words,
            kind,
            name,
            rule,
            bool(subject["clean"]),
            subject["attack"],
            budget,
            subject["network"],
            compared["operator"].startswith(">"),
            "=" not in compared["operator"],
            _threshold(compared["threshold"], words, of_rate=kind != "metric"),
        )

    def held_by(self, low: float, high: float) -> bool:
        """Whether a value is enough, by the end of its interval that is nearer to the threshold."""
        distance = low - self.threshold if self.at_least else self.threshold - high
        return distance > 0 if self.strict else distance >= 0


def _subject(what: str, words: str) -> tuple[Kind, str, str | None, str | None]:
    """Kind, name, deployment of a metric, and budget of a certificate. Raises ``UsageError``."""
    first, _, rest = what.partition(" ")
    if first == "certified":
        deployment, _, budget = rest.rpartition(" ")
        if not deployment:
            raise UsageError(
                f"{words!r} does not say what is certified", expected="certified DEPLOYMENT BUDGET, such as vote l2:0.5"
            )
        return "certified", deployment, None, budget
    if first in ("right", "wrong", "abstained") and certified_radius(rest) is not None:
        return "rate", rest if first == "right" else what, None, None
    if what == ANY or certified_radius(what) is not None:
        return "rate", what, None, None
    metrics = list(registry.entries("metrics"))
    match = METRIC.fullmatch(what)
    if match is not None and parse(match["metric"], "a metric")[0] in metrics:
        rule = None if match["rule"] is None else str(Deployment.parse(match["rule"]))
        return "metric", match["metric"], rule, None
    beginning = re.match(r"(?:single$|(?:mean|majority|survive)-)", what)
    if beginning is None:
        deployments = ["single", "mean-16", "majority-16", "survive-10", "certified vote l2:0.5", *metrics]
        raise unknown_name("deployment or metric", what, deployments)
    return "rate", str(Deployment.parse(what)), None, None


def _threshold(text: str, words: str, *, of_rate: bool) -> float:
    """The threshold in the unit of the measurement. Raises ``UsageError``."""
    number = text.strip().removesuffix("%").strip()
    in_percent = text.strip().endswith("%")
    try:
        value = float(exact(number))
    except ValueError:
        raise UsageError(f"{text!r} in {words!r} is not a number", expected=EXPECTED) from None
    if not of_rate:
        return value / 100 if in_percent else value
    if not 0 <= value <= 100:
        raise UsageError(f"{words!r} can never be judged: rates are from 0 to 100 %", expected="a percentage")
    if 0 < value <= 1 and not in_percent:
        raise UsageError(
            f"{words!r} could mean {value:g} % or {100 * value:g} %",
            expected="a rate in percent",
            todo=f"write {100 * value:g}, or {value:g}%",
        )
    return value / 100

"""Figures as SVG text, drawn from records."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from variate.budget import Budget
from variate.lines import Claim, Scale
from variate.rates import survive_curve
from variate.record import Records
from variate.result import CLEAN, Row, rows_of

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # Okabe & Ito 2008
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "variate",  # the same records give the same file
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
}


def accuracy_against_size(records: Records) -> str | None:
    """Accuracy of one draw per query against the budget's size, with intervals; None without such records."""
    return _curves(records, "sizes", _size, "size of the budget", log=False)


def accuracy_against_draws(records: Records) -> str | None:
    """Accuracy of one draw per query against the draws that each query of the attack averaged over."""
    return _curves(
        records, "draws", lambda row: float(row.draws), "draws averaged in each step of the attack", log=True
    )


def survival(records: Records) -> str | None:
    """Accuracy against N, the answers to one input that must all be right; None without a random network."""
    shown = [(network, _least(records, network)) for network in records.networks]
    shown = [(network, claims) for network, claims in shown if claims]
    if not shown:
        return None
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.5, 4.2), layout="constrained")
        axes = figure.subplots()
        for network, claims in shown:
            for claim in claims:
                curve = survive_curve(records.answers(claim, "single"))
                style = "--" if claim.attack == CLEAN else "-"
                label = f"{network}, {claim.attack}"
                rates = [100 * rate.rate for rate in curve.values()]
                axes.plot(list(curve), rates, style, color=_color(records, network), label=label)
                if claim.attack != CLEAN:
                    low, high = ([100 * getattr(rate, end) for rate in curve.values()] for end in ("low", "high"))
                    axes.fill_between(list(curve), low, high, color=_color(records, network), alpha=0.15, linewidth=0)
        axes.set_xscale("log")
        axes.set_xticks([1, 2, 5, 10, 20, 50, 100], ["1", "2", "5", "10", "20", "50", "100"])
        axes.minorticks_off()
        axes.set_ylim(0, 101)
        axes.set_xlabel("answers to the same input, N")
        axes.set_ylabel("all N answers right, %")
        axes.legend(frameon=False)
        return _svg(figure)


def _least(records: Records, network: str) -> list[Claim]:
    """The clean claim of a random network, and that of the attack in the table that leaves the fewest right."""
    claims = [
        claim
        for claim in records.claims.values()
        if claim.network == network
        and claim.part == "table"
        and claim.verdict_draws > 1
        and records.examples.get(claim.id)
    ]
    attacked = [claim for claim in claims if claim.attack != CLEAN]
    if not attacked:
        return []
    worst = min(attacked, key=lambda claim: rows_of(records, claim)[0].rate)
    clean = [claim for claim in claims if claim.attack == CLEAN and claim.inputs == worst.inputs]
    return [*clean[:1], worst]


def learned_scales(records: Records) -> str | None:
    """The learned noise of every parameter relative to its own size: root mean square, and the range over elements."""
    networks = list(dict.fromkeys(scale.network for scale in records.scales))
    if not networks:
        return None
    parameters = list(dict.fromkeys(scale.parameter for scale in records.scales))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.5, 1.2 + 0.32 * len(parameters)), layout="constrained")
        axes = figure.subplots()
        for i, network in enumerate(networks):
            shift = (i - (len(networks) - 1) / 2) * 0.25
            color = _color(records, network)
            for scale in (s for s in records.scales if s.network == network):
                _bar(axes, scale, parameters.index(scale.parameter) + shift, color)
            axes.plot([], [], "o", color=color, label=network)
        axes.set_yticks(range(len(parameters)), parameters)
        axes.invert_yaxis()
        axes.set_xscale("log")
        axes.set_xlabel("standard deviation / size of the tensor (dot: root mean square; line: range over elements)")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.12), ncols=len(networks), frameon=False)
        return _svg(figure)


def _color(records: Records, network: str) -> str:
    """A network's color, the same in every figure."""
    return COLORS[list(records.networks).index(network) % len(COLORS)]


def _bar(axes: Any, scale: Scale, height: float, color: str) -> None:
    size = scale.mean_rms
    axes.plot([max(scale.std_min / size, 1e-6), scale.std_max / size], [height, height], color=color, alpha=0.5)
    axes.plot(scale.std_rms / size, height, "o", color=color, markersize=5)


def _size(row: Row) -> float:
    return Budget.parse(row.budget).eps if row.budget else 0.0


def _curves(records: Records, part: str, at: Callable[[Row], float], label: str, *, log: bool) -> str | None:
    """One line per network over the claims of a part, its interval shaded."""
    claims = [claim for claim in records.claims.values() if claim.part == part and records.examples.get(claim.id)]
    rows = [rows_of(records, claim)[0] for claim in claims if claim.budget]
    if not rows:
        return None
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.5, 4.2), layout="constrained")
        axes = figure.subplots()
        for network in records.networks:
            points = sorted({at(row): row for row in rows if row.network == network}.items())
            if points:
                _line(axes, points, network, _color(records, network))
        if log:
            axes.set_xscale("log")
            ticks = sorted({at(row) for row in rows})
            axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
            axes.minorticks_off()
        axes.set_ylim(0, 101)
        axes.set_xlabel(f"{label} ({Budget.parse(rows[0].budget or '').norm})" if not log else label)
        axes.set_ylabel("right answers, % (one draw per query)")
        axes.legend(frameon=False)
        return _svg(figure)


def _line(axes: Any, points: Sequence[tuple[float, Row]], label: str, color: str) -> None:
    x = [position for position, _ in points]
    axes.plot(x, [100 * row.rate for _, row in points], "o-", color=color, label=label, markersize=4)
    low, high = [100 * row.low for _, row in points], [100 * row.high for _, row in points]
    axes.fill_between(x, low, high, color=color, alpha=0.15, linewidth=0)


def _svg(figure: Figure) -> str:
    """The figure as an SVG element, without the XML header that HTML has no use for."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]

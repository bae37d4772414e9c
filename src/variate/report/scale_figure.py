"""Figure of the learned scales, one bar per parameter and network."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from variate.records.schema import Scale
from variate.report.plot import LEFT, RIGHT, WIDTH, colored, legend, mark, rule, svg, text, with_tooltip
from variate.report.sheet import ReportTable, TableCell

LEAST = 1e-6  # smaller ratios are drawn at the left end
EDGE = 22.0  # left and right margin
STEP, GAP = 13.0, 24.0  # height of a bar, and of a parameter's name with its margins


def learned_scales(scales: Sequence[Scale], colors: Mapping[str, int], *, name: str) -> tuple[str, ReportTable]:
    """Standard deviations relative to the size of their tensor: root mean square, and range over elements.

    Args:
        scales: scales of one or more networks.
        colors: index of each network's color.
        name: accessible name of the figure.
    """
    shares = [scale.std_min / scale.mean_rms for scale in scales] + [scale.std_max / scale.mean_rms for scale in scales]
    start, end = (math.log10(max(share, LEAST)) for share in (min(shares), max(shares)))
    first, last = math.floor(start), max(math.ceil(end), math.floor(start) + 1)

    def x_at(share: float) -> float:
        return EDGE + (WIDTH - 2 * EDGE) * (math.log10(max(share, LEAST)) - first) / (last - first)

    parts, y = [], 6.0
    for parameter in dict.fromkeys(scale.parameter for scale in scales):
        ours = [scale for scale in scales if scale.parameter == parameter]
        parts.append(text(EDGE, y + 11, parameter))
        for i, scale in enumerate(ours):
            color = colors[scale.network]
            parts.append(colored(color, _bar(scale, x_at, y + GAP + STEP * i, color)))
        y += GAP + STEP * len(ours)
    decades = [10.0**power for power in range(first, last + 1)]
    grid = [rule(f"M{x_at(share):.1f} 4V{y + 4:g}") for share in decades]
    grid += [text(x_at(share), y + 18, f"{share:g}", anchor="middle") for share in decades]
    grid.append(text((LEFT + WIDTH - RIGHT) / 2, y + 38, "standard deviation / size of the tensor", anchor="middle"))
    names, height = legend([(network, color, False) for network, color in colors.items()], y + 50)
    return svg([*grid, *parts, names], name=name, height=height), _numbers(scales)


def _bar(scale: Scale, x_at: Callable[[float], float], y: float, color: int) -> str:
    low, middle, high = (x_at(std / scale.mean_rms) for std in (scale.std_min, scale.std_rms, scale.std_max))
    line = f'<path d="M{low:.1f} {y:g}H{high:.1f}" stroke="currentColor" stroke-width="3" stroke-opacity=".45"/>'
    return with_tooltip(f"{scale.network}, {scale.parameter}\n{_in_words(scale)}", line + mark(middle, y, color))


def _in_words(scale: Scale) -> str:
    shares = [std / scale.mean_rms for std in (scale.std_rms, scale.std_min, scale.std_max)]
    return "{:.3g} [{:.3g}, {:.3g}] of the tensor's size".format(*shares)


def _numbers(scales: Sequence[Scale]) -> ReportTable:
    lines = []
    for scale in scales:
        ratio = scale.std_rms / scale.mean_rms
        ends = f"{scale.std_min / scale.mean_rms:.3g} to {scale.std_max / scale.mean_rms:.3g}"
        lines.append(
            [
                TableCell(scale.network),
                TableCell(scale.parameter),
                TableCell(str(scale.elements), value=scale.elements),
                TableCell(f"{ratio:.3g}", ends, ratio),
            ]
        )
    heads = (("network",), ("parameter",), ("elements",), ("std / size",))
    return ReportTable(heads, lines, words=2)

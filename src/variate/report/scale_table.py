"""Table of the learned noise of every parameter of a study."""

from __future__ import annotations

from variate.records.file import Records
from variate.records.schema import Scale


def scale_table(records: Records) -> str:
    """Markdown table of RMS noise / RMS mean by network, over all parameters and for each parameter.

    Seeds of one network share a line, the root mean square over them.
    """
    groups: dict[str, list[Scale]] = {}
    for scale in records.scales:
        described = records.networks.get(scale.network)
        groups.setdefault((described.group if described else None) or scale.network, []).append(scale)
    parameters = list(dict.fromkeys(scale.parameter for scale in records.scales))
    lines = [["network", "all", *parameters], [":--", *["--:"] * (len(parameters) + 1)]]
    for name, scales in groups.items():
        own = [[scale for scale in scales if scale.parameter == parameter] for parameter in parameters]
        lines.append([name, _ratio(scales), *map(_ratio, own)])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _ratio(scales: list[Scale]) -> str:
    noise = sum(scale.elements * scale.std_rms**2 for scale in scales)
    means = sum(scale.elements * scale.mean_rms**2 for scale in scales)
    return f"{(noise / means) ** 0.5:.2f}" if means else "-"

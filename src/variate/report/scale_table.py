"""Where in the networks of a study the randomness ended up."""

from __future__ import annotations

from variate.records.file import Records
from variate.records.schema import Scale


def scale_table(records: Records) -> str:
    """Markdown: by network, the root mean square of the noise over that of the means, of all and of each parameter.

    Networks of several seeds are one line, the root mean square over them.
    """
    found: dict[str, list[Scale]] = {}
    for scale in records.scales:
        described = records.networks.get(scale.network)
        found.setdefault((described.group if described else None) or scale.network, []).append(scale)
    parameters = list(dict.fromkeys(scale.parameter for scale in records.scales))
    lines = [["network", "all", *parameters], [":--", *["--:"] * (len(parameters) + 1)]]
    for name, scales in found.items():
        own = [[scale for scale in scales if scale.parameter == parameter] for parameter in parameters]
        lines.append([name, _ratio(scales), *map(_ratio, own)])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _ratio(scales: list[Scale]) -> str:
    noise = sum(scale.elements * scale.std_rms**2 for scale in scales)
    means = sum(scale.elements * scale.mean_rms**2 for scale in scales)
    return f"{(noise / means) ** 0.5:.2f}" if means else "-"

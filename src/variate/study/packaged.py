"""The studies that come with Variate: one TOML file each, listed without importing anything heavy."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent / "studies"


def packaged_studies() -> list[str]:
    """The names of the studies that come with Variate."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))

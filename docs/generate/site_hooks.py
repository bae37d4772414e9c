"""Hooks of the site's build: the reports of the gallery are computed from their records and become files of the site."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))  # mkdocs loads this file by its path, outside its package


def on_files(files: Any, config: Any) -> Any:
    """Add ``gallery/NAME.html`` for every report of the gallery."""
    from docs.generate.gallery_reports import REPORTS, page_of
    from mkdocs.structure.files import File

    for name in REPORTS:
        files.append(File.generated(config, f"gallery/{name}.html", content=page_of(name)))
    return files

"""Hooks of the site's build: the reports of the gallery are computed from their records, as files of the site.

mkdocs finds the package ``docs`` if it runs as ``python -m mkdocs`` in the root of the repository.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from docs.generate.gallery_reports import REPORTS, page_of
from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add ``gallery/NAME.html`` for every report of the gallery."""
    for name in REPORTS:
        files.append(File.generated(config, f"gallery/{name}.html", content=page_of(name)))
    return files

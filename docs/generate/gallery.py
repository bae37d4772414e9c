"""The reports of the gallery, computed from the committed records of the studies, and their pictures.

``python -m docs.generate.gallery`` photographs each report in Chromium for the pages. The reports themselves are not
committed: building the site computes them again (``docs/generate/site_hooks.py``).
"""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from pathlib import Path

from docs.generate.gallery_reports import DOCS, REPORTS, page_of
from PIL import Image
from playwright.sync_api import sync_playwright

IMAGES = DOCS / "images"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WIDTH, HEIGHT = 1180, 700  # of a picture, in CSS pixels
COLORS = 48  # of a picture's palette


def photograph(pages: dict[str, str], folder: Path) -> None:
    """Write a picture of the first screen of each page, as a small PNG file of its name.

    Args:
        pages: HTML by name.
        folder: where the pictures are written.
    """
    found = next(filter(None, map(shutil.which, BROWSERS)))
    flags = ["--disable-gpu", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as made:
        browser = playwright.chromium.launch(executable_path=found, args=flags)
        for name, text in pages.items():
            path = Path(made) / f"{name}.html"
            path.write_text(text, encoding="utf-8")
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
            page.goto(path.as_uri())
            picture = Image.open(io.BytesIO(page.screenshot()))
            picture.convert("RGB").quantize(COLORS, dither=Image.Dither.NONE).save(
                folder / f"{name}.png", optimize=True
            )
            page.close()
        browser.close()


if __name__ == "__main__":
    photograph({f"report-{name}": page_of(name) for name in REPORTS}, IMAGES)

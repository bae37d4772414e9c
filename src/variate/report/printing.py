"""A page as PDF, printed by an installed Chromium."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from variate.errors import UsageError, VariateError

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
MAC = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
FLAGS = (
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-pdf-header-footer",
)
SECONDS = 120


def browser() -> str:
    """The program that prints. Raises ``UsageError`` where there is none."""
    found = next((path for path in map(shutil.which, (*BROWSERS, MAC)) if path), None)
    if found is None:
        raise UsageError(
            "there is no Chromium to print the page with",
            expected=f"one of {', '.join(BROWSERS)} on the PATH",
            todo="install it (Debian: apt install chromium), or open the page and print it from any browser",
        )
    return found


def print_page(page: str | Path, path: str | Path) -> Path:
    """Print a page to a PDF file.

    Raises:
        UsageError: if no Chromium is installed.
        VariateError: if it does not print.
    """
    page, path = Path(page), Path(path)
    program = browser()
    with tempfile.TemporaryDirectory() as profile:
        command = [program, *FLAGS, f"--user-data-dir={profile}", f"--print-to-pdf={path.resolve()}"]
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            command.append("--no-sandbox")  # Chromium has none for the superuser
        try:
            done = subprocess.run(  # noqa: S603
                [*command, page.resolve().as_uri()], capture_output=True, text=True, timeout=SECONDS, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise VariateError(f"{program} did not print {page} within {SECONDS} s") from error
    if done.returncode or not path.is_file():
        last = done.stderr.strip().splitlines()[-1:]
        raise VariateError(f"{program} could not print {page}", findings=last, todo="open the page and print it")
    return path

"""What the pages of the documents show: their blocks and their commands."""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parent.parent
SHELLS = ("", "sh", "bash", "console")
WRITTEN = [  # by hand or from the entries; pages of results name the commands of their records
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *(page for page in sorted(ROOT.glob("docs/**/*.md")) if "results" not in page.parts),
]


def blocks(page: Path, *languages: str) -> list[str]:
    """The blocks of some languages, in order."""
    found = re.findall(r"^```([\w-]*)[^\n]*\n(.*?)^```", page.read_text(encoding="utf-8"), re.S | re.M)
    return [text for language, text in found if language in languages]


def pasted(page: Path) -> list[tuple[str, str]]:
    """The blocks that a reader pastes, in order: Python and shell; blocks without a language are what was printed."""
    found = re.findall(r"^```([\w-]*)[^\n]*\n(.*?)^```", page.read_text(encoding="utf-8"), re.S | re.M)
    return [(language, text) for language, text in found if language in ("python", "sh", "bash")]


def commands(page: Path) -> list[list[str]]:
    """The words of the ``variate`` commands of a page's shell blocks; what follows a # or a > is left out."""
    lines = "".join(blocks(page, *SHELLS)).replace("\\\n", " ").splitlines()
    typed = [line.removeprefix("$ ").partition(" > ")[0] for line in lines]
    return [shlex.split(line, comments=True) for line in typed if line.startswith("variate ")]


def named(page: Path) -> list[list[str]]:
    """The words of the ``variate`` commands that stand in a page's running text."""
    prose = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    return [shlex.split(text.replace("\n", " ")) for text in re.findall(r"`(variate [^`]+)`", prose)]

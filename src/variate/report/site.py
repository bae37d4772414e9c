"""Every page of the site that is made from the entries: lists of attacks and defenses, each entry in full, each flag.

python -m variate.report.site docs
"""

from __future__ import annotations

import sys
from pathlib import Path

from variate.report.attack_page import attack_page
from variate.report.defense_page import defense_page
from variate.report.entry_pages import TITLES, entry_page
from variate.report.entry_text import ours
from variate.report.flag_pages import flag_index, flag_page


def pages() -> dict[str, str]:
    """The pages in Markdown, by their place under the folder of documents."""
    made = {"attacks.md": attack_page(), "defenses.md": defense_page(), "flags/README.md": flag_index()}
    made |= {f"entries/{kind}.md": entry_page(kind) for kind in TITLES}
    return made | {f"flags/{flag.name}.md": flag_page(flag) for flag in ours("flags")}


def write(folder: Path) -> None:
    """Write the pages under the folder of documents."""
    for place, text in pages().items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))

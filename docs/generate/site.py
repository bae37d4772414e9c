"""Write all generated pages: attacks, defenses, metrics, every entry, every flag, the command line.

Run ``python -m docs.generate.site`` in the root of the repository.
"""

from __future__ import annotations

from pathlib import Path

from docs.generate.attack_page import attack_page
from docs.generate.brought_table import page_with_networks
from docs.generate.cli_reference import reference
from docs.generate.defense_page import defense_page
from docs.generate.entry_pages import TITLES, entry_page
from docs.generate.entry_text import ours
from docs.generate.flag_pages import flag_index, flag_page
from docs.generate.metric_page import metric_page
from docs.generate.suite_table import page_with_suites


def pages() -> dict[str, str]:
    """The pages in Markdown, by their path under ``docs``."""
    generated = {"cli.md": reference(), "attacks.md": attack_page(), "defenses.md": defense_page()}
    generated |= {"flags/README.md": flag_index(), "evaluate.md": page_with_suites()}
    generated |= {"your-own-network.md": page_with_networks(), "metrics.md": metric_page()}
    generated |= {f"entries/{kind}.md": entry_page(kind) for kind in TITLES}
    return generated | {f"flags/{flag.name}.md": flag_page(flag) for flag in ours("flags")}


def write(folder: Path) -> None:
    """Write the pages under ``folder``."""
    for path, text in pages().items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(__file__).parent.parent)

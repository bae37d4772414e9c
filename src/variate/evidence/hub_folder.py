"""The inputs of an evidence file as a folder that the Hugging Face library ``datasets`` loads and the Hub shows."""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

from numpy.typing import NDArray

from variate.datasets.parts.npz import arrays_of
from variate.errors import DataError, UsageError
from variate.evidence.manifest import Manifest, unpacked
from variate.evidence.readme import escaped
from variate.files.reading import check_folder, replace, replace_text
from variate.optional import imported

EXTRA = "datasets"
FREE = "choose another folder, or free disk space"


def write_hub_folder(evidence: str | Path, folder: str | Path) -> list[str]:
    """Write the inputs of an evidence file as a dataset repository for ``datasets.load_dataset(folder, NAME)``.

    Every attack and the original inputs are one data set, in a ``.parquet`` file with the columns ``x`` and ``y``; row
    i of each belongs to original i. The card of the folder names them, with attack, budget and deployment.

    Args:
        evidence: archive that ``write_evidence`` wrote; its hashes are checked.
        folder: folder to write, new or empty.

    Returns:
        The names of the data sets, the originals first.

    Raises:
        DataError: for a file that is no evidence file, is damaged, or was changed; and if the folder cannot be written.
        UsageError: if the folder has files in it, or ``datasets`` is not installed.
    """
    target = Path(folder)
    library = library_for(target)
    with tempfile.TemporaryDirectory() as unpacking:
        manifest, wrong = unpacked(Path(evidence), Path(unpacking))
        if wrong:
            raise DataError(f"{evidence} is not what was written", findings=wrong)
        members = [*manifest.originals, *(stored.member for stored in manifest.stored)]
        for member in members:
            table = _table(library, *arrays_of(Path(unpacking) / member))
            replace(target / "data" / f"{Path(member).stem}.parquet", table.to_parquet, DataError, todo=FREE)
    names = [Path(member).stem for member in members]
    card = _card(manifest, names)
    replace_text(target / "README.md", card, DataError, todo=FREE)
    return names


def library_for(folder: Path) -> ModuleType:
    """Return the library that writes into a folder. Raises ``UsageError`` if it is missing or the folder is in use."""
    check_folder(folder)
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} is there already", expected="a new or empty folder for the inputs")
    return imported("datasets", EXTRA)


def _table(library: ModuleType, x: NDArray[Any], y: NDArray[Any]) -> Any:
    columns = {"x": x, "y": y}
    features = {name: _feature(library, array.shape[1:], str(array.dtype)) for name, array in columns.items()}
    return library.Dataset.from_dict({name: list(array) for name, array in columns.items()}, library.Features(features))


def _feature(library: ModuleType, shape: tuple[int, ...], dtype: str) -> Any:
    """The feature of a value, or of an array as nested lists of fixed lengths."""
    if not shape:
        return library.Value(dtype)
    return library.List(_feature(library, shape[1:], dtype), length=shape[0])


def _card(manifest: Manifest, names: list[str]) -> str:
    """The card: which files there are, for the library, and what they are, for the reader."""
    lines = ["---", "configs:"]
    for number, name in enumerate(names):
        lines += [f"- config_name: {name}", f"  data_files: data/{name}.parquet"]
        lines += ["  default: true"] * (number == 0)
    lines += [
        "---",
        "",
        f"# Inputs of the evidence for `{escaped(manifest.network)}`",
        "",
        "Original inputs and the adversarial inputs that attacks found for the network, in the same order, with labels",
        "in `y`. The evidence file that this folder was made of has rates, intervals and seeds, and `variate verify`",
        "judges it again.",
        "",
        "| data set | attack | budget | deployment | originals |",
        "| :-- | :-- | :-- | :-- | :-- |",
    ]
    lines += [f"| `{name}` | none (original inputs) | - | - | `{name}` |" for name in names[: len(manifest.originals)]]
    for name, stored in zip(names[len(manifest.originals) :], manifest.stored, strict=True):
        found = " | ".join(map(escaped, (stored.attack, stored.budget, stored.deployment)))
        lines.append(f"| `{name}` | {found} | `{Path(stored.originals).stem}` |")
    return "\n".join(lines) + "\n"

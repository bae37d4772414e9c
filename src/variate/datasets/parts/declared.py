"""The user's declaration of a table, in a TOML file of the same name beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from variate.errors import DataError
from variate.files.toml import findings_of, read_toml
from variate.inputs.budget import Change


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Feature(_Strict):
    """The declaration of one feature; anything omitted is inferred from the training split."""

    low: float | None = None
    high: float | None = None
    step: float | None = Field(default=None, ge=0)  # 0: any value, even if all values happen to be whole
    unit: str = ""
    immutable: bool = False
    categorical: bool = False
    categories: tuple[str, ...] = ()
    cost: float = Field(default=1.0, gt=0, le=1)
    change: Change = "both"
    sum_of: tuple[str, ...] = ()
    ratio_of: tuple[str, ...] = ()
    at_most: str = ""

    @property
    def sources(self) -> tuple[str, ...]:
        """The features that this one is computed from."""
        return self.sum_of or self.ratio_of


class Declaration(_Strict):
    """The declaration of a table."""

    label: str | Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    task: str = ""
    split: str | None = None
    budget: str | None = None
    delimiter: str | None = Field(default=None, min_length=1, max_length=1)
    drop: tuple[str, ...] = ()
    features: dict[str, Feature] = {}

    def label_columns(self, names: Sequence[str]) -> tuple[str, ...]:
        """The columns of the labels of a table with columns of these names; by default the last."""
        if self.label is None:
            return (names[-1],)
        return (self.label,) if isinstance(self.label, str) else self.label


def declaration_beside(path: Path) -> Declaration:
    """Read ``NAME.toml`` beside ``NAME.csv`` or ``NAME.csv.gz``; empty if there is none. Raises ``DataError``."""
    toml = toml_of(path)
    if not toml.is_file():
        return Declaration()
    try:
        return Declaration.model_validate(read_toml(toml, DataError))
    except ValidationError as error:
        raise DataError(
            f"{toml} is not a valid declaration of a table",
            findings=findings_of(error, Declaration),
            expected=f"the keys {', '.join(Declaration.model_fields)}; for a feature {', '.join(Feature.model_fields)}",
        ) from error


def toml_of(path: Path) -> Path:
    """The path of the declaration of a table."""
    return path.with_name(path.name.removesuffix(".gz")).with_suffix(".toml")

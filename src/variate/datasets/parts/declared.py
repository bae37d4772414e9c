"""What a user declares of a table, in a TOML file of the same name beside it."""

from __future__ import annotations

import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from variate.errors import DataError


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Feature(_Strict):
    """One feature: what is left out is read from the training split."""

    low: float | None = None
    high: float | None = None
    step: float | None = Field(default=None, ge=0)  # 0: any value, though all that there are happen to be whole
    unit: str = ""
    immutable: bool = False
    categorical: bool = False
    categories: tuple[str, ...] = ()
    cost: float = Field(default=1.0, gt=0, le=1)


class Declaration(_Strict):
    """A whole table."""

    label: str | None = None
    split: str | None = None
    budget: str | None = None
    delimiter: str | None = Field(default=None, min_length=1, max_length=1)
    drop: tuple[str, ...] = ()
    features: dict[str, Feature] = {}


def declaration_beside(path: Path) -> Declaration:
    """What stands in ``NAME.toml`` beside ``NAME.csv`` or ``NAME.csv.gz``. Raises ``DataError``."""
    beside = toml_of(path)
    if not beside.is_file():
        return Declaration()
    try:
        return Declaration.model_validate(tomllib.loads(beside.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{beside} is not a TOML file: {error}") from error
    except ValidationError as error:
        raise DataError(
            f"{beside} does not declare a table",
            findings=[f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()],
            expected=f"{', '.join(Declaration.model_fields)}; of a feature {', '.join(Feature.model_fields)}",
        ) from error


def toml_of(path: Path) -> Path:
    """Where the declaration of a table stands."""
    return path.with_name(path.name.removesuffix(".gz")).with_suffix(".toml")

"""Optional libraries: imported where they are needed, or an error that says how to install them."""

from __future__ import annotations

import importlib
import warnings
from types import ModuleType

from variate.errors import UsageError


def imported(name: str, extra: str) -> ModuleType:
    """A library's module, or a ``UsageError`` that says how to install it.

    Args:
        name: of the module.
        extra: of this package that installs the library.
    """
    todo, top = f"pip install 'variate[{extra}]'", name.partition(".")[0]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what the library itself imports
            importlib.import_module(top)
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name == top:
            raise UsageError(f"{extra} needs a library that is not installed", todo=todo) from error
        raise UsageError(f"{extra} cannot be imported: {error}", todo=todo) from error
    except ImportError as error:  # such as a program that it looks for
        raise UsageError(f"{extra} cannot be imported: {error}", todo=todo) from error

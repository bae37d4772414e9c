"""Import optional libraries where they are needed; if one is missing, say how to install it."""

from __future__ import annotations

import importlib
import warnings
from types import ModuleType

from variate.errors import UsageError


def imported(name: str, extra: str) -> ModuleType:
    """Import a module of an optional library.

    Args:
        name: full name of the module.
        extra: the extra of this package that installs the library.

    Raises:
        UsageError: if the library is missing or cannot be imported; it says how to install it.
    """
    todo, top = f"pip install 'variate[{extra}]'", name.partition(".")[0]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # raised by the library's own imports
            importlib.import_module(top)
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name == top:
            raise UsageError(f"{extra} needs a library that is not installed", todo=todo) from error
        raise UsageError(f"{extra} cannot be imported: {error}", todo=todo) from error
    except ImportError as error:  # the library is there but something it needs is not
        raise UsageError(f"{extra} cannot be imported: {error}", todo=todo) from error

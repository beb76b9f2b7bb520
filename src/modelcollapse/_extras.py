"""Optional packages: imported when needed, and if missing, the extra that brings them is named."""

import importlib

__all__ = ["require"]


def require(module, extra):
    """Import an optional module. Raises ImportError with the command that installs it.

    >>> require("math", extra="plots").pi > 3
    True
    >>> require("no_such_package", extra="plots")
    Traceback (most recent call last):
        ...
    ImportError: this needs no_such_package; install it with: pip install 'modelcollapse[plots]'
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.split(".")[0]
        raise ImportError(f"this needs {package}; install it with: pip install 'modelcollapse[{extra}]'") from error

"""Names of a package that are loaded when they are first used (SPEC 1): one mechanism for every `__init__`."""

import importlib

__all__ = ["attach"]


def attach(package, table, modules=()):
    """`__getattr__`, `__dir__` and `__all__` of a package.

    package : its `__name__`
    table : public name -> the module that holds it; these are `__all__`
    modules : name of a part of the package that is an attribute too -> its module

    An unknown name raises AttributeError with the nearest known ones.

    >>> getattr_, dir_, all_ = attach("modelcollapse", {"pi": "math"}, {"chance": "random"})
    >>> getattr_("pi") > 3, getattr_("chance").__name__, dir_(), all_
    (True, 'random', ['chance', 'pi'], ['pi'])
    >>> getattr_("pie")
    Traceback (most recent call last):
        ...
    AttributeError: module 'modelcollapse' has no attribute 'pie'; did you mean pi?
    """
    modules = dict(modules)
    known = sorted({*table, *modules})

    def __getattr__(name):
        if name in table:
            return getattr(importlib.import_module(table[name]), name)
        if name in modules:
            return importlib.import_module(modules[name])
        raise AttributeError(_unknown(package, name, known))

    return __getattr__, lambda: list(known), sorted(table)


def _unknown(package, name, known):
    message = f"module {package!r} has no attribute {name!r}"
    if name.startswith("_"):  # asked for by machines, often
        return message
    import difflib

    close = difflib.get_close_matches(name, known)
    return f"{message}; did you mean {' or '.join(close)}?" if close else message

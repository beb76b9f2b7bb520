"""The catalogue: every closed form of the theory, by name.

One module per topic; each lists its records in `FORMULAS`, and `contents` has their names. A topic is imported, and its
records check themselves, when one of them is asked for: all together take SymPy two seconds. The mapping is read-only.

>>> from modelcollapse.theory import catalogue
>>> catalogue["clean_error"].regime
'proportional limit'
>>> round(float(catalogue["label_mixing_best_share"].evaluate()), 3)
0.618
>>> all(formula.name == name for name, formula in catalogue.items())
True
"""

import functools
from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module

from modelcollapse.theory.records.contents import TOPICS


class _Catalogue(Mapping):
    """Records by name; a name that is not there is answered with the nearest ones."""

    def __init__(self):
        self._topics = {name: topic for topic, names in TOPICS.items() for name in names.split()}

    def __getitem__(self, name):
        if name not in self._topics:
            close = get_close_matches(str(name), self) or sorted(self)
            raise KeyError(f"there is no formula {name!r}; there is {', '.join(close)}")
        return _records(self._topics[name])[name]

    def __iter__(self):
        return iter(self._topics)

    def __len__(self):
        return len(self._topics)

    def __contains__(self, name):
        return name in self._topics

    def __repr__(self):
        return f"<catalogue of {len(self)} formulas: {', '.join(self)}>"


@functools.cache
def _records(topic):
    found = {formula.name: formula for formula in import_module(f"{__name__}.{topic}").FORMULAS}
    if list(found) != TOPICS[topic].split():
        raise ValueError(f"{topic} has the records {', '.join(found)}; write these in theory/records/contents.py")
    return found


catalogue = _Catalogue()

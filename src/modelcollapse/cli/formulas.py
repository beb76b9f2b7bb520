"""The catalogue of closed forms: list them, show one, evaluate it."""

import argparse
import json

HELP = "the closed forms: list, show, evaluate"
EXAMPLE = """  modelcollapse formulas
  modelcollapse formulas least_squares_chain --set T=1000 T0=600 d=100 sigma=1 sigma0=1 n=3
  modelcollapse formulas least_squares_chain --latex"""


def options(parser):
    parser.add_argument("name", nargs="?", metavar="NAME", help="one formula; without it, all are listed")
    parser.add_argument(
        "--set",
        nargs="+",
        type=_assignment,
        default=[],
        metavar="NAME=VALUE",
        help="evaluate at these values; a comma list is an array",
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--latex", action="store_true", help="LaTeX only")
    how.add_argument("--json", action="store_true", help="as JSON")


def _assignment(text):
    name, equals, value = text.partition("=")
    try:
        numbers = [_number(part) for part in value.split(",")]
    except ValueError:
        numbers = []
    if not equals or not name.strip() or not numbers:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=NUMBER or NAME=NUMBER,NUMBER,...")
    return name.strip(), numbers if len(numbers) > 1 else numbers[0]


def _number(text):
    try:
        return int(text)
    except ValueError:
        return float(text)


def run(arguments):
    from modelcollapse.theory.records import catalogue

    if arguments.name is None:
        if arguments.set:
            raise ValueError("--set needs the NAME of a formula")
        _list(catalogue, arguments)
        return
    try:
        formula = catalogue[arguments.name]
    except KeyError as error:
        raise ValueError(error.args[0]) from None
    value = formula.evaluate(**dict(arguments.set)) if arguments.set else None
    if arguments.json:
        print(json.dumps(_record(formula) | ({} if value is None else {"value": str(value)}), indent=1))
    elif arguments.latex:
        print(formula.latex())
    elif value is not None:
        print(value)
    else:
        _show(formula)


def _list(catalogue, arguments):
    if arguments.json:
        print(json.dumps([_record(formula) for formula in catalogue.values()], indent=1))
        return
    width = max(map(len, catalogue))
    for name, formula in catalogue.items():
        print(f"{name.ljust(width)}  {formula.latex() if arguments.latex else formula.title}")


def _record(formula):
    return {
        "name": formula.name,
        "title": formula.title,
        "expression": str(formula.expression),
        "latex": formula.latex(),
        "regime": formula.regime,
        "source": formula.source,
        "arguments": {q.name: {"letter": q.letter, "domain": str(q.domain)} for q in formula.quantities},
        "conditions": [{"relation": str(c.relation), "because": c.sentence} for c in formula.conditions],
    }


def _show(formula):
    print(f"{formula.name}: {formula.title}\n\n  {formula.latex()}\n")
    width = max((len(q.name) for q in formula.quantities), default=0)
    for q in formula.quantities:
        print(f"  {q.name.ljust(width)}  {q.letter}, in {q.domain}")
    for condition in formula.conditions:
        print(f"  where {condition.relation}: {condition.sentence}")
    print(f"\nregime: {formula.regime}\nsource: {formula.source}")
    if formula.derivation:
        print(f"\n{formula.derivation.strip()}")

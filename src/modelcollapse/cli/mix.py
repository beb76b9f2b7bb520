"""Real and synthetic rows in one table: what to do with the synthetic ones, on one page.

Which ridge, which weight for a synthetic row, drop or keep, what a synthetic row is worth in real ones, how many more
real rows save a share of the error, and whether the labels are collapsing, each with an interval. Every column of the
table but --target and --origin is a feature and must hold numbers. The page says how to fit the mix in Python.
"""

from modelcollapse.cli import _options, _output

HELP = "weights, worth and ridge of real and synthetic rows in a CSV"
EXAMPLE = """  modelcollapse mix --data marked.csv --target y --origin written_by
  modelcollapse mix --data marked.csv --target y --origin written_by --kernel rbf --plot mix.png"""


def options(parser):
    group = parser.add_argument_group("the table")
    add = group.add_argument
    add("--data", required=True, metavar="FILE", help="a CSV with names of columns in its first row")
    add("--target", required=True, metavar="NAME", help="the column of the labels, numbers or classes")
    add("--origin", required=True, metavar="NAME", help="the column that says who wrote each label")
    add("--real", default="real", metavar="VALUE", help="what that column holds for real rows (default: %(default)s)")
    group = parser.add_argument_group("the fit")
    add = group.add_argument
    add("--task", choices=("auto", "regression", "classification"), default="auto",
        help="auto: classes where the target is text or has two values")  # fmt: skip
    add("--kernel", default="linear", metavar="NAME", help="a scikit-learn kernel (default: %(default)s)")
    add("--gamma", type=_options.within("POSITIVE"), help="of the kernel (default: 1 / features)")
    add("--gain", type=_options.within("SHARE"), default=0.1, metavar="SHARE",
        help="share of the excess error that more real rows are to save (default: %(default)s)")  # fmt: skip
    _options.output(parser)


def run(arguments):
    import numpy as np

    from modelcollapse._extras import require
    from modelcollapse.validation.training.csv_tables import read_table

    advice = require("modelcollapse.estimators.advice", extra="estimator")
    numeric = require("modelcollapse.estimators.advice_columns", extra="estimator").numeric
    table = read_table(arguments.data)
    target, origin = table.index(arguments.target), table.index(arguments.origin)
    if target == origin:
        raise ValueError(f"--target and --origin are both {arguments.target!r}; name two columns")
    columns = [j for j in range(table.width) if j not in (target, origin)]
    if not columns:
        raise ValueError(f"{arguments.data} has no column beside --target and --origin; give at least one feature")
    names = [table.names[j] if table.names else j for j in columns]
    cells = np.array([[row[j] for j in columns] for row in table.cells], dtype=object)
    cells[np.isin(cells, ["", "NA", "NaN", "nan", "null", "?"])] = None
    inputs = numeric(cells, names)
    labels = table.text(target)
    try:
        labels = [float(label) for label in labels]
    except ValueError:
        if arguments.task == "regression":
            raise ValueError(f"--target {arguments.target} holds text; use --task classification") from None
    with _output.progress("jackknife") as report:
        found = advice.advise(
            inputs, labels, table.text(origin), real=arguments.real, task=arguments.task, kernel=arguments.kernel,
            gamma=arguments.gamma, gain=arguments.gain, progress=report,
        )  # fmt: skip
    print(found)
    if arguments.output:
        _output.report(_rows(found), arguments)
    if arguments.plot:
        _output.save_picture(found.plot(), arguments.plot)


def _rows(found):
    """One row per answer."""
    answers = {("ridge", ""): found.ridge, ("worth", ""): found.worth, ("more real rows", ""): found.more_rows}
    answers |= {("weight", str(mark)): answer for mark, answer in found.weights.items()}
    answers |= {("error of labels", str(mark)): answer for mark, answer in found.label_errors.items()}
    return [{"answer": name, "origin": mark, **answer._asdict()} for (name, mark), answer in answers.items()]

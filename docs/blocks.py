"""Run every block of a page, in order, in one folder and one namespace, as a reader would.

`python docs/blocks.py` runs the pages that show pictures their own blocks draw, and puts these into docs/images. The
tests run all pages.
"""

import contextlib
import doctest
import os
import re
import shlex
import shutil
import tempfile
from pathlib import Path

import numpy as np

from modelcollapse import cli

DOCS = Path(__file__).parent
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.S | re.M)
DRAWN = re.compile(r"(?:savefig\(|--plot )\"?([\w-]+\.png)")
ELSEWHERE = {  # lines that are run by another test, or install
    "python3 -m venv ": "test_readme.py reads them; installing is for continuous integration",
    "python -m modelcollapse.validation.study ": "test_study.py, at small size",
    "python -m modelcollapse.validation.mix_study ": "test_mix_study.py, at small size",
    "python -m modelcollapse.validation.stopping_study ": "test_stopping_study.py, at small size",
    "python docs/": "test_cli_choosing.py, test_stopping_study.py and test_mix_study.py compare the pages with these",
}
READER = {"labels.csv": "", "marked.csv": "written_by"}  # files of a reader's own, and their column of marks
FLATS = DOCS / "howto" / "flats.csv"  # the table of the how-to pages


def write_readers_files(folder):
    """FLATS, and the files of READER: 90 rows of four numbers, the last 60 of them marked as a model's."""
    shutil.copy(FLATS, folder / FLATS.name)
    rng = np.random.default_rng(0)
    for name, marks in READER.items():
        inputs = rng.standard_normal((90, 4))
        targets = inputs.sum(axis=1) + 0.3 * rng.standard_normal(90)
        rows = [
            [*row, "real" if i < 30 else "model", y] for i, (row, y) in enumerate(zip(inputs, targets, strict=True))
        ]
        lines = [["a", "b", "c", "d", marks, "y"], *rows]
        lines = lines if marks else [line[:4] + line[5:] for line in lines]
        (folder / name).write_text("\n".join(",".join(map(str, line)) for line in lines), encoding="utf-8")


def run_blocks(text, name):
    """Run all Python and shell blocks of a page; AssertionError for one that fails or that nobody runs."""
    names = {}
    for language, source in BLOCK.findall(text):
        if language == "python":
            _run_python(source, name, names)
        elif language == "bash":
            _run_shell(source)
        else:
            assert language in ("eval", "toctree", "include"), f"nobody runs a block of {language}"


def _run_python(source, name, names):
    if source.startswith(">>>"):
        example = doctest.DocTestParser().get_doctest(source, names, name, name, 0)
        found = doctest.DocTestRunner().run(example, clear_globs=False)
        assert (found.attempted > 0, found.failed) == (True, 0)
        names.update(example.globs)
        return
    exec(compile(source, name, "exec"), names)
    for test in [thing for word, thing in names.items() if word.startswith("test_")]:
        test()


def _run_shell(source):
    for line in source.replace("\\\n", " ").splitlines():
        if line.strip() and not line.startswith(tuple(ELSEWHERE)):
            program, *arguments = shlex.split(line)
            assert program == "modelcollapse", f"nobody runs {line!r}"
            assert cli.main(arguments) == 0, line


def drawn(text):
    """Names of the pictures that a page shows from docs/images and that a block of its own draws."""
    shown = set(re.findall(r"\]\([\w./]*images/([\w-]+\.png)\)", text))
    return shown & {picture for _, source in BLOCK.findall(text) for picture in DRAWN.findall(source)}


def main():
    """Draw the pictures of all pages."""
    for page in sorted(DOCS.rglob("*.md")):
        text = page.read_text(encoding="utf-8")
        if "_build" not in page.parts and drawn(text):
            with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
                write_readers_files(Path())
                run_blocks(text, page.name)
                for picture in drawn(text):
                    if os.path.exists(picture):
                        shutil.copy(picture, DOCS / "images" / picture)
                        print(f"{page.relative_to(DOCS)}: {picture}")


if __name__ == "__main__":
    main()

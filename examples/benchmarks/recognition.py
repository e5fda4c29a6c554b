"""Accuracy of classifiers, compared with other features: ``python recognition.py``.

MNIST: trained on the first 10,000 digits, scored on all test digits; filters and visual words are
learned from the first 1,000 digits. Caltech-101, ten categories: five splits with 30 training
photos and at most 50 test photos of each; filters and visual words are learned from the training
photos. All rows use the same support vector machines, whose scaling, C and gamma are chosen on the
training part alone. Each score is stored as a line of a file, and is not computed again.

``--validate`` scores on the data that settings are chosen on: other training digits, other splits.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from functools import partial
from pathlib import Path

import _recognition_ours as ours
import _recognition_rows as theirs
import numpy as np
from _common import print_table
from _recognition_cases import Case
from _recognition_classifiers import Choice
from _recognition_data import CALTECH_SEEDS, Record, caltech_split, digits_split, photos
from _recognition_figures import draw_labels, draw_weights
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

DIGIT_ROWS = theirs.DIGIT_ROWS + ours.DIGIT_ROWS
PHOTO_ROWS = theirs.PHOTO_ROWS + ours.PHOTO_ROWS
REFERENCE = "dense SIFT"
CURVES = ("raw pixels", "HOG", "scattering", "dense SIFT", "one layer", "one-pass")
DIGITS_HEADER = ["", "features", "RBF", "linear", "RBF, all digits", "ms per digit"]
PHOTOS_HEADER = ["", "features", "linear", "to SIFT", "intersection", "to SIFT", "ms per photo"]


def ranged(values) -> str:
    """Mean and range of several values."""
    mean = f"{np.mean(values):.2f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.2f} to {max(values):.2f})"


def spread(values) -> str:
    """Mean and standard deviation."""
    return f"{np.mean(values):.1f} ± {np.std(values, ddof=1):.1f}"


def gain(values) -> str:
    """Mean of differences and its standard error."""
    return f"{np.mean(values):+.1f} ± {np.std(values, ddof=1) / len(values) ** 0.5:.1f}"


def digits_row(row, split, record, n_seeds: int) -> dict[str, list[dict]]:
    """Scores of one row; later seeds use the parameters that the first one chose."""
    lines = {"rbf": [], "linear": []}
    for seed in range(n_seeds if row.seeded else 1):
        case = Case(row, seed, split)
        for kernel, found in lines.items():
            choice = Choice(**found[0]["choice"]) if found else None
            score = partial(case.score, kernel, choice)
            found.append(record.once("digits", row.name, seed, kernel, score))
    return lines


def all_digits(row, record, choice: Choice) -> dict:
    """Score of a fit on all training digits, with parameters chosen on the first 10,000."""

    def score():
        return Case(row, 0, digits_split(record.part, 60_000)).score_of_many(choice)

    return record.once("all digits", row.name, 0, "rbf", score)


def digits_table(options, record) -> None:
    """Print the table of MNIST."""
    split, table = digits_split(record.part), []
    for row in chosen(DIGIT_ROWS, options.rows):
        try:
            lines = digits_row(row, split, record, options.seeds)
        except ImportError as error:
            print(f"{row.name} is left out: {error}")
            continue
        errors = [ranged([100 * (1 - one["accuracy"]) for one in some]) for some in lines.values()]
        first, many = lines["rbf"][0], "-"
        if row.name in options.all_digits:
            line = all_digits(row, record, Choice(**first["choice"]))
            many = f"{100 * (1 - line['accuracy']):.2f}"
        table.append([row.name, str(first["size"]), *errors, many, f"{first['ms']:.2f}"])
    title = f"MNIST: errors in per cent, {len(split.labels)} digits, {record.part} part"
    print_table(title, DIGITS_HEADER, table)


def photos_table(options, record) -> None:
    """Print the table of Caltech-101."""
    categories, lines = photos(), {}
    splits = {seed: caltech_split(categories, seed) for seed in CALTECH_SEEDS[record.part]}
    kernels = ("linear", "intersection")
    for row in chosen(PHOTO_ROWS, options.rows):
        try:
            for seed, split in splits.items():
                case = Case(row, seed, split, per_class=True)
                for kernel in kernels:
                    score = partial(case.score, kernel)
                    line = record.once("photos", row.name, seed, kernel, score)
                    lines.setdefault(row.name, {}).setdefault(kernel, []).append(line)
        except ImportError as error:
            print(f"{row.name} is left out: {error}")
    table = []
    for name, found in lines.items():
        cells = [name, str(found["linear"][0]["size"])]
        for kernel in kernels:
            ours, theirs = (
                np.array([100 * line["accuracy"] for line in some[kernel]])
                for some in (found, lines.get(REFERENCE, found))
            )
            cells += [spread(ours), gain(ours - theirs)]
        table.append([*cells, f"{np.median([line['ms'] for line in found['linear']]):.0f}"])
    title = f"Caltech-101, ten categories, {len(splits)} splits: accuracy per class, {record.part}"
    print_table(title, PHOTOS_HEADER, table)


TABLES = {"digits": digits_table, "photos": photos_table}


def figures(folder: Path, record) -> None:
    """Draw both figures."""
    folder.mkdir(parents=True, exist_ok=True)
    draw_labels(chosen(DIGIT_ROWS, CURVES), record, folder)

    def row_of(lam, p):
        return ours.digits(f"lam={lam:g}, p={p:g}", partial(ours.one_layer, lam=lam, p=p))

    draw_weights(row_of, record, folder)


def chosen(rows, names) -> list:
    """Rows of these names, or all."""
    return [row for row in rows if not names or row.name in names]


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    kept = Path(tempfile.gettempdir()) / "skdeconv-benchmarks" / "recognition.jsonl"
    parser.add_argument("--validate", action="store_true", help="score on validation data")
    parser.add_argument("--tables", nargs="*", default=list(TABLES), choices=list(TABLES))
    parser.add_argument("--rows", nargs="*", default=[], help="names of rows; all by default")
    parser.add_argument("--all-digits", nargs="*", default=[], help="rows that train on 60,000")
    parser.add_argument("--seeds", type=int, default=3, help="seeds of rows that depend on one")
    parser.add_argument("--record", type=Path, default=kept, help="file of all scores")
    parser.add_argument("--figures", type=Path, help="folder for the figures; none by default")
    return parser.parse_args()


def main() -> None:
    """Print the tables."""
    options = parsed()
    threadpool_limits(1)
    warnings.filterwarnings("ignore", category=ConvergenceWarning)
    record = Record(options.record, "validation" if options.validate else "test")
    for name in options.tables:
        TABLES[name](options, record)
    if options.figures:
        figures(options.figures, record)


if __name__ == "__main__":
    main()

"""Figures of the recognition benchmark: errors against labels, and against lam and p."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from _recognition_cases import Case
from _recognition_data import Record, Split, digits_split

LABELS, DRAWS = (10, 30, 100, 300, 1000), 3
LAMS, EXPONENTS, N_WEIGHED = (1.0, 3.0, 10.0), (1.0, 0.75, 0.5), 2000


def chosen(labels: np.ndarray, n_labels: int, seed: int) -> np.ndarray:
    """Random indices of images, ``n_labels`` of each class, or all if a class has fewer."""
    order = np.random.default_rng(seed).permutation(len(labels))
    return np.concatenate([order[labels[order] == one][:n_labels] for one in np.unique(labels)])


def errors_by_labels(row, split: Split, record: Record) -> list[float]:
    """Mean error in per cent for each number of labels per class."""
    case, errors = Case(row, 0, split), []
    for n_labels in LABELS:
        # The last number takes all images, as in the table.
        if n_labels == LABELS[-1]:
            lines = [record.once("digits", row.name, 0, "rbf", partial(case.score, "rbf"))]
        else:
            task, lines = f"digits, {n_labels} a class", []
            for seed in range(DRAWS):
                numbers = chosen(split.labels, n_labels, seed)
                score = partial(case.score, "rbf", None, numbers)
                lines.append(record.once(task, row.name, seed, "rbf", score))
        errors.append(100 * (1 - np.mean([line["accuracy"] for line in lines])))
    return errors


def draw_labels(rows, record: Record, folder: Path) -> None:
    """Plot errors of some rows against the number of labels."""
    split = digits_split(record.part)
    figure, axes = plt.subplots(figsize=(6, 4.5), layout="constrained")
    for row in rows:
        try:
            axes.loglog(LABELS, errors_by_labels(row, split, record), "o-", label=row.name)
        except ImportError as error:
            print(f"{row.name} is left out: {error}")
    axes.set(xlabel="labelled digits of each class", ylabel="error in per cent")
    axes.set(xticks=LABELS, xticklabels=LABELS, title=f"MNIST, {record.part} part")
    axes.xaxis.minorticks_off()
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("{x:g}")
    axes.legend()
    figure.savefig(folder / "recognition_labels.png", dpi=150)


def draw_weights(row_of, record: Record, folder: Path) -> None:
    """Plot errors on validation digits against lam and p of the layer.

    Parameters
    ----------
    row_of : callable
        Takes lam and p and gives a row.
    record : Record
        Record of scores; those of this figure are for the validation part.
    folder : Path
        Folder of the figure.
    """
    record = Record(record.file, "validation")
    split = digits_split(record.part, N_WEIGHED)
    split = replace(split, test=split.test[:N_WEIGHED], truth=split.truth[:N_WEIGHED])
    figure, axes = plt.subplots(figsize=(6, 4.5), layout="constrained")
    for p in EXPONENTS:
        errors = []
        for lam in LAMS:
            row = row_of(lam, p)
            score = partial(Case(row, 0, split).score, "rbf")
            line = record.once(f"digits, {N_WEIGHED} in all", row.name, 0, "rbf", score)
            errors.append(100 * (1 - line["accuracy"]))
        axes.semilogx(LAMS, errors, "o-", label=f"p = {p:g}")
    axes.set(xlabel="lam", ylabel="error in per cent", xticks=LAMS, xticklabels=LAMS)
    axes.set(title=f"One layer, {N_WEIGHED} digits to learn from, validation part")
    axes.xaxis.minorticks_off()
    axes.legend()
    figure.savefig(folder / "recognition_weights.png", dpi=150)

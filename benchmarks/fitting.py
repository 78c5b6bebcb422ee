"""Fitting of ranking weights: a smooth listwise loss, regularised, and judged on other repositories.

Pure (numpy only). A file's score is that of its best chunk, because the ranking shows one chunk of each file first. The
loss is the softmax cross-entropy of each target's file against all files that answer nothing (ListNet's top-one loss
with one target at a time; Cao et al., "Learning to Rank: From Pairwise Approach to Listwise Approach", 2007). NDCG
itself is a step function of the weights, which says nothing about which way to go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from benchmarks.annotations import Question, Repository
from benchmarks.metrics import TOP, Found, Worth, hits, worth

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]

_STEPS = 250
_RATE = 0.05
_START = 0.3
"""First guess of every weight."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question and its candidates.

    Attributes:
        found: paths (from the checkout's top) and lines, in the order of the ranking that proposed them.
        values: float64 [candidates, features].
        held: float64 [candidates], the part of the score that is not fitted.
    """

    repository: Repository
    question: Question
    found: tuple[Found, ...]
    values: Matrix
    held: Vector

    @property
    def files(self) -> Numbers:
        """A number per candidate; candidates of one file have the same."""
        known: dict[str, int] = {}
        return np.array([known.setdefault(found.path, len(known)) for found in self.found], np.int64)


class Problem:
    """Questions laid out flat, for the loss and its gradient."""

    def __init__(self, asked: Sequence[Asked]) -> None:
        rows: list[Matrix] = []
        held: list[Vector] = []
        file_of_row: list[Numbers] = []
        question_of_file: list[Numbers] = []
        answers: list[npt.NDArray[np.bool_]] = []
        targets: list[Numbers] = []
        question_of_target: list[int] = []
        row_count = file_count = 0
        for number, one in enumerate(asked):
            if not one.found:
                continue
            files = one.files
            order = np.argsort(files, kind="stable")
            files = files[order]
            good = np.zeros(int(files[-1]) + 1, np.bool_)
            for target in one.question.targets:
                at = np.flatnonzero([hits(one.found[row], target) for row in order])
                if len(at):
                    targets.append(at + row_count)
                    question_of_target.append(number)
                    good[files[at]] = True
            rows.append(one.values[order])
            held.append(one.held[order])
            file_of_row.append(files + file_count)
            question_of_file.append(np.full(len(good), number, np.int64))
            answers.append(good)
            row_count += len(files)
            file_count += len(good)
        self._rows, self._held = np.concatenate(rows), np.concatenate(held)
        self._file_of_row = np.concatenate(file_of_row)
        self._first_row = np.flatnonzero(np.diff(self._file_of_row, prepend=-1))
        self._question_of_file = np.concatenate(question_of_file)
        self._wrong = ~np.concatenate(answers)
        self._count = len(asked)
        self._target_rows = np.concatenate(targets)
        lengths = [len(target) for target in targets]
        self._target_first = np.cumsum([0, *lengths[:-1]])
        self._target_of_row = np.repeat(np.arange(len(lengths)), lengths)
        self._question_of_target = np.array(question_of_target, np.int64)
        per_question = np.bincount(self._question_of_target, minlength=self._count)
        self._share = 1.0 / per_question[self._question_of_target]

    def loss(self, weights: Vector) -> tuple[float, Vector]:
        """Compute the mean cross-entropy over the questions, and its gradient by the weights."""
        scores = self._rows @ weights + self._held
        best = np.maximum.reduceat(scores, self._first_row)
        best_row = _first_at(scores >= best[self._file_of_row], self._file_of_row, len(best))
        answers = np.maximum.reduceat(scores[self._target_rows], self._target_first)
        of_row = scores[self._target_rows] >= answers[self._target_of_row]
        answer_row = self._target_rows[_first_at(of_row, self._target_of_row, len(answers))]
        top = np.full(self._count, -np.inf)
        np.maximum.at(top, self._question_of_file, best)
        wrong = np.where(self._wrong, np.exp(best - top[self._question_of_file]), 0.0)
        mass = np.bincount(self._question_of_file, wrong, self._count)[self._question_of_target]
        right = np.exp(answers - top[self._question_of_target])
        chance = right / (right + mass)
        value = -float((self._share * np.log(chance + 1e-12)).sum())
        pull = np.bincount(self._question_of_target, self._share / (right + mass), self._count)
        gradient = (wrong * pull[self._question_of_file]) @ self._rows[best_row]
        gradient -= (self._share * (1.0 - chance)) @ self._rows[answer_row]
        return value / self._count, gradient / self._count


def _first_at(mask: npt.NDArray[np.bool_], group_of: Numbers, groups: int) -> Numbers:
    """Find the first index of each group where `mask` holds."""
    found = np.zeros(groups, np.int64)
    at = np.flatnonzero(mask)[::-1]
    found[group_of[at]] = at
    return found


def fit(asked: Sequence[Asked], strength: float) -> Vector:
    """Find the weights from 0 up that minimise the loss plus `strength` times their squared length.

    Adam (Kingma and Ba, 2015) with a fixed number of steps: deterministic, and the problem is small.
    """
    problem = Problem(asked)
    weights = np.full(asked[0].values.shape[1], _START)
    best, best_value = weights, np.inf
    mean, square = np.zeros_like(weights), np.zeros_like(weights)
    for step in range(1, _STEPS + 1):
        value, gradient = problem.loss(weights)
        value += strength * float(weights @ weights)
        gradient = gradient + 2.0 * strength * weights
        if value < best_value:
            best, best_value = weights.copy(), value
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.99 * square + 0.01 * gradient * gradient
        rate = _RATE * (1.0 if step < 0.6 * _STEPS else 0.3)
        stride = mean / (1.0 - 0.9**step) / (np.sqrt(square / (1.0 - 0.99**step)) + 1e-9)
        weights = np.maximum(weights - rate * stride, 0.0)
    return best


def judged(asked: Sequence[Asked], weights: Vector, repeat_charge: float, behind_charge: float = 0.0) -> list[Worth]:
    """Judge the ranking by `weights` for each question.

    Args:
        repeat_charge: weight of the feature that charges for further chunks of one file.
        behind_charge: weight of the one that charges for how much worse they are.
    """
    return [_judged(one, one.values @ weights + one.held, repeat_charge, behind_charge) for one in asked]


def _judged(one: Asked, scores: Vector, repeat_charge: float, behind_charge: float) -> Worth:
    order = sorted(range(len(scores)), key=lambda row: (-round(float(scores[row]), 4), one.found[row]))
    seen: dict[str, int] = {}
    best: dict[str, float] = {}
    charged = []
    for row in order:
        found, score = one.found[row], float(scores[row])
        repeat = seen[found.path] = seen.get(found.path, -1) + 1
        behind = min(1.0, best.setdefault(found.path, score) - score)
        charged.append((-round(score - repeat_charge * (1.0 - 0.5**repeat) - behind_charge * behind, 4), found))
    return worth([found for _, found in sorted(charged)[:TOP]], one.question.targets)


def without(asked: Sequence[Asked], column: int) -> list[Asked]:
    """Take one fitted feature out of the questions."""
    return [replace(one, values=np.delete(one.values, column, axis=1)) for one in asked]


def by_repository(asked: Sequence[Asked], results: Sequence[Worth]) -> Mapping[str, list[Worth]]:
    """Bring results into the form of `annotations.Answers`."""
    answers: dict[str, list[Worth]] = {}
    for one, result in zip(asked, results, strict=True):
        answers.setdefault(one.repository.name, []).append(result)
    return answers

"""Several models fitted on one training set and joined to one: average, weighted, stacked, or the best of them.

A member is a fit of its own, and for a stack also predicts the rows that folds of it did not see. Joining looks at
their predictions alone, so members may come from anywhere, as from the versions they were registered as.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ml_platform.contracts.errors import ContractError, NotEnoughRows
from ml_platform.contracts.metrics import Task
from ml_platform.contracts.spec import Ensemble
from ml_platform.features.encoding import Encoder
from ml_platform.scoring.classes import Class, class_numbers
from ml_platform.scoring.ensemble import KIND, join, member_file
from ml_platform.scoring.scorer import DESCRIPTION
from ml_platform.training.coefficients import convex_weights, stack_coefficients
from ml_platform.training.losses import loss_of
from ml_platform.training.members import Member
from ml_platform.training.out_of_fold import predicted_labels
from ml_platform.training.trainer import Trained

FloatArray = NDArray[np.float64]


def join_members(
    rows: pl.DataFrame,
    members: Mapping[str, Member],
    ensemble: Ensemble,
    task: Task,
    folds: Sequence[pl.DataFrame] = (),
    *,
    quantile: float | None = None,
) -> Trained:
    """Join fitted members to one model.

    Weights and the best member are chosen on the validation part, on which members stopped too; a stack is fitted on
    out-of-fold predictions alone. The holdout part is never looked at.

    Parameters
    ----------
    rows : (n_rows, ...)
        The training set that the members were fitted on.
    members : mapping of str to Member
        Each of `ensemble.of`.
    folds : sequence of (n_fold_rows, ...)
        Those that the members' `out_of_fold` is of.
    quantile : float, optional
        Which quantile of a regression's label all members predict, instead of its mean.

    Raises
    ------
    ContractError
        If the members encode features in different ways, or predict other rows than the folds'.
    """
    chosen = {name: members[name] for name in ensemble.of}
    fits = {name: member.trained for name, member in chosen.items()}
    encoder, classes = _one_encoder(fits), next(iter(fits.values())).classes
    validation = rows.filter(pl.col("part") == "validation")
    labels, is_known = _numbers(validation["label"], classes)
    matrix = encoder.encode(validation)[is_known]
    said = {name: each.scorer(matrix) for name, each in fits.items()}
    description: dict[str, Any] = {
        "kind": KIND,
        "how": ensemble.kind,
        "task": task,
        **_described(fits),
        **_fitted(ensemble, chosen, labels, said, task, quantile, folds),
    }
    loss = loss_of(labels, join(said, description), task, quantile)
    notes = (_told(description["how"], description["coefficients"]), *_notes(fits))
    return _joined(fits, encoder, description, loss, notes)


def join_refits(refits: Mapping[str, Trained], tuning: Trained) -> Trained:
    """Join fits of the members on other rows, with the coefficients that the tuning fit of the ensemble chose.

    Parameters
    ----------
    refits : mapping of str to Trained
        Each member's fit on the same rows.
    tuning : Trained
        The ensemble as `join_members` made it.

    Raises
    ------
    ContractError
        If the members encode features in different ways.
    """
    description: dict[str, Any] = json.loads(tuning.files[DESCRIPTION])
    chosen = {name: refits[name] for name in description["members"]}
    described = {**description, **_described(chosen)}
    if "intercept" in description and description.get("classes") != described.get("classes"):
        described["intercept"] = _intercepts(description, described["classes"])
    return _joined(chosen, _one_encoder(chosen), described, tuning.loss, tuple(_notes(chosen)))


def _intercepts(description: Mapping[str, Any], classes: Sequence[Class]) -> list[float]:
    """Return a stack's intercept of each class; one that the tuning fit did not know gets their mean."""
    known = dict(zip(description["classes"], description["intercept"], strict=True))
    mean = float(np.mean(description["intercept"]))
    return [known.get(label, mean) for label in classes]


def _described(fits: Mapping[str, Trained]) -> dict[str, Any]:
    classes = next(iter(fits.values())).classes
    return {
        "members": {name: json.loads(each.files[DESCRIPTION]) for name, each in fits.items()},
        **({"classes": list(classes)} if classes else {}),
    }


def _joined(
    fits: Mapping[str, Trained], encoder: Encoder, description: dict[str, Any], loss: float, notes: tuple[str, ...]
) -> Trained:
    coefficients = description["coefficients"]
    return Trained(
        files=_files(fits) | {DESCRIPTION: json.dumps(description, sort_keys=True).encode()},
        encoder=encoder,
        importance=_importance(fits, coefficients),
        loss=loss,
        params={"ensemble": description["how"]} | _shown(fits, coefficients),
        notes=notes,
        classes=next(iter(fits.values())).classes,
        warnings=tuple(f"{name}: {warning}" for name, each in fits.items() for warning in each.warnings),
    )


def _fitted(
    ensemble: Ensemble,
    members: Mapping[str, Member],
    labels: FloatArray,
    said: Mapping[str, FloatArray],
    task: Task,
    quantile: float | None,
    folds: Sequence[pl.DataFrame],
) -> dict[str, Any]:
    """Give the coefficients of the members, and the intercept of a stack."""
    match ensemble.kind:
        case "average":
            return {"coefficients": dict.fromkeys(members, 1 / len(members))}
        case "weighted":
            return {"coefficients": convex_weights(labels, said, task, quantile)}
        case "best":
            best = min(said, key=lambda name: loss_of(labels, said[name], task, quantile))
            return {"coefficients": {name: float(name == best) for name in members}}
        case "stacked":
            coefficients, intercept = stack_coefficients(*_stack_inputs(members, folds), task)
            return {"coefficients": coefficients, "intercept": intercept}


def _stack_inputs(
    members: Mapping[str, Member], folds: Sequence[pl.DataFrame]
) -> tuple[FloatArray, dict[str, FloatArray]]:
    """Give the labels of the rows that the folds predict, and what each member's fits said of them."""
    classes = next(iter(members.values())).trained.classes
    wanted, is_known = _numbers(predicted_labels(folds), classes)
    inputs = {name: member.out_of_fold for name, member in members.items() if member.out_of_fold is not None}
    if got := [name for name in members if name not in inputs or len(inputs[name]) != len(is_known)]:
        raise ContractError.because(
            f"stack: out-of-fold predictions of {', '.join(got)}", got="none, or of other rows",
            expected=f"of {len(is_known)} rows", hint="materialize the members again, then candidate",
        )  # fmt: skip
    if len(np.unique(wanted)) < 2:
        raise NotEnoughRows.because(
            "stack: rows that the folds predict", got=f"{len(wanted)} rows with one label",
            expected="labels that differ", hint="choose a longer split.validation, or more folds",
        )  # fmt: skip
    return wanted, {name: each[is_known] for name, each in inputs.items()}


def _numbers(labels: pl.Series, classes: Sequence[Class]) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Give labels as numbers, and which of the rows they are of: a class that no training row has is left out."""
    numbers = class_numbers(labels, classes) if classes else labels.cast(pl.Float64).to_numpy()
    is_known = ~np.isnan(numbers)
    return numbers[is_known], is_known


def _one_encoder(members: Mapping[str, Trained]) -> Encoder:
    encoders = [member.encoder for member in members.values()]
    if any(each != encoders[0] for each in encoders):
        raise ContractError.because(
            f"members {', '.join(members)}", got="features encoded in different ways",
            expected="one matrix for all", hint="materialize the members again, from one training set",
        )  # fmt: skip
    return encoders[0]


def _files(members: Mapping[str, Trained]) -> dict[str, bytes]:
    return {
        member_file(name, file): content
        for name, member in members.items()
        for file, content in member.files.items()
        if file != DESCRIPTION
    }


def _importance(members: Mapping[str, Trained], coefficients: Mapping[str, float]) -> dict[str, float]:
    """Give each feature's share in the members' importance, a member's counted by its coefficient."""
    total = sum(coefficients.values()) or 1.0
    shares: dict[str, float] = {}
    for name, member in members.items():
        of_all = sum(member.importance.values()) or 1.0
        for feature, value in member.importance.items():
            shares[feature] = shares.get(feature, 0.0) + coefficients[name] / total * value / of_all
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def _shown(members: Mapping[str, Trained], coefficients: Mapping[str, float]) -> dict[str, Any]:
    shown: dict[str, Any] = {f"{name}.coefficient": round(value, 6) for name, value in coefficients.items()}
    return shown | {
        f"{name}.{param}": value for name, member in members.items() for param, value in member.params.items()
    }


def _notes(members: Mapping[str, Trained]) -> list[str]:
    return [f"{name}: {note}" for name, member in members.items() for note in member.notes]


def _told(how: str, coefficients: Mapping[str, float]) -> str:
    counted = ", ".join(f"{name} {value:.3f}" for name, value in coefficients.items())
    return f"The members count ({how}): {counted}."

"""What a member's bundle holds beside its model, and how members come back from files."""

import io
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ml_platform.contracts.spec import member_stage
from ml_platform.features.encoding import Encoder
from ml_platform.registry import bundle as files
from ml_platform.registry.bundle import Bundle, FitName
from ml_platform.scoring.ensemble import KIND, load_members
from ml_platform.scoring.scorer import load_scorer
from ml_platform.training.members import Member
from ml_platform.training.trainer import FitSet, Trained

if TYPE_CHECKING:
    from ml_platform.serving.predictor import Predictor

FloatArray = NDArray[np.float64]

REFITS: tuple[FitName, ...] = ("judged", "served")
MEMBERS = "members.json"  # of an ensemble: {member: {"name": registered model, "digest": of its bundle}}
MEMBER = "member.json"  # of a member: what people see of its fit
OUT_OF_FOLD = "out_of_fold.arrow"  # of a member of a stack: predictions in the folds' order, a column for each class


def member_files(member: Member) -> dict[str, bytes]:
    """Give the files of a member beside those of its model."""
    shown = _shown(member.trained) | {"refits": [_shown(each) for each in member.refits]}
    content = {MEMBER: json.dumps(shown).encode()}
    if member.out_of_fold is not None:
        buffer = io.BytesIO()
        table = member.out_of_fold.reshape(len(member.out_of_fold), -1)
        pl.DataFrame(table, schema=[f"prediction_{place}" for place in range(table.shape[1])]).write_ipc(buffer)
        content[OUT_OF_FOLD] = buffer.getvalue()
    return content


def read_member(bundle: Bundle) -> Member:
    """Give a member as it was fitted.

    Raises
    ------
    BundleDamaged
        If a file is missing or changed.
    """
    shown: dict[str, Any] = bundle.read_json(MEMBER)
    refits = tuple(
        _read_fit(bundle, fit, each) for fit, each in zip(REFITS, shown.pop("refits", ()), strict=False)
    )  # fmt: skip
    return Member(_read_fit(bundle, "tuning", shown), _out_of_fold(bundle), refits)


def member_fit_set(member: Member) -> FitSet:
    """Return the fits of a member, with the files beside its model in the one that serves."""
    fits = FitSet(member.trained, *member.refits) if member.refits else FitSet.of_one(member.trained)
    served = replace(fits.served, files=fits.served.files | member_files(member))
    return replace(fits, served=served) if fits.is_refit else FitSet.of_one(served)


def _shown(trained: Trained) -> dict[str, Any]:
    """Return what people see of a fit, as JSON has it."""
    return {
        "importance": trained.importance,
        "loss": trained.loss,
        "rounds": trained.rounds,
        "params": dict(sorted(trained.params.items())),  # a search gives them in another order than `fit.json`
        "notes": trained.notes,
        "classes": trained.classes,
        "warnings": trained.warnings,
    }


def _read_fit(bundle: Bundle, fit: FitName, shown: Mapping[str, Any]) -> Trained:
    """Read one fit of a member, and of its folder exactly the files that the model needs."""
    read: dict[str, bytes] = {}
    reader = bundle.reader(fit)

    def reading(name: str) -> bytes:
        read[name] = reader(name)
        return read[name]

    load_scorer(reading)
    sequences = {name: tuple(shown.get(name, ())) for name in ("notes", "classes", "warnings")}
    return Trained(files=read, encoder=Encoder.from_json(json.loads(reader(files.ENCODER))), **{**shown, **sequences})


def member_predictors(bundle: Bundle, predictor: "Predictor") -> "dict[str, Predictor]":
    """Return the judged fit of each member as a predictor, by the name of its stage; none of a single model.

    Parameters
    ----------
    predictor : Predictor
        The judged fit of the ensemble.
    """
    read = bundle.reader("judged")
    description = json.loads(read(files.MODEL))
    if description["kind"] != KIND:
        return {}
    scorers = load_members(description, read)
    return {member_stage(name): replace(predictor, scorer=scorer) for name, scorer in scorers.items()}


def _out_of_fold(bundle: Bundle) -> FloatArray | None:
    if OUT_OF_FOLD not in bundle.manifest.files:
        return None
    table = pl.read_ipc(io.BytesIO(bundle.read_bytes(OUT_OF_FOLD))).to_numpy()
    return np.ascontiguousarray(table[:, 0] if table.shape[1] == 1 else table)

"""What a member's bundle holds beside its model, and how members come back from files."""

import io
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ml_platform.contracts.spec import member_stage
from ml_platform.features.encoding import Encoder
from ml_platform.registry import bundle as files
from ml_platform.registry.bundle import Bundle
from ml_platform.scoring.ensemble import KIND, load_members
from ml_platform.scoring.scorer import load_scorer
from ml_platform.training.ensembles import Member
from ml_platform.training.trainer import Trained

if TYPE_CHECKING:
    from ml_platform.serving.predictor import Predictor

FloatArray = NDArray[np.float64]

MEMBERS = "members.json"  # of an ensemble: {member: {"name": registered model, "digest": of its bundle}}
MEMBER = "member.json"  # of a member: what people see of its fit
OUT_OF_FOLD = "out_of_fold.arrow"  # of a member of a stack: predictions in the folds' order, a column for each class


def member_files(member: Member) -> dict[str, bytes]:
    """Give the files of a member beside those of its model."""
    trained = member.trained
    shown = {
        "importance": trained.importance,
        "loss": trained.loss,
        "rounds": trained.rounds,
        "params": dict(sorted(trained.params.items())),  # a search gives them in another order than `fit.json`
        "notes": trained.notes,
        "classes": trained.classes,
    }
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
    read: dict[str, bytes] = {}

    def reading(name: str) -> bytes:
        read[name] = bundle.read_bytes(name)
        return read[name]

    load_scorer(reading)  # so that exactly the model's own files are known
    shown: dict[str, Any] = bundle.read_json(MEMBER)
    shown |= {name: tuple(shown[name]) for name in ("notes", "classes")}
    trained = Trained(files=read, encoder=Encoder.from_json(bundle.read_json(files.ENCODER)), **shown)
    return Member(trained, _out_of_fold(bundle))


def member_predictors(bundle: Bundle, predictor: "Predictor") -> "dict[str, Predictor]":
    """Give each member of a bundle as a predictor, by the name of its stage; none of a model that is no ensemble."""
    description = bundle.read_json(files.MODEL)
    if description["kind"] != KIND:
        return {}
    scorers = load_members(description, bundle.read_bytes)
    return {member_stage(name): replace(predictor, scorer=scorer) for name, scorer in scorers.items()}


def _out_of_fold(bundle: Bundle) -> FloatArray | None:
    if OUT_OF_FOLD not in bundle.manifest.files:
        return None
    table = pl.read_ipc(io.BytesIO(bundle.read_bytes(OUT_OF_FOLD))).to_numpy()
    return np.ascontiguousarray(table[:, 0] if table.shape[1] == 1 else table)

"""The candidate of an ensemble: its members' versions joined, and no member that was fitted on anything else.

A member is registered as `<pipeline>.<member>`. The candidate takes the version that was fitted on exactly its rows,
from the tables they were made from, with the spec as it is now.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import polars as pl

from ml_platform.contracts.errors import ContractError, RegistryError, VersionNotFound
from ml_platform.contracts.ports import ModelStore
from ml_platform.contracts.records import ModelVersion
from ml_platform.contracts.spec import Ensemble, Fit, Model, PipelineSpec, member_stage
from ml_platform.data.calendar import Calendar
from ml_platform.data.lake.manifest import manifest_digest
from ml_platform.data.lake.tables import Lake
from ml_platform.orchestration.code_versions import spec_digest
from ml_platform.orchestration.member_files import MEMBERS, OUT_OF_FOLD, read_member
from ml_platform.orchestration.packaging import rows_digest
from ml_platform.orchestration.resolution import Pipeline
from ml_platform.registry.bundle import FIT, Bundle, open_bundle
from ml_platform.training.trainer import FitSet

if TYPE_CHECKING:
    from ml_platform.training.members import Member


@dataclass(frozen=True)
class Joined:
    """An ensemble; with the models of its members as they were fitted, how they were searched, and which versions."""

    fits: FitSet
    models: dict[str, Model]
    notes: tuple[str, ...]
    versions: dict[str, ModelVersion]


def registered_name(pipeline: Pipeline, member: str) -> str:
    """Name a member's registered model; no pipeline can be named so, as its name has no dot."""
    return f"{pipeline.name}.{member}"


def owner_of(registered: str) -> tuple[str, str | None]:
    """Give the pipeline of a registered model, and which of its members it is; None for the pipeline's own model."""
    name, _, member = registered.partition(".")
    return name, member or None


def join_versions(
    pipeline: Pipeline, ensemble: Ensemble, lake: Lake, models: ModelStore, rows: pl.DataFrame, as_of: str
) -> Joined:
    """Join the members' versions of an as-of partition as the pipeline's ensemble says.

    Raises
    ------
    VersionNotFound
        If a member was not fitted yet.
    ContractError
        If none of a member's versions was fitted on these rows, from these tables, as the spec says now.
    """
    spec = pipeline.spec
    taken = {name: _version(pipeline, lake, models, rows, as_of, name) for name in spec.members}
    members = {name: read_member(bundle) for name, (_, bundle) in taken.items()}
    joined = join_fits(rows, members, ensemble, spec, folds_of(spec, rows, as_of))
    named = {name: {"name": version.pipeline, "digest": version.digest} for name, (version, _) in taken.items()}
    served = joined.served
    marked = replace(served, files=served.files | {MEMBERS: json.dumps(named, sort_keys=True).encode()})
    fits = {name: Fit.model_validate(bundle.read_json(FIT)) for name, (_, bundle) in taken.items()}
    return Joined(
        replace(joined, served=marked) if joined.is_refit else FitSet.of_one(marked),
        {name: fit.models[name] for name, fit in fits.items()},
        tuple(note for fit in fits.values() for note in fit.notes),
        {name: version for name, (version, _) in taken.items()},
    )


def join_fits(
    rows: pl.DataFrame, members: "Mapping[str, Member]", ensemble: Ensemble, spec: PipelineSpec,
    folds: Sequence[pl.DataFrame],
) -> FitSet:  # fmt: skip
    """Join each of the three fits of the members; the coefficients are those of the tuning fits."""
    from ml_platform.training.ensembles import join_members, join_refits

    tuning = join_members(rows, members, ensemble, spec.label.task, folds, quantile=spec.quantile)
    if spec.refit == "none":
        return FitSet.of_one(tuning)
    judged, served = (
        join_refits({name: member.refits[place] for name, member in members.items()}, tuning) for place in range(2)
    )
    return FitSet(tuning, judged, served)


def folds_of(spec: PipelineSpec, rows: pl.DataFrame, as_of: str) -> tuple[pl.DataFrame, ...]:
    """Give the folds that members predict out of; none where no stack asks for them."""
    return split_folds(spec, rows, as_of) if _is_stacked(spec) else ()


def split_folds(spec: PipelineSpec, rows: pl.DataFrame, as_of: str) -> tuple[pl.DataFrame, ...]:
    """Give the folds of a training set, whoever asks for them."""
    from ml_platform.training.out_of_fold import fold_sets

    return fold_sets(rows, spec.split, Calendar(spec.partitions), as_of, event_time=spec.event_time, key=spec.key)


def as_if_alone(pipeline: Pipeline, member: str) -> Pipeline:
    """Give the pipeline with the member as its one model: what a member is fitted and packed as."""
    models = {member: pipeline.spec.models[member]}
    return replace(pipeline, spec=pipeline.spec.model_copy(update={"models": models, "ensemble": None}))


def _version(
    pipeline: Pipeline, lake: Lake, models: ModelStore, rows: pl.DataFrame, as_of: str, member: str
) -> tuple[ModelVersion, Bundle]:
    """Give the newest version of a member that was fitted as a fit of today would be."""
    name, faults = registered_name(pipeline, member), []
    for version in models.versions(name, as_of):
        try:
            bundle = open_bundle(models.bundle(version), version.digest)
        except RegistryError as error:  # not ours, or edited since: others may still fit
            faults.append(f"that is no bundle of its digest (version {version.version}: {error})")
            continue
        fault = _fault(pipeline, lake, rows, bundle, member)
        if fault is None:
            return version, bundle
        faults.append(f"fitted {fault}")
    hint = f"materialize {member_stage(member)} for this partition, then candidate"
    if not faults:
        raise VersionNotFound.because(f"{name} as of {as_of}", got="none", expected="a registered version", hint=hint)
    raise ContractError.because(
        f"{name} as of {as_of}", got=f"a version {faults[0]}",
        expected="one fitted on the present training set as the spec says now", hint=hint,
    )  # fmt: skip


def _fault(pipeline: Pipeline, lake: Lake, rows: pl.DataFrame, bundle: Bundle, member: str) -> str | None:
    """Tell why a version is not a member of the present ensemble."""
    manifest = bundle.manifest
    if manifest.rows_digest != rows_digest(rows, pipeline.spec.key):
        return "on other rows"
    if manifest.training_manifest != manifest_digest(lake, pipeline.table("training_set"), manifest.as_of):
        return "on a training set made from other tables or by other code"
    if manifest.spec_digest != spec_digest(as_if_alone(pipeline, member)):
        return "with another spec"
    if _is_stacked(pipeline.spec) and OUT_OF_FOLD not in manifest.files:
        return "without out-of-fold predictions"
    return None


def _is_stacked(spec: PipelineSpec) -> bool:
    return spec.ensemble is not None and spec.ensemble.kind == "stacked"

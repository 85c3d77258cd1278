"""A version fitted again in a process of its own: `python -m ml_platform.orchestration.refitting`, an order on stdin.

Spec, parameters and feature code are those of the bundle, the rows those of the table versions it names. What is read
of the present is the platform's code, and the pipeline's source and schema beside its YAML.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import yaml

from ml_platform.contracts.errors import NotReproducible, PlatformError
from ml_platform.contracts.records import Content, Record
from ml_platform.contracts.spec import Fit, PipelineSpec
from ml_platform.data.lake.content import PARTITION, content_hashes
from ml_platform.data.lake.manifest import training_manifest
from ml_platform.data.lake.recorded import RecordedLake, recorded
from ml_platform.data.lake.tables import Lake
from ml_platform.orchestration.member_files import MEMBER, MEMBERS, OUT_OF_FOLD, member_fit_set
from ml_platform.orchestration.members import split_folds
from ml_platform.orchestration.packaging import environment, package, rows_digest
from ml_platform.orchestration.recipes import fit_models, fit_one_member
from ml_platform.orchestration.resolution import Pipeline, resolve
from ml_platform.orchestration.training_rows import FitRows, fit_rows, make_training_set
from ml_platform.registry import bundle as files
from ml_platform.registry.bundle import Bundle, open_bundle
from ml_platform.serving.predictor import Predictor
from ml_platform.training.trainer import FitSet

REFUSED = 3  # exit code of an error that the platform raised on purpose; its message is all of stderr


class Order(Record):
    """What to fit again: the bundle, the lake, the pipeline's YAML with its import name, and an empty folder.

    `spec_digest` and `code_version` are those that its training set was made with: of a member, those of the ensemble.
    """

    bundle: Path
    lake: str
    spec_digest: str
    code_version: str
    path: Path
    package: str
    folder: Path


class Refitted(Record):
    """What came out: which rows, from which tables, and how far predictions for the holdout differ."""

    bundle: Path
    rows_digest: str
    training_manifest: str
    training_set: Content
    holdout_rows: int
    largest_difference: float
    environment: dict[str, str]


def refit(order: Order) -> Refitted:
    """Make the training set and the bundle again.

    Raises
    ------
    NotReproducible
        If the bundle does not say what was fitted.
    """
    bundle = open_bundle(order.bundle)
    fit, manifest = read_fit(bundle), bundle.manifest
    pipeline = _as_it_was(order, bundle, fit)
    lake = _pinned(order, bundle)
    rows = make_training_set(pipeline, lake, manifest.as_of)
    made = training_manifest(lake, pipeline.name, manifest.as_of)
    learnt = fit_rows(pipeline, rows)
    fits = _fitted(bundle, learnt, pipeline.spec, fit)
    again = package(pipeline, lake, manifest.as_of, learnt, fit, fits, order.folder)
    holdout = learnt.parts.filter(pl.col("part") == "holdout")
    return Refitted(
        bundle=again.root,
        rows_digest=rows_digest(learnt.parts, pipeline.spec.key),
        training_manifest=made.digest,
        training_set=_content(rows, manifest.as_of),
        holdout_rows=len(holdout),
        largest_difference=_largest_difference(bundle, again, holdout),
        environment=environment(),
    )


def read_fit(bundle: Bundle) -> Fit:
    """Give what a bundle's model was fitted with.

    Raises
    ------
    NotReproducible
        If it does not say.
    """
    if files.FIT not in bundle.manifest.files:
        raise NotReproducible.because(
            f"bundle {bundle.root}", got=f"no {files.FIT}", expected="the models and parameters that were fitted",
            hint="it was made before bundles kept them: train a new version",
        )  # fmt: skip
    return Fit.model_validate(bundle.read_json(files.FIT))


def _pinned(order: Order, bundle: Bundle) -> RecordedLake:
    """Give the lake as the fit of a bundle saw it."""
    said = {"spec_digest": order.spec_digest, "code_version": order.code_version}
    return recorded(Lake(order.lake), said, {each.table: each.version for each in bundle.manifest.data})


def load_pipeline(path: Path, package: str) -> Pipeline:
    """Resolve the pipeline of a YAML file as it is now."""
    return resolve(yaml.safe_load(path.read_text(encoding="utf-8"))["attributes"], path, package)


def _as_it_was(order: Order, bundle: Bundle, fit: Fit) -> Pipeline:
    present = load_pipeline(order.path, order.package)
    declared = present.spec.model_dump(mode="json", by_alias=True) | fit.spec
    return replace(present, spec=PipelineSpec.model_validate(declared), plan=Predictor.load(bundle).plan)


def _fitted(bundle: Bundle, rows: FitRows, spec: PipelineSpec, fit: Fit) -> FitSet:
    """Fit what the bundle holds: a model, an ensemble with all its members, or a member with what its folds said."""
    held, as_of = bundle.manifest.files, bundle.manifest.as_of
    if MEMBER in held:
        [model] = fit.models.values()
        folds = split_folds(spec, rows.parts, as_of) if OUT_OF_FOLD in held else ()
        return member_fit_set(fit_one_member(spec, model, rows, folds))
    fits = fit_models(rows, spec, fit, as_of)
    named = {name: bundle.read_bytes(name) for name in (MEMBERS,) if name in held}  # whose versions it joined
    served = replace(fits.served, files=fits.served.files | named)
    return replace(fits, served=served) if fits.is_refit else FitSet.of_one(served)


def _content(rows: pl.DataFrame, as_of: str) -> Content:
    marked = rows.with_columns(pl.lit(as_of).alias(PARTITION))
    return Content(hash=content_hashes(marked, [as_of])[as_of], rows=len(rows))


def _largest_difference(then: Bundle, now: Bundle, features: pl.DataFrame) -> float:
    first, second = (Predictor.load(each).predict(features) for each in (then, now))
    return float(np.abs(first - second).max(initial=0)) if first.shape == second.shape else float("inf")


def main() -> None:
    """Carry out the order on stdin; the result goes to stdout, as JSON."""
    try:
        done = refit(Order.model_validate_json(sys.stdin.read()))
    except PlatformError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}")
        raise SystemExit(REFUSED) from None
    sys.stdout.write(done.model_dump_json())


if __name__ == "__main__":
    main()

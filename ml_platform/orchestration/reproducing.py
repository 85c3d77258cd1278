"""Reproducing a version: its tables read again, its model fitted again in a clean process, and all of it compared."""

import hashlib
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ml_platform.contracts.errors import NotReproducible
from ml_platform.contracts.ports import ModelStore
from ml_platform.contracts.records import Certificate, Content, Difference, ModelVersion, TrainingManifest
from ml_platform.contracts.spec import Fit, PipelineSpec
from ml_platform.data.lake.rereading import SHOWN, kept_training_set, require_readable, reread, told, written_since
from ml_platform.data.lake.tables import Lake
from ml_platform.orchestration.code_versions import code_version
from ml_platform.orchestration.members import owner_of
from ml_platform.orchestration.refitting import Order, Refitted, load_pipeline, read_fit
from ml_platform.orchestration.resolution import Pipeline
from ml_platform.orchestration.spec_paths import specs_by_path
from ml_platform.registry import bundle as files
from ml_platform.registry.bundle import Bundle, open_bundle

MACHINE = ("cpu", "cpus", "machine", "platform", "python")
TAIL = 2000


def reproduce(path: Path, package: str, version: ModelVersion, lake: Lake, models: ModelStore) -> Certificate:
    """Fit a version again from what its bundle names, and keep with it a certificate of what came of it.

    Parameters
    ----------
    path : Path
        The YAML file of its pipeline, as it is now.
    package : str
        Import name of the file's folder.
    version : ModelVersion
        Of the pipeline, or of a member of its ensemble.

    Raises
    ------
    SpecError
        If the pipeline is not sound now.
    BundleDamaged
        If the version's bundle is not what was registered.
    NotReproducible
        If something it was fitted from is gone, or the fit fails.
    """
    pipeline = load_pipeline(path, package)
    bundle = open_bundle(models.bundle(version), version.digest)
    fit, table = read_fit(bundle), pipeline.table("training_set")
    manifest, training_set = kept_training_set(lake, table, bundle.manifest.training_manifest, version.as_of)
    for each in bundle.manifest.data:
        require_readable(lake, each.table, each.version)
    damaged = [difference for each in manifest.tables for difference in reread(lake, each)]
    with TemporaryDirectory(prefix="ml_platform_reproduce_") as folder:
        done = _in_a_clean_process(
            Order(
                bundle=bundle.root, lake=lake.root, spec_digest=manifest.spec_digest, path=path, package=package,
                code_version=manifest.code_version, folder=Path(folder),
            )
        )  # fmt: skip
        broken = [*damaged, *_broken(bundle, done, table, training_set)]
    then = {**models.environment(version), **bundle.manifest.libraries, "code": bundle.manifest.code_version}
    certificate = Certificate(
        pipeline=version.pipeline, version=version.version, digest=version.digest, as_of=version.as_of,
        at=datetime.now(UTC), tables=bundle.manifest.data, rows=done.holdout_rows,
        largest_difference=done.largest_difference, then=then, now={**done.environment, "code": code_version()},
        broken=tuple(broken), changed=tuple(_changed(pipeline, version, bundle, fit, then, done, lake, manifest)),
    )  # fmt: skip
    models.certify(version, certificate)
    return certificate


def _in_a_clean_process(order: Order) -> Refitted:
    command = [sys.executable, "-m", "ml_platform.orchestration.refitting"]
    done = subprocess.run(command, input=order.model_dump_json(), capture_output=True, text=True, check=False)  # noqa: S603 - our own module
    if done.returncode:
        raise NotReproducible.because(
            f"fit of {order.bundle}", got=done.stderr[-TAIL:].strip() or f"exit code {done.returncode}",
            expected="the fit to come to its end", hint="mend what it names, then reproduce again",
        )  # fmt: skip
    return Refitted.model_validate_json(done.stdout)


def _broken(bundle: Bundle, done: Refitted, table: str, training_set: Content) -> Iterator[Difference]:
    """Compare what came out with what was registered: rows first, then files, then predictions."""
    manifest, name = bundle.manifest, f"{table}[{bundle.manifest.as_of}]"
    if training_set != done.training_set or manifest.rows_digest != done.rows_digest:
        yield Difference(kind="table", name=name, then=told(training_set), now=told(done.training_set))
    then, now = {f"manifest of {name}": manifest.training_manifest}, {f"manifest of {name}": done.training_manifest}
    yield from _between("table", then, now, SHOWN)
    yield from _between("file", manifest.files, open_bundle(done.bundle).manifest.files, SHOWN)
    if done.largest_difference > 0:
        yield Difference(
            kind="predictions", name=f"{done.holdout_rows} rows of the holdout", then="0",
            now=f"apart by up to {done.largest_difference:.3g}",
        )  # fmt: skip


def _changed(
    pipeline: Pipeline, version: ModelVersion, bundle: Bundle, fit: Fit, then: Mapping[str, str], done: Refitted,
    lake: Lake, manifest: TrainingManifest,
) -> Iterator[Difference]:  # fmt: skip
    """Name what is not as it was at the fit, whether it mattered or not."""
    machine = {name: then[name] for name in MACHINE if name in then}
    yield from _between("machine", machine, {name: done.environment[name] for name in machine})
    libraries = {name: at for name, at in then.items() if name not in (*MACHINE, "code")}
    yield from _between("library", libraries, {name: done.environment.get(name) for name in libraries})
    yield from _between("code", {"ml_platform": then["code"]}, {"ml_platform": code_version()})
    code = {"then": bundle.manifest.files.get(files.FEATURE_CODE), "now": _sha256(pipeline.plan.code)}
    yield from _between("features", {files.FEATURE_CODE: code["then"]}, {files.FEATURE_CODE: code["now"]}, SHOWN)
    yield from _between("parameter", *specs_by_path(fit, _declared(pipeline.spec, version)))
    for each in manifest.tables:
        yield from written_since(lake, each)


def _declared(spec: PipelineSpec, version: ModelVersion) -> PipelineSpec:
    """Give what is declared now of a version: all of it, or of a member what it is fitted as."""
    _, member = owner_of(version.pipeline)
    if member is None:
        return spec
    own = {name: model for name, model in spec.models.items() if name == member}
    return spec.model_copy(update={"models": own, "ensemble": None})


def _between(
    kind: Any, then: Mapping[str, str | None], now: Mapping[str, str | None], shown: int | None = None
) -> Iterator[Difference]:
    for name in {**then, **now}:
        before, after = then.get(name), now.get(name)
        if before != after:
            yield Difference(kind=kind, name=name, then=before and before[:shown], now=after and after[:shown])


def _sha256(text: str | None) -> str | None:
    return None if text is None else hashlib.sha256(text.encode()).hexdigest()

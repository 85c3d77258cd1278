"""Versions and aliases in MLflow's model registry; each version is a standard MLflow model that carries its bundle.

A version is its bundle's digest: registering the same content again gives the version that is there, and whatever is
done to a version is done to the registered one of this content, whatever its number and tags say by now.
"""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ml_platform.contracts.errors import BundleDamaged, VersionNotFound
from ml_platform.contracts.evaluations import Evaluation
from ml_platform.contracts.records import Certificate, ModelVersion, SignatureField
from ml_platform.registry import registration
from ml_platform.registry.bundle import DECISION, EXAMPLE, MODEL, SIGNATURE, Bundle, copy_bundle, open_bundle
from ml_platform.registry.registered_versions import (
    AS_OF,
    BUNDLE,
    DIGEST,
    RegisteredVersions,
    keeping,
    not_registered,
    number_of,
)
from ml_platform.registry.run_files import read_run_file

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion as MlflowVersion

MLFLOW_TYPES = {"string": "string", "int64": "long", "float64": "double", "bool": "boolean", "timestamp": "datetime"}
ENVIRONMENT = "environment.json"
DESCRIPTION_AT_MOST = 5000  # characters that MLflow's tables hold


@dataclass(frozen=True)
class MlflowStore:
    """Model versions in MLflow; implements `contracts.ports.ModelStore`.

    Parameters
    ----------
    url : str
        MLflow tracking and registry URI.
    cache : Path
        Where bundles are downloaded to, by digest.
    loader : Path
        The script that MLflow runs to load a version (models from code: nothing is pickled).
    """

    url: str
    cache: Path
    loader: Path

    def register(
        self, pipeline: str, bundle: Path, *, as_of: str, digest: str, run_id: str,
        taken: Mapping[int, str] | None = None,
    ) -> ModelVersion:  # fmt: skip
        """Register a bundle under the MLflow run, or return the version that already holds this very bundle.

        Parameters
        ----------
        taken : mapping of int to str, optional
            The digest that each number names in the ledger; a new version gets its own number there, or a higher one.
        """
        used = dict(taken or {})
        own = next((number for number, named in used.items() if named == digest), 0)
        asked = ModelVersion(pipeline=pipeline, version=own, digest=digest, as_of=as_of, run_id=run_id)
        with registration.one_at_a_time(self.cache.parent / "locks" / f"{pipeline}.lock"):
            version = registration.choose(self._registry.find_all(asked), digest, used)
            if version is None:
                model = self._log(open_bundle(bundle, digest), run_id)
                version = registration.create_settled(self._registry, asked, model, used)
            registration.repair_tags(self._client, version, {AS_OF: as_of, DIGEST: digest})
        return _record(version).model_copy(update={AS_OF: as_of, DIGEST: digest})

    def version(self, pipeline: str, version: int) -> ModelVersion:
        """Give one version.

        Raises
        ------
        VersionNotFound
            If there is none of that number.
        """
        found = {int(each.version): each for each in self._registry.search(pipeline)}
        if version not in found:
            expected = f"one of {sorted(found) or 'none yet'}"
            raise VersionNotFound.because(
                f"{pipeline} version", got=version, expected=expected, hint="materialize candidate"
            )
        return _record(found[version])

    def versions(self, pipeline: str, as_of: str) -> list[ModelVersion]:
        """Give the versions of an as-of partition, the newest first."""
        found = [_record(each) for each in self._registry.search(pipeline)]
        return sorted((each for each in found if each.as_of == as_of), key=lambda each: -each.version)

    def newest(self, pipeline: str, as_of: str | None = None) -> ModelVersion | None:
        """Give the newest version of an as-of partition; without one, that of the newest as-of."""
        found = [_record(each) for each in self._registry.search(pipeline)]
        wanted = [each for each in found if as_of in (None, each.as_of)]
        return max(wanted, key=lambda each: (each.as_of, each.version), default=None)

    def listed(self, pipeline: str) -> list[ModelVersion]:
        """Return every version of a pipeline by its number and tags there: other people's versions are among them.

        Raises
        ------
        RegistryError
            If MLflow cannot be read.
        """
        return [_record(each) for each in self._registry.listed(pipeline)]

    def holds(self, version: ModelVersion) -> bool:
        """Check whether a bundle of the version's digest is registered, under whatever number and tags."""
        return self._registry.find(version) is not None

    def registered(self) -> list[ModelVersion]:
        """Give every version of every pipeline.

        Raises
        ------
        RegistryError
            If MLflow cannot be read; a database that is not there counts as that, not as an empty one.
        """
        return [record for each in self._registry.listed() if (record := _record(each)).digest]

    def bundle(self, version: ModelVersion) -> Path:
        """Return a local folder with the version's bundle: downloaded once, and again if damaged; verified each time.

        Raises
        ------
        VersionNotFound
            If no registered version may be it.
        BundleDamaged
            If what the registry holds is not what was registered.
        """
        place = self.cache / version.digest
        with suppress(BundleDamaged):  # or not there yet
            return open_bundle(place, version.digest).root
        faults: list[Exception] = []
        for each in self._registry.candidates(version):
            with keeping(faults):
                return self._registry.download(each, version.digest, place)
        raise faults[0] if faults else not_registered(version)

    def note(self, version: ModelVersion, evaluation: Evaluation) -> None:
        """Show outcome and verdicts as tags and description of the version."""
        number = self._registry.require(version)
        self._client.set_model_version_tag(version.pipeline, number, "gates", evaluation.outcome)
        lines = [f"- **{verdict.outcome}** {verdict.sentence}" for verdict in evaluation.verdicts]
        self._client.update_model_version(version.pipeline, number, "\n".join(lines))

    def environment(self, version: ModelVersion) -> Mapping[str, str]:
        """Give what the version's MLflow run noted of machine and libraries; empty if nothing."""
        return read_run_file(self._client, version.run_id, ENVIRONMENT) or {}

    def certify(self, version: ModelVersion, certificate: Certificate) -> None:
        """Keep the certificate in the version's MLflow run, and tag the version with what it says."""
        self._client.log_dict(version.run_id, certificate.model_dump(mode="json"), _certificate_file(version))
        said = "equal" if certificate.is_equal else "differs"
        self._client.set_model_version_tag(version.pipeline, self._registry.require(version), "reproduced", said)

    def certificate(self, version: ModelVersion) -> Certificate | None:
        """Give the newest certificate of a version, if there is one."""
        found = read_run_file(self._client, version.run_id, _certificate_file(version))
        return None if found is None else Certificate.model_validate(found)

    def describe(self, version: ModelVersion, text: str) -> None:
        """Make a text in Markdown the version's description, whole lines of it."""
        kept = text if len(text) <= DESCRIPTION_AT_MOST else text[:DESCRIPTION_AT_MOST].rpartition("\n")[0]
        self._client.update_model_version(version.pipeline, self._registry.require(version), kept)

    def amend(self, version: ModelVersion, old: str, new: str) -> None:
        """Replace a text in the description of a version; does nothing where either is gone."""
        for each in self._registry.search(version.pipeline):
            text = each.description or ""
            if each.tags.get(DIGEST) == version.digest and old in text:
                self._client.update_model_version(each.name, str(each.version), text.replace(old, new))

    def set_alias(self, version: ModelVersion, alias: str) -> None:
        """Point an alias at a version."""
        self._client.set_registered_model_alias(version.pipeline, alias, self._registry.require(version))

    def drop_alias(self, version: ModelVersion, alias: str) -> None:
        """Take an alias off a version; does nothing if it points elsewhere."""
        found = self._registry.find(version)
        if found is not None and self.aliases(version.pipeline).get(alias) == number_of(found):
            self._client.delete_registered_model_alias(version.pipeline, alias)

    def remove_alias(self, pipeline: str, alias: str) -> None:
        """Remove an alias, whatever it points at; does nothing if there is none."""
        if alias in self.aliases(pipeline):
            self._client.delete_registered_model_alias(pipeline, alias)

    def aliases(self, pipeline: str) -> Mapping[str, int]:
        """Return the registry's number for each alias; empty when the pipeline has no versions."""
        models = self._client.search_registered_models(filter_string=f"name = '{pipeline}'")
        return {alias: int(version) for model in models for alias, version in model.aliases.items()}

    @cached_property
    def _registry(self) -> RegisteredVersions:
        return RegisteredVersions(self.url)

    @property
    def _client(self) -> "MlflowClient":
        return self._registry.client

    def _log(self, bundle: Bundle, run_id: str) -> Any:
        import mlflow

        mlflow.set_tracking_uri(self.url)
        active = mlflow.active_run()
        if active is None or active.info.run_id != run_id:
            raise VersionNotFound.because(
                "MLflow run",
                got=active and active.info.run_id,
                expected=run_id,
                hint="register inside the run that trained",
            )
        with TemporaryDirectory() as staged:
            placed = copy_bundle(bundle, Path(staged) / BUNDLE)  # MLflow keeps an artifact under its folder's own name
            return mlflow.pyfunc.log_model(
                name="model",
                python_model=os.fspath(self.loader),
                artifacts={BUNDLE: os.fspath(placed.root)},
                signature=_signature(bundle),
                input_example=_example(bundle),
                pip_requirements=[f"{name}=={version}" for name, version in bundle.manifest.libraries.items()],
            )


def _certificate_file(version: ModelVersion) -> str:
    return f"reproduction/{version.pipeline}_v{version.version}.json"  # one run may hold several versions and members


def _record(version: "MlflowVersion") -> ModelVersion:
    return ModelVersion(
        pipeline=version.name,
        version=number_of(version),
        digest=version.tags.get(DIGEST, ""),
        as_of=version.tags.get(AS_OF, ""),
        run_id=version.run_id or "",
    )


def _signature(bundle: Bundle) -> Any:
    """Return MLflow's signature of a version.

    A field that may be null is of any type to MLflow: each of its own types refuses some of NaN, NA, None, or integers
    that have no gap this time. The loader checks the values, and names what does not fit.
    """
    from mlflow.models import ModelSignature
    from mlflow.types.schema import AnyType, ColSpec, Schema

    inputs = Schema(
        [
            ColSpec(AnyType() if field.nullable else MLFLOW_TYPES[field.type], field.name, required=not field.nullable)
            for field in _fields(bundle)
        ]
    )
    columns = output_columns(bundle.read_json(MODEL), decides=DECISION in bundle.manifest.files)
    outputs = [ColSpec(dtype, name) for name, dtype in columns.items()]
    return ModelSignature(inputs=inputs, outputs=Schema([*outputs]))


def output_columns(description: Mapping[str, Any], *, decides: bool = False) -> dict[str, str]:
    """Give the columns that a version answers with through MLflow, by the description of its model.

    `prediction`; beside it the `decision` where the bundle decides, and of several classes, whose likeliest it is, the
    probability of each.
    """
    classes = description.get("classes")
    if not classes:
        return {"prediction": "double"} | ({"decision": "boolean"} if decides else {})
    kind = "string" if isinstance(classes[0], str) else "long"
    return {"prediction": kind, **{f"probability_{label}": "double" for label in classes}}


def _fields(bundle: Bundle) -> list[SignatureField]:
    return [SignatureField.model_validate(field) for field in bundle.read_json(SIGNATURE)]


def _example(bundle: Bundle) -> Any:
    """Return the example rows as a pandas frame; a column that may be null keeps its values as they are."""
    import pandas as pd

    rows = json.loads(bundle.read_bytes(EXAMPLE))["rows"]
    columns: dict[str, Any] = {}
    for field in _fields(bundle):
        values = pd.Series([row[field.name] for row in rows], dtype=object)
        if not field.nullable and field.type == "timestamp":  # MLflow's datetime has no zone: UTC, written without it
            values = pd.to_datetime(values, utc=True).dt.tz_localize(None)
        columns[field.name] = values if field.nullable else values.infer_objects()
    return pd.DataFrame(columns)

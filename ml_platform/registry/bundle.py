"""The bundle: one model version as a folder of plain files, sealed by the hashes in its manifest.

The digest of the manifest names the bundle everywhere (registry, ledger, server). Equal content gives an equal digest,
so the manifest holds no clock times. Needs no MLflow: the server opens bundles too.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from pydantic import ValidationError

from ml_platform.contracts.errors import BundleDamaged
from ml_platform.contracts.records import Instant, Record, TableVersion

MANIFEST = "manifest.json"
MODEL = "model.json"  # describes the model and names its files
ENCODER = "encoder.json"
FEATURES = "features.json"
FEATURE_CODE = "features.py"  # only where the author has feature code
SIGNATURE = "signature.json"  # list of SignatureField
REFERENCE = "reference.json"  # profile of the training rows
EXAMPLE = "example.json"  # {"rows": [raw rows], "predictions": [...]}
FIT = "fit.json"  # models and parameters that were fitted, see `contracts.spec.Fit`
SERVING = "serving.json"  # {"batch_at_most": 1000}; optional
DECISION = "decision.json"  # {"threshold": 0.31}; optional: from which probability on the answer is yes
LOOKUPS = "lookups"  # folder of Arrow files
FitName = Literal["served", "judged", "tuning"]  # the last two have a folder each, where the recipe was refitted
DEPTH_AT_MOST = 3  # folders and file: `judged/member_gbm/model.txt`


def lookup_file(name: str) -> str:
    """Name the file of a lookup's snapshot as of the bundle's as-of (Arrow IPC)."""
    return f"{LOOKUPS}/{name}.arrow"


class Manifest(Record):
    """What a bundle holds and what it was made from.

    Parameters
    ----------
    format : int
        Version of this layout.
    pipeline, as_of : str
        Whose model, and the partition up to which things were known.
    kind : str
        Kind of model, as in the spec.
    spec_digest, code_version : str
        What was declared, and which code ran.
    rows_digest : str
        Which rows it was trained, stopped and held out on.
    data : tuple of TableVersion
        Lake tables the model was trained from.
    learnt_until : datetime or None
        The instant from which on the version that serves has learnt nothing; None of a bundle that does not know it.
    newest_learnt_at : datetime or None
        Event time of the newest row that it has learnt from.
    learnt_rows : int or None
        How many rows it has learnt from.
    training_manifest : str or None
        Digest of what its training set was made from; the manifest itself stands with the training set.
    libraries : dict of str to str
        Name -> version of what reads or wrote the model.
    files : dict of str to str
        File -> SHA-256 in hex, for every file but the manifest.
    """

    format: Literal[1] = 1
    pipeline: str
    as_of: str
    kind: str
    spec_digest: str
    code_version: str
    rows_digest: str
    data: tuple[TableVersion, ...]
    learnt_until: Instant | None = None
    newest_learnt_at: Instant | None = None
    learnt_rows: int | None = None
    training_manifest: str | None = None
    libraries: dict[str, str]
    files: dict[str, str]

    def to_bytes(self) -> bytes:
        """Give the content of `manifest.json`, the same bytes for the same content."""
        return (json.dumps(self.model_dump(mode="json", exclude_none=True), sort_keys=True, indent=2) + "\n").encode()


@dataclass(frozen=True)
class Bundle:
    """An opened bundle; `digest` is the SHA-256 of its manifest."""

    root: Path
    manifest: Manifest
    digest: str

    def read_bytes(self, name: str) -> bytes:
        """Read one file.

        Raises
        ------
        BundleDamaged
            If the manifest does not name it, or it is missing or changed.
        """
        expected = self.manifest.files.get(name)
        if expected is None:
            raise _damaged(self.root, name, got="no such file in the manifest", expected="a file of the manifest")
        content = _read(self.root, name)
        if (got := sha256(content)) != expected:
            raise _damaged(self.root, name, got=f"SHA-256 {got}", expected=expected)
        return content

    def read_json(self, name: str) -> Any:
        """Read one JSON file; raises like `read_bytes`."""
        return json.loads(self.read_bytes(name))

    @property
    def is_refit(self) -> bool:
        """Whether the fit that serves and the one that was judged are two."""
        return f"judged/{MODEL}" in self.manifest.files

    def reader(self, fit: FitName) -> Callable[[str], bytes]:
        """Return what reads the files of one fit: its model, the model's own files, and its encoder."""
        folder = "" if fit == "served" or not self.is_refit else f"{fit}/"
        return lambda name: self.read_bytes(f"{folder}{name}")

    @property
    def lookups(self) -> list[str]:
        """Names of the lookups with a snapshot, sorted."""
        paths = [PurePosixPath(name) for name in self.manifest.files]
        return sorted(path.stem for path in paths if path.parent == PurePosixPath(LOOKUPS))


def sha256(content: bytes) -> str:
    """Give the SHA-256 in hex."""
    return hashlib.sha256(content).hexdigest()


def write_bundle(root: Path, files: Mapping[str, bytes], **fields: Any) -> Bundle:
    """Write a bundle as a whole: after a crash `root` is as before, missing, or complete, never half.

    Parameters
    ----------
    root : Path
        Folder of the bundle; what stands there is replaced, unless it is this very bundle.
    files : mapping of str to bytes
        Content by name; a name may have up to two sub folders.
    **fields
        The manifest's fields except `files`.

    Raises
    ------
    BundleDamaged
        If a file's name is not allowed.
    """
    for name in files:
        _check_name(root, name)
    manifest = Manifest(files={name: sha256(content) for name, content in sorted(files.items())}, **fields)
    content = manifest.to_bytes()
    root.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root.parent, prefix=".staged-") as folder:
        staged = Path(folder) / "bundle"
        for name, data in {**files, MANIFEST: content}.items():
            (staged / name).parent.mkdir(parents=True, exist_ok=True)
            (staged / name).write_bytes(data)
        _put(staged, root, sha256(content))
    return Bundle(root, manifest, sha256(content))


def copy_bundle(bundle: Bundle, root: Path) -> Bundle:
    """Copy a bundle to another folder as a whole, verified on the way; the same bundle already there is left alone."""
    files = {name: bundle.read_bytes(name) for name in bundle.manifest.files}
    return write_bundle(root, files, **bundle.manifest.model_dump(exclude={"files"}))


def open_bundle(root: Path, digest: str | None = None) -> Bundle:
    """Open a bundle and verify all of it.

    Parameters
    ----------
    root : Path
        Its folder.
    digest : str, optional
        What the manifest's SHA-256 must be.

    Raises
    ------
    BundleDamaged
        Naming the file that is missing, changed, not in the manifest or badly named.
    """
    content = _read(root, MANIFEST)
    got = sha256(content)
    if digest is not None and got != digest:
        raise _damaged(root, MANIFEST, got=f"digest {got}", expected=digest)
    try:
        manifest = Manifest.model_validate_json(content)
    except ValidationError as error:
        raise _damaged(
            root, MANIFEST, got=f"{error.error_count()} faults: {error.errors()[0]['msg']}", expected="a manifest"
        ) from error
    bundle = Bundle(root, manifest, got)
    for name in manifest.files:
        _check_name(root, name)
        bundle.read_bytes(name)
    present = {path.relative_to(root).as_posix() for path in root.rglob("*") if not path.is_dir() or path.is_symlink()}
    if extra := present - {*manifest.files, MANIFEST}:
        raise _damaged(root, min(extra), got="a file that the manifest does not name", expected="no such file")
    return bundle


def _damaged(root: Path, name: str, *, got: object, expected: object) -> BundleDamaged:
    hint = "write or deploy the bundle again; never edit one"
    return BundleDamaged.because(f"{name} in bundle {root}", got=got, expected=expected, hint=hint)


def _read(root: Path, name: str) -> bytes:
    path = root / name
    if path.is_symlink() or not path.is_file():
        raise _damaged(root, name, got="no regular file", expected="one")
    return path.read_bytes()


def _check_name(root: Path, name: str) -> None:
    path = PurePosixPath(name)
    is_plain = path.as_posix() == name and not path.is_absolute() and ".." not in path.parts and "\\" not in name
    if not is_plain or not 1 <= len(path.parts) <= DEPTH_AT_MOST or name in ("", ".", MANIFEST):
        raise _damaged(root, repr(name), got="a name that is not allowed", expected="a file in at most two folders")


def _put(staged: Path, root: Path, digest: str) -> None:
    """Move the staged folder to its place; a sound bundle that is already there stays, anything else is set aside."""
    if root.exists():
        try:
            open_bundle(root, digest)
        except BundleDamaged:
            root.rename(staged.parent / "before")
        else:
            return
    try:
        os.replace(staged, root)  # noqa: PTH105 - the name that says it is atomic
    except OSError:
        open_bundle(root, digest)  # another writer was faster; fine if it wrote the same
        shutil.rmtree(staged)

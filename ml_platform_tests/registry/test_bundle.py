"""The bundle: equal content has an equal digest, and any change is noticed and named."""

from pathlib import Path

import pytest

from ml_platform.contracts.errors import BundleDamaged
from ml_platform.contracts.records import TableVersion
from ml_platform.registry.bundle import Bundle, copy_bundle, open_bundle, write_bundle

FIELDS = {
    "pipeline": "parcels",
    "as_of": "2013-07-01",
    "kind": "lightgbm",
    "spec_digest": "0" * 64,
    "rows_digest": "0" * 64,
    "code_version": "1",
    "data": (TableVersion(table="raw", version=3, rows=10),),
    "libraries": {"lightgbm": "4"},
}
FILES = {"model.txt": b"tree", "encoder.json": b'{"a": 1}', "lookups/road.arrow": b"ARROW1"}


def _write(root: Path, **changed: bytes) -> Bundle:
    return write_bundle(root, FILES | changed, **FIELDS)


def test_written_is_opened(tmp_path: Path) -> None:
    """All content and the digest come back."""
    written = _write(tmp_path / "b")
    opened = open_bundle(tmp_path / "b", written.digest)
    assert opened == written
    assert opened.read_bytes("model.txt") == b"tree"
    assert opened.read_json("encoder.json") == {"a": 1}
    assert opened.lookups == ["road"]
    assert opened.manifest.data == FIELDS["data"]


def test_equal_content_has_an_equal_digest(tmp_path: Path) -> None:
    """Place, order and time of writing do not matter; content does."""
    reordered = write_bundle(tmp_path / "c", dict(reversed(FILES.items())), **FIELDS)
    assert _write(tmp_path / "b").digest == reordered.digest
    assert _write(tmp_path / "d", model__txt=b"").digest != reordered.digest


def test_copy_is_the_same_bundle(tmp_path: Path) -> None:
    """A deployed copy has the digest of its source, and copying twice changes nothing."""
    source = _write(tmp_path / "b")
    for _ in range(2):
        assert copy_bundle(source, tmp_path / "deep" / "c").digest == source.digest
    assert open_bundle(tmp_path / "deep" / "c", source.digest).manifest == source.manifest


@pytest.mark.parametrize("name", ["model.txt", "lookups/road.arrow"])
def test_changed_and_missing_files_are_named(tmp_path: Path, name: str) -> None:
    """One byte is enough."""
    digest = _write(tmp_path / "b").digest
    path = tmp_path / "b" / name
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(BundleDamaged, match=f"{name} in bundle .* got SHA-256"):
        open_bundle(tmp_path / "b", digest)
    path.unlink()
    with pytest.raises(BundleDamaged, match=f"{name} in bundle .* got no regular file"):
        open_bundle(tmp_path / "b", digest)


def test_extra_file_is_named(tmp_path: Path) -> None:
    """Nothing rides along unhashed, in whatever folder."""
    _write(tmp_path / "b")
    (tmp_path / "b" / "lookups" / "more.arrow").write_bytes(b"")
    with pytest.raises(BundleDamaged, match=r"lookups/more\.arrow in bundle"):
        open_bundle(tmp_path / "b")


def test_link_is_refused(tmp_path: Path) -> None:
    """A link to the very same bytes could change later."""
    _write(tmp_path / "b")
    (tmp_path / "b" / "model.txt").rename(tmp_path / "elsewhere")
    (tmp_path / "b" / "model.txt").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleDamaged, match=r"model\.txt"):
        open_bundle(tmp_path / "b")


def test_another_digest_is_refused(tmp_path: Path) -> None:
    """A sound bundle that is not the one asked for is damage too."""
    _write(tmp_path / "b")
    with pytest.raises(BundleDamaged, match=r"manifest\.json in bundle .* got digest .* expected 1111"):
        open_bundle(tmp_path / "b", "1" * 64)


@pytest.mark.parametrize("content", [b"", b"[]", b'{"format": 2}'])
def test_unreadable_manifest_is_named(tmp_path: Path, content: bytes) -> None:
    """Nothing is guessed from a manifest that is none."""
    _write(tmp_path / "b")
    (tmp_path / "b" / "manifest.json").write_bytes(content)
    with pytest.raises(BundleDamaged, match=r"manifest\.json in bundle .* expected a manifest"):
        open_bundle(tmp_path / "b")
    with pytest.raises(BundleDamaged, match=r"manifest\.json in bundle .* got no regular file"):
        open_bundle(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../x", "a/b/c/d", "a\\b", "", ".", "a//b", "manifest.json"])
def test_names_outside_are_refused(tmp_path: Path, name: str) -> None:
    """Neither written nor read from a manifest that says so."""
    with pytest.raises(BundleDamaged, match="a name that is not allowed"):
        _write(tmp_path / "b", **{name: b"x"})
    bundle = _write(tmp_path / "b")
    manifest = bundle.manifest.model_copy(update={"files": {name: "0" * 64}})
    (tmp_path / "b" / "manifest.json").write_bytes(manifest.to_bytes())
    with pytest.raises(BundleDamaged, match="a name that is not allowed"):
        open_bundle(tmp_path / "b")


def test_damaged_bundle_is_written_again(tmp_path: Path) -> None:
    """Writing mends what a crash or a person left; nothing staged stays behind."""
    digest = _write(tmp_path / "b").digest
    (tmp_path / "b" / "model.txt").write_bytes(b"broken")
    assert _write(tmp_path / "b").digest == digest
    assert open_bundle(tmp_path / "b", digest).read_bytes("model.txt") == b"tree"
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_file_outside_the_manifest_is_not_read(tmp_path: Path) -> None:
    """`read_bytes` gives only what is sealed."""
    with pytest.raises(BundleDamaged, match=r"features\.py in bundle .* got no such file in the manifest"):
        _write(tmp_path / "b").read_bytes("features.py")

"""Files lie on any file system: what its driver says is told in our words, without secrets, with what to install."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import fsspec
import httpx
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from ml_platform.contracts.errors import PlatformError, SourceUnreadable
from ml_platform.contracts.spec import FilesSource
from ml_platform.data.sources.locations import Location
from ml_platform_tests.data.sources import DAYS, HEADER, files_reader

ROW = "{id},{day},1,1\n"
SECRET = "s3cr3t-k3y"  # noqa: S105 - of no account


@pytest.fixture
def memory() -> Iterator[MemoryFileSystem]:
    """Give a file system in memory with a file for each day."""
    files: MemoryFileSystem = fsspec.filesystem("memory")
    for day in DAYS:
        files.pipe(f"/rides/{day}.csv", (HEADER + ROW.format(id=f"r{day[-1]}", day=day)).encode())
    yield files
    files.rm("/rides", recursive=True)


@pytest.mark.parametrize("path", ["memory://rides/*.csv", "memory://rides/{partition}.csv"])
def test_files_of_a_url_are_read_like_local_ones(memory: MemoryFileSystem, tmp_path: Path, path: str) -> None:
    """By glob or template; their origin is their URL; what came since is seen."""
    assert memory.exists("/rides")
    reader = files_reader(tmp_path, path)
    loaded = reader.load(DAYS[:2])
    assert loaded.rows["id"].to_list() == ["r1", "r2"]
    assert loaded.origins == {f"memory://rides/{day}.csv": 1 for day in DAYS[:2]}
    memory.pipe(f"/rides/{DAYS[0]}.csv", (HEADER + ROW.format(id="new", day=DAYS[0])).encode())
    assert reader.load(DAYS[:1]).rows["id"].to_list() == ["new"]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("gs://bucket/*.csv", r"Hint: pip install 'ml-platform\[gcs\]'"),
        ("az://container/*.csv", r"Hint: pip install 'ml-platform\[azure\]'"),
        ("abfs://container/*.csv", r"Hint: pip install 'ml-platform\[azure\]'"),
        ("dvc://data/*.csv", r"Hint: pip install 'ml-platform\[dvc\]'"),
        ("s3://bucket/*.csv", r"Hint: pip install 'ml-platform\[s3\]'"),
        ("nosuch://x/*.csv", r"ValueError: Protocol not known: nosuch"),
    ],
)
def test_a_missing_driver_is_named_by_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, said: str
) -> None:
    def missing(protocol: str) -> None:
        if protocol == "nosuch":
            raise ValueError(f"Protocol not known: {protocol}")
        raise ImportError(f"no driver of {protocol}")

    monkeypatch.setattr("fsspec.core.get_filesystem_class", missing)
    with pytest.raises(SourceUnreadable, match=said):
        files_reader(tmp_path, path).load(DAYS)


class _Refusing(MemoryFileSystem):
    """Fails like a store that does not like its key, and says it aloud."""

    protocol = "refusing"
    fails_at = "glob"

    def __init__(self, key: str = "", nested: Mapping[str, Any] | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.said = f"the key {key} with {nested} is not known"

    def glob(self, *_: Any, **__: Any) -> dict[str, Any]:
        if self.fails_at == "glob":
            raise PermissionError(self.said)
        return {"/x.csv": {"type": "file"}}

    def _open(self, *_: Any, **__: Any) -> Any:
        if self.fails_at == "open":
            raise RuntimeError(self.said)
        return _Breaking(self.said)


class _Breaking:
    """A file whose connection breaks while it is read."""

    def __init__(self, said: str) -> None:
        self.said = said

    def read(self, _: int) -> bytes:
        raise ConnectionResetError(self.said)

    def close(self) -> None:
        """Do nothing."""


@pytest.mark.parametrize(
    ("where", "kind"), [("glob", "PermissionError"), ("open", "RuntimeError"), ("read", "Connection")]
)
def test_what_a_store_refuses_is_told_without_its_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, kind: str
) -> None:
    """While it is listed, opened or read; the variable that holds the credentials is named."""
    fsspec.register_implementation("refusing", _Refusing, clobber=True)
    monkeypatch.setattr(_Refusing, "fails_at", where)
    options = {"key": SECRET, "nested": {"token": "t0ken-of-it"}, "skip_instance_cache": True}
    reader = files_reader(tmp_path, "refusing://*.csv", options=lambda: options, options_env="RIDES_OPTIONS")
    with pytest.raises(
        SourceUnreadable, match=rf"got {kind}.*the key \*\*\* with .* credentials .* in \$RIDES_OPT"
    ) as caught:
        reader.load(DAYS)
    assert SECRET not in str(caught.value)
    assert "t0ken" not in str(caught.value)
    assert caught.value.__suppress_context__


class _Repository(MemoryFileSystem):
    """A file system whose place is an option named `url`, as DVC's is."""

    protocol = "repository"
    cachable = False

    def __init__(self, url: str, **options: Any) -> None:
        super().__init__(**options)
        assert url == "https://example.org/rides"

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return "/" + path.removeprefix("repository://").strip("/")


def test_an_option_may_be_named_url(tmp_path: Path) -> None:
    """As that of DVC, whose paths lie in the repository that the option names."""
    fsspec.register_implementation("repository", _Repository, clobber=True)
    _Repository(url="https://example.org/rides").pipe(
        "/at-url/a.csv", (HEADER + ROW.format(id="a", day=DAYS[0])).encode()
    )
    options = {"url": "https://example.org/rides"}
    loaded = files_reader(tmp_path, "repository://at-url/*.csv", options=lambda: options).load(DAYS)
    assert loaded.rows["id"].to_list() == ["a"]


def test_options_are_asked_for_when_files_are_and_not_before(tmp_path: Path) -> None:
    """Their own fault is told as it is."""

    def unset() -> Mapping[str, Any]:
        raise PlatformError("$RIDES_OPTIONS: got nothing")

    reader = files_reader(tmp_path, options=unset)
    with pytest.raises(PlatformError, match=r"^\$RIDES_OPTIONS: got nothing$"):
        reader.load(DAYS)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").mkdir()
    for path in ("*.csv", "a.csv"):
        with pytest.raises(SourceUnreadable, match="got no file"):
            files_reader(tmp_path, path).load(DAYS)


def test_every_file_of_a_template_is_found(tmp_path: Path) -> None:
    """Whatever its partition; an absolute path is told in full, one inside the folder from there on."""
    for name in ("2013/01.csv", "2013/02.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    location = Location(FilesSource(kind="files", path="{partition:%Y/%m}.csv"), tmp_path)
    assert [each.name for each in location.every()] == ["2013/01.csv", "2013/02.csv"]
    assert location.path_of("2013-02-28") == "2013/02.csv"
    outside = Location(FilesSource(kind="files", path=f"{tmp_path}/2013/*.csv"), tmp_path / "elsewhere")
    assert [each.name for each in outside.every()] == [f"{tmp_path}/2013/01.csv", f"{tmp_path}/2013/02.csv"]


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """Give the address of a store like S3 on this machine."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:datetime.datetime.utc:DeprecationWarning")  # moto's and botocore's own
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")  # s3fs's loop
def test_files_in_s3(s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By glob and template; a bucket that is not there, a key that is not known."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    keys = {"aws_access_key_id": "suite", "aws_secret_access_key": SECRET}
    client = boto3.client("s3", endpoint_url=s3, region_name="us-east-1", **keys)
    client.create_bucket(Bucket="rides")
    for day in DAYS:
        client.put_object(Bucket="rides", Key=f"in/{day}.csv", Body=(HEADER + ROW.format(id=day[-1], day=day)).encode())
    options = {"key": "suite", "secret": SECRET, "client_kwargs": {"endpoint_url": s3}}
    for path in ("s3://rides/in/*.csv", "s3://rides/in/{partition}.csv"):
        loaded = files_reader(tmp_path, path, options=lambda: options).load(DAYS[1:])
        assert loaded.origins == {f"s3://rides/in/{day}.csv": 1 for day in DAYS[1:]}
    with pytest.raises(SourceUnreadable, match=r"source\.path s3://nowhere/x\.csv: got no file"):
        files_reader(tmp_path, "s3://nowhere/x.csv", options=lambda: options).load(DAYS)
    httpx.post(f"{s3}/moto-api/reset-auth", content="0")  # from now on the store looks at keys
    reader = files_reader(tmp_path, "s3://rides/in/*.csv", options=lambda: options, options_env="RIDES_OPTIONS")
    with pytest.raises(
        SourceUnreadable, match=r"got PermissionError: .* Hint: .* credentials .* in \$RIDES_OPT"
    ) as caught:
        reader.load(DAYS)
    assert SECRET not in str(caught.value)

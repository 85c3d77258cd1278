"""The commands `data show`, `data stale`, `lake ls`, `lake vacuum`: where data came from, what is stale or may go."""

import json
import re
from collections.abc import Iterator
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ml_platform.cli.options import PROJECT, HomeOption, package_of
from ml_platform.cli.stores import open_lake, open_models
from ml_platform.contracts.errors import PartitionMissing, SpecError, examples
from ml_platform.contracts.home import Home

if TYPE_CHECKING:
    from ml_platform.data.lake.provenance import Origin
    from ml_platform.data.lake.tables import Lake

STAGES = ("training_set", "features", "validated", "raw")
SHOWN = 5
JsonOption = Annotated[bool, typer.Option("--json", help="As JSON.")]
TablesOption = Annotated[
    list[str] | None, typer.Option("--table", help="Only this table; may be given again. Needed in an object store.")
]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    data, lake = (typer.Typer(no_args_is_help=True, help=said) for said in ("Look at data.", "Look after the lake."))
    data.command("show")(show)
    data.command("stale")(stale)
    lake.command("ls")(ls)
    lake.command("vacuum")(vacuum)
    app.add_typer(data, name="data")
    app.add_typer(lake, name="lake")


def show(
    pipeline: Annotated[str, typer.Argument(help="A pipeline.")],
    partition: Annotated[str, typer.Argument(help="A partition, as Dagster names it.")],
    home: HomeOption = Path(".ml_platform"),
    as_json: JsonOption = False,
) -> None:
    """Print where a partition came from: each table with version, rows, hash, time and run, back to the source."""
    from ml_platform.data.lake.provenance import Tracer
    from ml_platform.data.quality.verdicts import read_verdicts

    lake = open_lake(home)
    _require_pipeline(lake, pipeline)
    verdict = read_verdicts(lake, pipeline, [partition]).get(partition)
    written = [stage for stage in STAGES if partition in lake.written(f"{pipeline}/{stage}")]
    top = [stage for stage in written if stage in ("training_set", "features")] or written[:1] or ["raw"]
    origins = [each for stage in top for each in Tracer(lake).trace(f"{pipeline}/{stage}", [partition])]
    if as_json:
        told = verdict.model_dump(mode="json") if verdict else None
        typer.echo(json.dumps({"verdict": told, "origins": [each.to_json() for each in origins]}))
        return
    typer.echo(f"{pipeline} {partition}: " + (f"{verdict.outcome}, {verdict.sentence}" if verdict else "no verdict"))
    for each in origins:
        typer.echo("\n".join(_lines(each, "")))


def stale(
    pipeline: Annotated[str, typer.Argument(help="A pipeline.")],
    home: HomeOption = Path(".ml_platform"),
    as_json: JsonOption = False,
    defs: Annotated[Path, typer.Option(help="Folder of the pipelines.")] = PROJECT / "ml_platform" / "defs",
) -> None:
    """List the partitions made from rows, lookups or a feature plan that changed since; exit code 1 if any is."""
    from ml_platform.orchestration.freezing import find_pipeline
    from ml_platform.orchestration.freshness import stale_partitions
    from ml_platform.orchestration.refitting import load_pipeline

    path = find_pipeline(defs.absolute(), pipeline)
    found = stale_partitions(load_pipeline(path, package_of(path.parent)), open_lake(home))
    for each in found:
        line = f"{each.stage:<14} {each.partition:<12} {', '.join(each.reasons)}"
        typer.echo(json.dumps(asdict(each)) if as_json else line)
    if found and not as_json:
        typer.echo(f"{len(found)} stale partitions. The job {pipeline}_refresh makes those from validated to features")
        typer.echo(f"again; training sets follow with the job {pipeline}_retrain.")
    raise typer.Exit(1 if found else 0)


def ls(home: HomeOption = Path(".ml_platform"), tables: TablesOption = None) -> None:
    """List the tables: version, partitions, rows and last write."""
    lake = open_lake(home)
    for table in tables or lake.tables():
        written = lake.written(table)
        rows, at = (
            sum(each.rows for each in written.values()),
            max((each.at for each in written.values()), default=None),
        )
        when = f"{at:%Y-%m-%d %H:%M:%S}" if at else "-"
        typer.echo(f"{table:<40} v{lake.version(table):<6} {len(written):>5} partitions {rows:>10} rows  {when}")


def vacuum(
    home: HomeOption = Path(".ml_platform"),
    keep: Annotated[str, typer.Option(help="Files that left a table within this span stay: 30d, 12h, 0.")] = "30d",
    is_dry: Annotated[bool, typer.Option("--dry-run", help="Only tell.")] = False,
    tables: TablesOption = None,
) -> None:
    """Remove files that no version needs which is new or which a registered or deployed model was trained from."""
    from ml_platform.data.lake.retention import needed_versions
    from ml_platform.data.lake.retention import vacuum as remove
    from ml_platform.registry.bundle import open_bundle

    lake, store, span = open_lake(home), open_models(home), _span(keep)
    models = [open_bundle(store.bundle(each), each.digest).manifest for each in store.registered()]
    deployed = sorted(Home(home.absolute()).bundles.glob("*/*/manifest.json"))  # also of versions the registry lost
    models += [open_bundle(each.parent, each.parent.name).manifest for each in deployed]
    named = [each for model in models for each in model.data]
    manifests = [model.training_manifest for model in models if model.training_manifest]
    needed = needed_versions(lake, tables or lake.tables(), named, manifests)
    for table, files in remove(lake, needed, span, is_dry=is_dry).items():
        kept = f", kept for models: {', '.join(f'v{each}' for each in needed[table])}" if needed[table] else ""
        typer.echo(f"{table:<40} {len(files):>6} files {'would go' if is_dry else 'removed'}{kept}")


def _require_pipeline(lake: "Lake", pipeline: str) -> None:
    if any(lake.version(f"{pipeline}/{stage}") >= 0 for stage in STAGES):
        return
    known = sorted({table.partition("/")[0] for table in lake.tables()}) if "://" not in lake.root else []
    raise PartitionMissing.because(
        "pipeline",
        got=pipeline,
        expected=examples(known) or "none has data yet",
        hint="check the name and --home, or materialize raw",
    )


def _span(text: str) -> timedelta:
    found = re.fullmatch(r"(\d{1,5})([dh]?)", text)
    if found is None or (not found[2] and int(found[1])):
        raise SpecError.because("--keep", got=text, expected="a span like 30d or 12h, or 0", hint="give days or hours")
    return timedelta(**{"hours" if found[2] == "h" else "days": int(found[1])})


def _lines(origin: "Origin", indent: str) -> Iterator[str]:
    """Give a line for a commit, and below it its inputs and sources."""
    first, last = min(origin.partitions), max(origin.partitions)
    of = first if first == last else f"{len(origin.partitions)} partitions {first} to {last}"
    digest = f"  sha256 {origin.hash[:12]}" if origin.hash else ""
    run = f"  run {origin.run[:8]}" if origin.run else ""
    at = f"{origin.at:%Y-%m-%d %H:%M:%S}"
    yield f"{indent}{origin.table} v{origin.version}  {of}  {origin.rows} rows{digest}  {at}{run}"
    for each in origin.inputs[:SHOWN]:
        yield from _lines(each, indent + "  ")
    if (more := len(origin.inputs) - SHOWN) > 0:
        yield f"{indent}  and {more} more commits"
    for name, rows in list(origin.sources.items())[:SHOWN]:
        yield f"{indent}  from {name} ({rows} rows)"
    if (more := len(origin.sources) - SHOWN) > 0:
        yield f"{indent}  and {more} more sources"

"""What runs by itself and is switched off, asked of Dagster's own interface: what `ml-platform up` says of it."""

from collections.abc import Iterator, Mapping
from typing import Any

import httpx

GUIDE = "docs/automation.md"
TIMEOUT_S = 30.0
_QUERY = """
{ workspaceOrError {
  ... on PythonError { message }
  ... on Workspace { locationEntries { name locationOrLoadError {
    ... on PythonError { message }
    ... on RepositoryLocation { repositories {
      schedules { name state: scheduleState { status } }
      sensors { name state: sensorState { status } }
} } } } } } }
"""


def describe_switches(dagster_url: str) -> list[str]:
    """Return lines for a person: which schedules and sensors are off, and how to switch them on.

    A Dagster that gives no answer, or could not load the pipelines, is described too.
    """
    try:
        answer = httpx.post(f"{dagster_url}/graphql", json={"query": _QUERY}, timeout=TIMEOUT_S)
        workspace = answer.raise_for_status().json()["data"]["workspaceOrError"]
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        return [f"what is switched on is not known: {dagster_url}/graphql gave {type(error).__name__}: {error}"]
    locations = {entry["name"]: entry["locationOrLoadError"] or {} for entry in workspace.get("locationEntries", [])}
    faults = [
        f"code location {name} did not load: {_first_line(each)}"
        for name, each in locations.items()
        if "message" in each
    ]
    if "message" in workspace:
        faults.append(f"the workspace did not load: {_first_line(workspace)}")
    return faults or list(_lines(locations, dagster_url))


def _lines(locations: Mapping[str, Any], url: str) -> Iterator[str]:
    repositories = [each for location in locations.values() for each in location.get("repositories", [])]
    off = {
        kind: sorted(one["name"] for each in repositories for one in each[kind] if one["state"]["status"] != "RUNNING")
        for kind in ("schedules", "sensors")
    }
    if not any(off.values()):
        yield "all schedules and sensors are on"
        return
    for kind, names in off.items():
        if names:
            yield f"off: {kind} {', '.join(names)}"
    yield f"nothing of that runs by itself until it is switched on at {url}/automation; see {GUIDE}"


def _first_line(error: Mapping[str, str]) -> str:
    return error["message"].strip().partition("\n")[0]

"""What holds for every test: hypothesis without time limits; the longest stories first, so no worker ends alone."""

import pytest
from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

LONGEST_FIRST = ("demo/", "lifecycle/")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest modules first, after the shuffle; the order within a module stays."""
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    path = item.path.as_posix()
    ranks = [rank for rank, part in enumerate(LONGEST_FIRST) if part in path]
    return min(ranks, default=len(LONGEST_FIRST) if item.get_closest_marker("slow") else len(LONGEST_FIRST) + 1)

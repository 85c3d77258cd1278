"""The parameters of the linear model that an author may set, with kind and bounds."""

from typing import Annotated

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict  # pydantic needs this one below Python 3.12

Share = Annotated[float, Field(ge=0, le=1)]


@with_config(ConfigDict(extra="forbid", strict=True))
class LinearParams(TypedDict, total=False):
    """`penalty` is the strength of the penalty on coefficients, `l1_share` its part on their absolute values."""

    penalty: Annotated[float, Field(ge=0)]
    l1_share: Share
    iterations: Annotated[int, Field(ge=1, le=100_000)]

"""The error tree of the platform.

Every error says what was got, what was expected and what to do next; at most five examples. What a caller branches on
is a value (a verdict, a step), not an error.

    PlatformError
    ├── SpecError            the YAML of a pipeline is wrong            (ValueError)
    ├── SourceUnreadable     a file or database gives nothing to read   (OSError)
    ├── ContractError        data breaks what was agreed                (ValueError)
    │   ├── SchemaMismatch       columns or types
    │   ├── NotEnoughRows        too few rows to go on
    │   ├── QuarantineExceeded   too many rows were bad
    │   ├── LeakageFound         training data knows what it may not
    │   ├── PartitionMissing     an input partition was never written   (also LookupError)
    │   ├── StaleInputs          inputs were made from rows that changed since
    │   └── ShapeMismatch        two arrays that must agree do not
    ├── TrainingError
    │   ├── ClusterUnreachable   no cluster, or one that is too small   (ConnectionError)
    │   ├── SearchFailed         no trial of a search gave a result     (RuntimeError)
    │   ├── OutOfMemory          a fit needs more than it may take      (MemoryError)
    │   └── WorkerLost           a worker died, as of too little memory (RuntimeError)
    ├── LakeError
    │   ├── WriteConflict        another writer committed first         (RuntimeError)
    │   └── WriteFailed          the storage did not take the rows      (OSError)
    ├── RegistryError
    │   ├── VersionNotFound                                             (LookupError)
    │   ├── BundleDamaged        a file's hash is not the manifest's    (ValueError)
    │   └── NotReproducible      a version cannot be fitted again       (RuntimeError)
    ├── LedgerError
    │   ├── LedgerConflict       somebody else appended first           (RuntimeError)
    │   ├── IdentityConflict     one number would name two models       (ValueError)
    │   └── LedgerDamaged        the hash chain is broken               (ValueError)
    ├── RolloutError
    │   ├── PromotionRefused     a version may not become champion      (ValueError)
    │   └── ApprovalRefused      a person may not approve or reject it  (ValueError)
    └── ServingError
        ├── RequestRejected      the caller's fault, a 4xx              (ValueError)
        └── ServerUnreachable    no answer where a server was expected  (ConnectionError)
"""

from collections.abc import Iterable
from typing import Self

EXAMPLES_AT_MOST = 5


def examples(values: Iterable[object]) -> str:
    """Join at most five values for a message, and say how many more there are."""
    seen = [str(value) for value in values]
    more = len(seen) - EXAMPLES_AT_MOST
    return ", ".join(seen[:EXAMPLES_AT_MOST]) + (f" and {more} more" if more > 0 else "")


class PlatformError(Exception):
    """Root of all errors the platform raises on purpose."""

    @classmethod
    def because(cls, what: str, *, got: object, expected: object, hint: str) -> Self:
        """Build the error.

        Parameters
        ----------
        what : str
            The field, table, version or file at fault.
        got, expected : object
            What stands there, and what should.
        hint : str
            The next action.
        """
        return cls(f"{what}: got {got}, expected {expected}. Hint: {hint}")


class SpecError(PlatformError, ValueError):
    """The YAML of a pipeline cannot be accepted."""


class SourceUnreadable(PlatformError, OSError):
    """A file or database cannot be reached, or is not what it is said to be."""


class ContractError(PlatformError, ValueError):
    """Data breaks what was agreed."""


class SchemaMismatch(ContractError):
    """Columns or types are not those of the schema."""


class NotEnoughRows(ContractError):
    """There are too few rows to go on."""


class QuarantineExceeded(ContractError):
    """A larger share of rows is bad than the pipeline allows."""


class LeakageFound(ContractError):
    """A training set's leakage certificate is violated."""


class PartitionMissing(ContractError, LookupError):
    """An input partition was never written."""


class StaleInputs(ContractError):
    """Partitions were made from rows that have changed since."""


class ShapeMismatch(ContractError):
    """Two arrays that must agree in shape do not."""


class TrainingError(PlatformError):
    """A fit does not come to its end; nothing is registered."""


class ClusterUnreachable(TrainingError, ConnectionError):
    """The cluster that fits should run on does not answer, or has too little to give."""


class OutOfMemory(TrainingError, MemoryError):
    """A fit needs more memory than its process may take."""


class WorkerLost(TrainingError, RuntimeError):
    """A worker died on the way, as of too little memory."""


class SearchFailed(TrainingError, RuntimeError):
    """A search has no result: no trial finished, or its study cannot be used. Nothing is registered."""


class LakeError(PlatformError):
    """The lake cannot do what was asked; its tables are as they were."""


class WriteConflict(LakeError, RuntimeError):
    """Another writer replaced the same partitions first."""


class WriteFailed(LakeError, OSError):
    """The storage did not take the rows."""


class RegistryError(PlatformError):
    """The model registry cannot give what was asked for."""


class VersionNotFound(RegistryError, LookupError):
    """No such model version."""


class BundleDamaged(RegistryError, ValueError):
    """A bundle's content is not what its manifest says."""


class NotReproducible(RegistryError, RuntimeError):
    """What a version was fitted from is not there any more, or the fit does not come to its end."""


class LedgerError(PlatformError):
    """The ledger cannot be read or written."""


class LedgerConflict(LedgerError, RuntimeError):
    """Another writer appended first; read again and decide again."""


class IdentityConflict(LedgerError, ValueError):
    """A version's number names another digest in the ledger."""


class LedgerDamaged(LedgerError, ValueError):
    """The hash chain of the ledger is broken."""


class RolloutError(PlatformError):
    """A rollout cannot do what was asked."""


class PromotionRefused(RolloutError, ValueError):
    """A version may not become champion."""


class ApprovalRefused(RolloutError, ValueError):
    """A version may not be approved or rejected, or not like this."""


class ServingError(PlatformError):
    """The model server cannot answer."""


class RequestRejected(ServingError, ValueError):
    """A request that cannot be answered, through the caller's fault.

    Parameters
    ----------
    message : str
        Names the field, what was got and what was expected.
    status : int
        HTTP status, 400 to 499.
    field : str or None
        The field at fault, where there is one.
    """

    def __init__(self, message: str, *, status: int = 400, field: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.field = field


class ServerUnreachable(ServingError, ConnectionError):
    """No model server answers where one was expected."""

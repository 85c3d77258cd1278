"""The author's feature function, made from the text of its module.

The text travels in the bundle, so training and server run the very same code. It must therefore be self-contained: the
standard library, polars and numpy are all it may import.
"""

import ast
import builtins
import hashlib
import sys
from collections.abc import Callable
from functools import lru_cache
from types import ModuleType

import polars as pl

from ml_platform.contracts.errors import SpecError, examples

FeatureFunction = Callable[[pl.DataFrame], pl.DataFrame]

ALLOWED_IMPORTS = frozenset({"polars", "numpy"})
_HINT = "a feature module is self-contained: it may import the standard library, polars and numpy, nothing else"


def _imports(tree: ast.Module) -> list[str]:
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.extend(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.append("." * node.level + (node.module or ""))
    return names


def _is_allowed(name: str) -> bool:
    root = name.partition(".")[0]
    return root in ALLOWED_IMPORTS or root in sys.stdlib_module_names


def _fail(what: str, error: Exception, expected: str) -> SpecError:
    return SpecError.because(what, got=f"{type(error).__name__}: {error}", expected=expected, hint=_HINT)


@lru_cache(maxsize=64)
def load_function(code: str, function: str) -> FeatureFunction:
    """Compile a feature module and give one function of it; the same text gives the same function.

    Raises like `compile_function`.
    """
    return compile_function(code, function)


def compile_function(code: str, function: str, importing: Callable[..., ModuleType] | None = None) -> FeatureFunction:
    """Compile a feature module anew and return one function of it, with no state of another copy.

    Parameters
    ----------
    code : str
        Full source text of the module.
    function : str
        Name of a function `frame -> frame`.
    importing : function, optional
        What the module imports by, in place of Python's own.

    Raises
    ------
    SpecError
        If the module imports what is not shipped, does not run, or has no such function.
    """
    what = f"feature module with {function}"
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError) as error:
        raise _fail(what, error, "Python source") from error
    if banned := [name for name in _imports(tree) if not _is_allowed(name)]:
        raise SpecError.because(what, got=f"import of {examples(banned)}", expected="no such import", hint=_HINT)
    module = _run(tree, what, hashlib.sha256(code.encode()).hexdigest(), importing)
    found: FeatureFunction | None = getattr(module, function, None)
    if not callable(found):
        raise SpecError.because(what, got=f"no function {function}", expected="a function frame -> frame", hint=_HINT)
    return found


def _run(tree: ast.Module, what: str, digest: str, importing: Callable[..., ModuleType] | None) -> ModuleType:
    module = ModuleType(f"ml_platform_authored_{digest[:16]}")
    if importing is not None:
        module.__dict__["__builtins__"] = {**vars(builtins), "__import__": importing}
    sys.modules[module.__name__] = module  # dataclasses and typing look a class's module up by name
    try:
        exec(compile(tree, f"<{what}>", "exec"), module.__dict__)  # noqa: S102 - the author's own code, hash-checked in a bundle
    except Exception as error:
        del sys.modules[module.__name__]
        raise _fail(what, error, "a module that runs") from error
    return module


def call_function(function: FeatureFunction, frame: pl.DataFrame) -> pl.DataFrame:
    """Call the author's function on one frame.

    Raises
    ------
    SpecError
        If it raises, or gives anything but a polars frame.
    """
    what = f"feature function {getattr(function, '__name__', function)}"
    try:
        built = function(frame)
    except Exception as error:
        raise _fail(what, error, "a frame, also for an empty input") from error
    if not isinstance(built, pl.DataFrame):
        raise SpecError.because(
            what, got=type(built).__name__, expected="a polars DataFrame", hint="collect() a lazy frame"
        )
    return built

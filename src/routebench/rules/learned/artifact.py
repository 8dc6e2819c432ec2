"""Files of learned numbers beside a rules.yaml: read without running anything, and only as they were written."""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, Any

from routebench.errors import RulesError
from routebench.rules.learned.tensors import from_json, from_safetensors, to_json, to_safetensors

if TYPE_CHECKING:
    import numpy.typing as npt

FORMAT = "routebench/artifact/v1"
MAX_BYTES = 256 * 2**20
MAX_JSON_BYTES = 32 * 2**20
_RUNS_CODE = frozenset({".bin", ".joblib", ".pickle", ".pkl", ".pt", ".pth"})
_OTHER = frozenset({".h5", ".npy", ".npz", ".onnx"})


@dataclass(frozen=True, slots=True)
class Artifact:
    """What an artifact holds.

    Attributes:
        metadata: plain JSON values; `kind` says what the tensors are.
        tensors: by name; numbers are finite, or NaN where they are unknown.
        where: what errors call it.
        sha256: of the bytes that were read.
    """

    metadata: Mapping[str, Any]
    tensors: Mapping[str, npt.NDArray[Any]]
    where: str
    sha256: str

    def expect(self, kind: str, *tensors: str) -> None:
        """Checks what the artifact is.

        Raises:
            RulesError: it is of another kind, or its tensors have other names.
        """
        if self.metadata["kind"] != kind:
            raise RulesError(f"{self.where}: this artifact is a {self.metadata['kind']!r:.40}, not a {kind!r}")
        if set(self.tensors) != set(tensors):
            found = ", ".join(map(repr, sorted(self.tensors))) or "none"
            raise RulesError(f"{self.where}: a {kind!r} has the tensors {', '.join(tensors)}, not {found:.80}")

    def tensor(self, name: str, shape: tuple[int | None, ...], *, unknown: bool = False) -> npt.NDArray[Any]:
        """Returns a tensor.

        Args:
            name: one that `expect` named.
            shape: what it must have; None for any length above 0.
            unknown: whether numbers of it may be unknown, NaN.

        Raises:
            RulesError: it has another shape, or a number of it is unknown and must not be.
        """
        import numpy as np

        found = self.tensors[name]
        if found.ndim != len(shape) or any(
            has < 1 or has != (has if wants is None else wants) for has, wants in zip(found.shape, shape, strict=True)
        ):
            says = " x ".join("n" if wants is None else str(wants) for wants in shape)
            has = " x ".join(map(str, found.shape)) or "a single number"
            raise RulesError(f"{self.where}: the tensor {name} is {has}; it must be {says}")
        if not unknown and np.isnan(found).any():
            raise RulesError(f"{self.where}: a number of the tensor {name} is NaN")
        return found


def artifact_path(folder: Path, name: str, *, where: str) -> Path:
    """Returns the path of an artifact that a rules.yaml names.

    Args:
        folder: of the rules.yaml.
        name: relative to it; absolute paths and paths out of it are refused, so that a rule set moves as one folder
            and a rules.yaml from elsewhere opens no other file.
        where: of the name, for errors.

    Raises:
        RulesError: the name leads out of the folder.
    """
    relative = PureWindowsPath(name)
    inside = bool(name) and "\0" not in name and not (relative.anchor or Path(name).is_absolute())
    try:
        if inside:
            root = folder.resolve()
            inside = (root / name).resolve().is_relative_to(root)
    except (OSError, RuntimeError, ValueError):
        inside = False
    if not inside:
        raise RulesError(
            f"{where}: the artifact {name!r} is not inside the folder of the rules file; "
            f"put it beside the rules file and write its name alone"
        )
    return folder / name


def read_artifact(path: Path, sha256: str | None, *, where: str) -> Artifact:
    """Reads an artifact; nothing of the file is trusted.

    Args:
        path: of a `.safetensors` or `.json` file of at most 256 MB (JSON: 32 MB).
        sha256: of the file when the rules were written, in hexadecimal; None to read whatever it is.
        where: what errors call it, such as the place in the rules file.

    Raises:
        RulesError: there is no such file, it was changed, or it is not an artifact.
    """
    _check_suffix(path, where)
    data = _bytes_of(path, where)
    digest = hashlib.sha256(data).hexdigest()
    if sha256 is not None and digest != sha256.lower():
        raise RulesError(
            f"{where}: the artifact {path.name} was changed after the rules were written: its sha256 begins with "
            f"{digest[:12]}, the rules say {sha256.lower()[:12]}; put the right file back, "
            f"or run `routebench tune` again"
        )
    try:
        metadata, tensors = from_json(data) if path.suffix == ".json" else from_safetensors(data)
        _check(metadata)
    except RecursionError:
        raise RulesError(f"{where}: {path.name} is no artifact: it is nested too deeply") from None
    except ValueError as error:
        raise RulesError(f"{where}: {path.name} is no artifact: {error}") from None
    return Artifact(metadata, tensors, where, digest)


def write_artifact(path: Path, tensors: Mapping[str, npt.NDArray[Any]], metadata: Mapping[str, Any]) -> str:
    """Writes an artifact in one step: whoever reads meanwhile finds the old file or the new one.

    Args:
        path: ends in `.safetensors` or `.json`.
        tensors: arrays of 16-, 32- or 64-bit floats; finite, or NaN where unknown.
        metadata: plain JSON values with `kind`; the format is added.

    Returns:
        The sha256 of the file, in hexadecimal; the same tensors and metadata give the same bytes.

    Raises:
        RulesError: the numbers or the suffix are not those of an artifact, it is too large, or the disk refuses it.
    """
    where = str(path)
    _check_suffix(path, where)
    full = {"format": FORMAT, **metadata}
    try:
        _check(full)
        data = to_json(full, tensors) if path.suffix == ".json" else to_safetensors(full, tensors)
    except ValueError as error:
        raise RulesError(f"{where}: this is no artifact: {error}") from None
    _check_size(len(data), path, where)
    part = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise RulesError(f"{where}: the artifact cannot be written: {error.strerror or error}") from None
    finally:
        part.unlink(missing_ok=True)
    return hashlib.sha256(data).hexdigest()


def _check_suffix(path: Path, where: str) -> None:
    if path.suffix in (".safetensors", ".json"):
        return
    if path.suffix.lower() in _RUNS_CODE:
        why = "reading such a file can run code that is hidden in it, so it is never opened"
    elif path.suffix.lower() in _OTHER:
        why = "routebench does not read this format"
    else:
        why = f"routebench does not know the ending {path.suffix!r:.20}"
    raise RulesError(f"{where}: {path.name} is no artifact: {why}; artifacts end in .safetensors or .json")


def _bytes_of(path: Path, where: str) -> bytes:
    try:
        # Not blocking: a pipe of that name would wait for a writer.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NONBLOCK", 0))) as file:
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode):
                raise RulesError(f"{where}: {path.name} is no artifact: it is not a plain file")
            _check_size(about.st_size, path, where)
            return file.read(about.st_size + 1)
    except FileNotFoundError:
        raise RulesError(f"{where}: there is no artifact {str(path)!r}; put the file beside the rules file") from None
    except (OSError, ValueError) as error:
        raise RulesError(f"{where}: the artifact {path.name} cannot be read: {error}") from None


def _check_size(n_bytes: int, path: Path, where: str) -> None:
    limit = MAX_JSON_BYTES if path.suffix == ".json" else MAX_BYTES
    if n_bytes > limit:
        raise RulesError(
            f"{where}: {path.name} has {n_bytes / 2**20:.0f} MB, at most {limit / 2**20:.0f} MB are read; "
            f"learn from fewer prompts or columns"
        )


def _check(metadata: Any) -> None:
    if not isinstance(metadata, dict) or metadata.get("format") != FORMAT:
        found = metadata.get("format") if isinstance(metadata, dict) else None
        raise ValueError(f"its format is {found!r:.60}, not {FORMAT!r}")
    if not isinstance(metadata.get("kind"), str):
        raise ValueError("its metadata has no kind")

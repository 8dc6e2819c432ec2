"""Named arrays and what is said about them, as bytes: safetensors, or JSON of the same content.

    {"metadata": {"format": "routebench/artifact/v1", "kind": "...", ...},
     "tensors": {"weights": {"dtype": "F32", "shape": [1, 539], "values": [0.1, ...]}, ...}}

In JSON an unknown number is null. In safetensors all metadata is one JSON text under the key `routebench`. Bytes are
not trusted: whatever is not such a document is a ValueError that says why, or a RecursionError.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy.typing as npt

_MAX_HEADER_BYTES = 2**20
_METADATA = "routebench"
_DTYPES: Mapping[str, str] = {"F16": "<f2", "F32": "<f4", "F64": "<f8"}


def to_json(metadata: Mapping[str, Any], tensors: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """Returns arrays of floats and metadata of plain JSON values as one JSON document.

    Raises:
        ValueError: they are something else, or a number is infinite.
    """
    _check(tensors)
    content = {
        name: {
            "dtype": _name_of(tensor),
            "shape": list(tensor.shape),
            # NaN alone is unequal to itself.
            "values": [None if value != value else value for value in tensor.ravel().tolist()],  # noqa: PLR0124
        }
        for name, tensor in tensors.items()
    }
    return (_dump({"metadata": metadata, "tensors": content}) + "\n").encode()


def from_json(data: bytes) -> tuple[Any, dict[str, npt.NDArray[Any]]]:
    """Returns metadata and arrays of a JSON document.

    Raises:
        ValueError: it is none of this form.
    """
    document = _parse(data)
    if not isinstance(document, dict) or set(document) != {"metadata", "tensors"}:
        raise ValueError("it has other keys than metadata and tensors")
    if not isinstance(document["tensors"], dict):
        raise ValueError("its tensors are no mapping")
    tensors = {name: _listed(name, one) for name, one in document["tensors"].items()}
    _check(tensors)
    return document["metadata"], tensors


def to_safetensors(metadata: Mapping[str, Any], tensors: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """Returns arrays of floats and metadata of plain JSON values as the content of a safetensors file.

    Raises:
        ValueError: they are something else, or a number is infinite.
    """
    _check(tensors)
    # Laid out here, not by the library, which gives no promise about the order of what it writes.
    header: dict[str, Any] = {"__metadata__": {_METADATA: _dump(metadata)}}
    parts: list[bytes] = []
    end = 0
    # The widest numbers first, so that each tensor begins at a multiple of its numbers' size.
    for name, tensor in sorted(tensors.items(), key=lambda item: (-item[1].dtype.itemsize, item[0])):
        dtype = _name_of(tensor)
        parts.append(tensor.astype(_DTYPES[dtype]).tobytes())
        start, end = end, end + len(parts[-1])
        header[name] = {"dtype": dtype, "shape": list(tensor.shape), "data_offsets": [start, end]}
    text = _dump(header).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > _MAX_HEADER_BYTES:
        raise ValueError("its metadata is too long")
    return b"".join((len(text).to_bytes(8, "little"), text, *parts))


def from_safetensors(data: bytes) -> tuple[Any, dict[str, npt.NDArray[Any]]]:
    """Returns metadata and arrays of a safetensors file.

    Raises:
        ValueError: it is none, or was not written by `to_safetensors`.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    n_header = int.from_bytes(data[:8], "little")
    if len(data) < 8 or n_header > min(_MAX_HEADER_BYTES, len(data) - 8):
        raise ValueError("the length of its header is wrong, so this is no safetensors file or a part of one")
    header = _parse(data[8 : 8 + n_header])
    if not isinstance(header, dict):
        raise ValueError("its header is no mapping")
    about = header.pop("__metadata__", None)
    # Before the library builds arrays: types that it knows and numpy does not, and shapes that hold no number.
    for name, tensor in header.items():
        shape = tensor.get("shape") if isinstance(tensor, dict) else None
        if not isinstance(shape, list) or not all(type(length) is int and 0 < length < 2**31 for length in shape):
            raise ValueError(f"the tensor {name!r:.40} has no shape")
        if tensor.get("dtype") not in tuple(_DTYPES):
            raise ValueError(f"the tensor {name!r:.40} is of {tensor.get('dtype')!r:.40}, not of {', '.join(_DTYPES)}")
    if not isinstance(about, dict) or not isinstance(about.get(_METADATA), str):
        raise ValueError("routebench did not write it: its metadata has no text under `routebench`")
    try:
        tensors = load(data)
    except SafetensorError as error:
        raise ValueError(str(error)) from None
    _check(tensors)
    return _parse(about[_METADATA].encode("utf-8", "replace")), tensors


def _check(tensors: Mapping[str, npt.NDArray[Any]]) -> None:
    import numpy as np

    for name, tensor in tensors.items():
        if tensor.dtype.kind != "f" or tensor.dtype.itemsize > 8:
            raise ValueError(f"the tensor {name!r:.40} is of {tensor.dtype}, not of 16-, 32- or 64-bit floats")
        if not tensor.size:
            raise ValueError(f"the tensor {name!r:.40} is empty")
        if np.isinf(tensor).any():
            raise ValueError(f"a number of the tensor {name!r:.40} is infinite")


def _listed(name: str, tensor: Any) -> npt.NDArray[Any]:
    import numpy as np

    if not isinstance(tensor, dict) or set(tensor) != {"dtype", "shape", "values"}:
        raise ValueError(f"the tensor {name!r:.40} has other keys than dtype, shape and values")
    dtype, shape, values = tensor["dtype"], tensor["shape"], tensor["values"]
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise ValueError(f"the tensor {name!r:.40} is of {dtype!r:.40}, not of {', '.join(_DTYPES)}")
    if not isinstance(shape, list) or not all(type(length) is int and 0 < length < 2**31 for length in shape):
        raise ValueError(f"the tensor {name!r:.40} has no shape")
    if not isinstance(values, list) or not all(value is None or type(value) in (int, float) for value in values):
        raise ValueError(f"the values of the tensor {name!r:.40} are no list of numbers")
    try:
        numbers = np.array([float("nan") if value is None else float(value) for value in values])
    except OverflowError:
        raise ValueError(f"a number of the tensor {name!r:.40} is too large") from None
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and that is refused
        return numbers.astype(_DTYPES[dtype]).reshape(shape)


def _name_of(tensor: npt.NDArray[Any]) -> str:
    return f"F{8 * tensor.dtype.itemsize}"


def _dump(value: Any) -> str:
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except TypeError as error:
        raise ValueError(f"metadata: {error}") from None


def _parse(data: bytes) -> Any:
    return json.loads(data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands in it twice")
    return found


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number of JSON")

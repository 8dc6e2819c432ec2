from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import save

from routebench.errors import RulesError
from routebench.rules.learned.artifact import (
    MAX_BYTES,
    MAX_JSON_BYTES,
    Artifact,
    artifact_path,
    read_artifact,
    write_artifact,
)

SUFFIXES = [".safetensors", ".json"]
ABOUT = {"kind": "toy", "nested": {"names": ["ä", "b"], "n": 3}}
HEADER = {"__metadata__": {"routebench": json.dumps({"format": "routebench/artifact/v1", "kind": "toy"})}}


def tensors() -> dict[str, np.ndarray[Any, Any]]:
    rng = np.random.default_rng(5)
    return {
        "a": rng.normal(size=(3, 4)).astype(np.float32),
        "half": rng.normal(size=(5,)).astype(np.float16),
        "wide": np.array([[1 / 3, np.nan], [5e-324, -0.0]]),
    }


def laid_out(header: Any, body: bytes = b"", n_header: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if n_header is None else n_header).to_bytes(8, "little") + text + body


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_written_is_read_to_the_last_bit(tmp_path: Path, suffix: str) -> None:
    digest = write_artifact(tmp_path / f"a{suffix}", tensors(), ABOUT)
    found = read_artifact(tmp_path / f"a{suffix}", digest, where="here")
    assert found.metadata == {"format": "routebench/artifact/v1", **ABOUT}
    assert (found.where, found.sha256) == ("here", digest)
    assert set(found.tensors) == set(tensors())
    for name, tensor in tensors().items():
        assert found.tensors[name].dtype == tensor.dtype
        assert found.tensors[name].shape == tensor.shape
        assert found.tensors[name].tobytes() == tensor.tobytes()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_writing_again_gives_the_same_bytes_and_leaves_nothing_else(tmp_path: Path, suffix: str) -> None:
    path, other = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    first = write_artifact(path, tensors(), ABOUT)
    # Another order of the same things, and arrays that lie otherwise in memory.
    turned = {name: np.asfortranarray(tensor).astype(tensor.dtype.newbyteorder(">")) for name, tensor in reversed(tensors().items())}  # fmt: skip
    assert write_artifact(other, turned, dict(reversed(ABOUT.items()))) == first
    assert path.read_bytes() == other.read_bytes()
    assert write_artifact(path, tensors(), ABOUT) == first
    assert sorted(tmp_path.iterdir()) == [path, other]


def test_other_tools_open_the_file(tmp_path: Path) -> None:
    write_artifact(tmp_path / "a.safetensors", tensors(), ABOUT)
    with safe_open(tmp_path / "a.safetensors", framework="numpy") as file:
        assert json.loads(file.metadata()["routebench"])["kind"] == "toy"
        assert file.get_tensor("a").tobytes() == tensors()["a"].tobytes()


def test_a_write_that_fails_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_artifact(path, tensors(), ABOUT)
    before = path.read_bytes()
    for wrong, says in (
        ({"a": np.array([np.inf])}, "'a' is infinite"),
        ({"a": np.array([1])}, "is of int64"),
        ({"a": np.zeros((0, 3))}, "is empty"),
    ):
        with pytest.raises(RulesError, match=says):
            write_artifact(path, wrong, ABOUT)
    with pytest.raises(RulesError, match="not JSON serializable"):
        write_artifact(path, tensors(), {"kind": "toy", "x": object()})
    with pytest.raises(RulesError, match="has no kind"):
        write_artifact(path, tensors(), {})
    with pytest.raises(RulesError, match="cannot be written"):
        write_artifact(tmp_path / "missing" / "a.json", tensors(), ABOUT)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_changed_artifact_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    digest = write_artifact(path, tensors(), ABOUT)
    assert read_artifact(path, digest.upper(), where="r").sha256 == digest
    changed = write_artifact(path, {"a": tensors()["a"] + 1}, ABOUT)
    with pytest.raises(RulesError) as raised:
        read_artifact(path, digest, where="rules.yaml:4:3")
    says = str(raised.value)
    assert says.startswith(f"rules.yaml:4:3: the artifact a{suffix} was changed after the rules were written")
    assert digest[:12] in says
    assert changed[:12] in says
    assert "routebench tune" in says
    assert read_artifact(path, None, where="r").sha256 == changed


def test_one_flipped_bit_is_a_change(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    digest = write_artifact(path, tensors(), ABOUT)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(RulesError, match="was changed"):
        read_artifact(path, digest, where="r")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("a.pkl", "can run code"), ("a.PT", "can run code"), ("a.joblib", "can run code"), ("a.bin", "can run code"),
        ("a.npz", "does not read this format"), ("a.onnx", "does not read this format"),
        ("a.txt", "does not know the ending '.txt'"), ("a", "does not know the ending ''"),
    ],
)  # fmt: skip
def test_other_forms_are_never_opened(tmp_path: Path, name: str, says: str) -> None:
    # There is no such file: it is not even looked for.
    with pytest.raises(RulesError, match=rf"r: {name} is no artifact: .*{says}.*end in \.safetensors or \.json"):
        read_artifact(tmp_path / name, None, where="r")
    with pytest.raises(RulesError, match=says):
        write_artifact(tmp_path / name, tensors(), ABOUT)


def test_what_is_not_a_plain_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RulesError, match=r"no artifact '.*gone.json'; put the file"):
        read_artifact(tmp_path / "gone.json", None, where="r")
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(RulesError, match=r"r: .*folder\.json"):
        read_artifact(tmp_path / "folder.json", None, where="r")
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(RulesError, match="not a plain file"):
        read_artifact(tmp_path / "pipe.json", None, where="r")


@pytest.mark.parametrize(("name", "limit"), [("a.safetensors", MAX_BYTES), ("a.json", MAX_JSON_BYTES)])
def test_a_file_too_large_is_not_read(tmp_path: Path, name: str, limit: int) -> None:
    with (tmp_path / name).open("wb") as file:
        file.truncate(limit + 1)  # a hole: it takes no room
    with pytest.raises(RulesError, match=f"at most {limit // 2**20} MB are read"):
        read_artifact(tmp_path / name, None, where="r")


F32 = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "length of its header"),
        (b"\x01\x02", "length of its header"),
        (laid_out(b"", n_header=2**63), "length of its header"),
        (laid_out(b"{}", n_header=3), "length of its header"),
        (laid_out(b" " * (2**20 + 1)), "length of its header"),
        (laid_out(b"{"), "no artifact"),
        (laid_out(b"[" * 200_000), "nested too deeply"),
        (laid_out([]), "header is no mapping"),
        (laid_out({}), "did not write it"),
        (laid_out({"__metadata__": {"routebench": 3}}), "did not write it"),
        (laid_out({"__metadata__": {"routebench": "{}"}}), "its format is None"),
        (laid_out({"__metadata__": {"routebench": "[]"}}), "its format is None"),
        (laid_out({"__metadata__": {"routebench": '{"format": "x/v9", "kind": "toy"}'}}), "its format is 'x/v9'"),
        (laid_out({"__metadata__": {"routebench": "NaN"}}), "NaN is no number"),
        (laid_out({"__metadata__": {"routebench": "[" * 200_000}}), "nested too deeply"),
        (laid_out({**HEADER, "a": 3}), "'a' has no shape"),
        (laid_out({**HEADER, "a": {**F32, "dtype": "I64", "shape": [1]}}, b"\0" * 8), "is of 'I64'"),
        (laid_out({**HEADER, "a": {**F32, "dtype": "BF16", "shape": [4]}}, b"\0" * 8), "is of 'BF16'"),
        (laid_out({**HEADER, "a": {**F32, "dtype": ["F32"]}}, b"\0" * 8), "is of "),
        (laid_out({**HEADER, "a": {**F32, "shape": [-2]}}, b"\0" * 8), "has no shape"),
        (laid_out({**HEADER, "a": {**F32, "shape": [True, 2]}}, b"\0" * 8), "has no shape"),
        (laid_out({**HEADER, "a": {**F32, "shape": [2**40, 0]}}, b"\0" * 8), "has no shape"),
        (laid_out({**HEADER, "a": {**F32, "shape": [2**30, 2**30, 2**30]}}, b"\0" * 8), "no artifact"),
        (laid_out({**HEADER, "a": {**F32, "shape": [3]}}, b"\0" * 8), "no artifact"),
        (laid_out({**HEADER, "a": {**F32, "data_offsets": [8, 0]}}, b"\0" * 8), "no artifact"),
        (laid_out({**HEADER, "a": {**F32, "data_offsets": [4, 12]}}, b"\0" * 12), "no artifact"),
        (laid_out({**HEADER, "a": {**F32, "data_offsets": [0, 2**60]}}, b"\0" * 8), "no artifact"),
        (laid_out({**HEADER, "a": F32, "b": F32}, b"\0" * 8), "no artifact"),
        (laid_out({**HEADER, "a": F32}, b"\0" * 7), "no artifact"),
        (laid_out({**HEADER, "a": F32}, b"\0" * 9), "no artifact"),
        (laid_out({**HEADER, "a": F32}, np.array([1, np.inf], dtype="<f4").tobytes()), "'a' is infinite"),
        (laid_out(b'{"a": 1, "a": 2}'), "stands in it twice"),
        (save({"a": np.zeros(2)}), "did not write it"),
    ],
)  # fmt: skip
def test_hostile_safetensors(tmp_path: Path, data: bytes, says: str) -> None:
    (tmp_path / "a.safetensors").write_bytes(data)
    with pytest.raises(RulesError, match=says):
        read_artifact(tmp_path / "a.safetensors", None, where="r")


TOY = {"format": "routebench/artifact/v1", "kind": "toy"}
ONE = {"dtype": "F32", "shape": [1], "values": [1]}


def document(**tensor: Any) -> dict[str, Any]:
    return {"metadata": TOY, "tensors": {"a": {**ONE, **tensor}}}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "no artifact"),
        (b"\xff", "no artifact"),
        ([], "other keys than"),
        ({"metadata": TOY}, "other keys than"),
        ({"metadata": {}, "tensors": {}}, "its format is None"),
        ({"metadata": {"format": TOY["format"], "kind": 1}, "tensors": {}}, "has no kind"),
        ({"metadata": TOY, "tensors": []}, "no mapping"),
        ({"metadata": TOY, "tensors": {"a": 1}}, "other keys than dtype"),
        (document(dtype="I8"), "is of 'I8'"),
        (document(dtype=[]), "is of "),
        (document(shape=[2]), "no artifact"),
        (document(shape="1"), "has no shape"),
        (document(shape=[0], values=[]), "has no shape"),
        (document(values=["1"]), "no list of numbers"),
        (document(values=[True]), "no list of numbers"),
        (document(values=[[1]]), "no list of numbers"),
        (document(values=[10**400]), "too large"),
        (document(values=[1e39]), "'a' is infinite"),
        (document(dtype="F16", values=[70000]), "'a' is infinite"),
        (json.dumps(document()).replace("[1]}", "[1e999]}").encode(), "'a' is infinite"),
        (json.dumps(document()).replace("[1]}", "[NaN]}").encode(), "NaN is no number"),
        (json.dumps(document()).replace("[1]}", "[" + "9" * 5000 + "]}").encode(), "no artifact"),
        (b"[" * 200_000, "nested too deeply"),
    ],
)
def test_hostile_json(tmp_path: Path, data: Any, says: str) -> None:
    (tmp_path / "a.json").write_bytes(data if isinstance(data, bytes) else json.dumps(data).encode())
    with pytest.raises(RulesError, match=says):
        read_artifact(tmp_path / "a.json", None, where="r")


def damaged(base: bytes) -> st.SearchStrategy[bytes]:
    def damage(edits: list[tuple[int, int]], cut: int) -> bytes:
        data = bytearray(base)
        for place, value in edits:
            data[place % len(data)] = value
        return bytes(data[: len(data) - cut])

    edits = st.lists(st.tuples(st.integers(0, len(base)), st.integers(0, 255)), max_size=4)
    return st.builds(damage, edits, st.integers(0, 12))


VALID = laid_out({**HEADER, "a": F32}, np.array([1, 2], dtype="<f4").tobytes())
BYTES = {
    ".safetensors": st.one_of(st.binary(max_size=64), damaged(VALID), st.binary(max_size=60).map(laid_out)),
    ".json": st.one_of(st.binary(max_size=64), damaged(json.dumps(document()).encode())),
}


@pytest.mark.parametrize("suffix", SUFFIXES)
@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None)
def test_any_bytes_are_an_artifact_or_an_error(tmp_path: Path, suffix: str, data: st.DataObject) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(data.draw(BYTES[suffix]))
    # Any other error than this one fails the test.
    with contextlib.suppress(RulesError):
        found = read_artifact(path, None, where="r")
        assert isinstance(found, Artifact)
        assert all(tensor.size and not np.isinf(tensor).any() for tensor in found.tensors.values())


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda found: found.expect("library", "a"), "is a 'toy', not a 'library'"),
        (lambda found: found.expect("toy", "a"), "has the tensors a, not 'a', 'half', 'wide'"),
        (lambda found: found.tensor("a", (3, 5)), "a is 3 x 4; it must be 3 x 5"),
        (lambda found: found.tensor("a", (None,)), "a is 3 x 4; it must be n"),
        (lambda found: found.tensor("wide", (2, 2)), "wide is NaN"),
    ],
)
def test_an_artifact_is_held_to_what_is_asked(tmp_path: Path, ask: Callable[[Artifact], object], says: str) -> None:
    write_artifact(tmp_path / "a.json", tensors(), ABOUT)
    found = read_artifact(tmp_path / "a.json", None, where="r")
    with pytest.raises(RulesError, match=says):
        ask(found)
    assert found.tensor("a", (None, 4)).shape == (3, 4)
    assert np.isnan(found.tensor("wide", (2, 2), unknown=True)[0, 1])


def test_an_artifact_lies_beside_its_rules(tmp_path: Path) -> None:
    folder = tmp_path / "rules"
    (folder / "sub").mkdir(parents=True)
    (tmp_path / "secret.json").write_text("{}")
    (folder / "link.json").symlink_to(tmp_path / "secret.json")
    (folder / "inside.json").symlink_to(folder / "sub" / "a.json")
    assert artifact_path(folder, "sub/a.json", where="r") == folder / "sub" / "a.json"
    assert artifact_path(folder, "sub/../a.json", where="r") == folder / "sub/../a.json"
    assert artifact_path(folder, "inside.json", where="r") == folder / "inside.json"
    for name in (
        "", "../secret.json", "sub/../../secret.json", str(tmp_path / "secret.json"), "link.json", "a\0.json",
        "C:\\a.json", "c:a.json", "\\\\host\\a.json", "a" * 5000 + "/../../x.json",
    ):  # fmt: skip
        with pytest.raises(RulesError, match=r"r: the artifact .* is not inside the folder of the rules file"):
            artifact_path(folder, name, where="r")

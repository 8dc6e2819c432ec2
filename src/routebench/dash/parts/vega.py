"""The drawing library that charts need in the browser, taken from the installed package: nothing is fetched."""

from __future__ import annotations

import gzip
import os
import tempfile
from functools import cache
from importlib.metadata import version
from pathlib import Path

import anywidget
import traitlets
from platformdirs import user_cache_dir

_GRAMMAR = "v6_4"
_SNIPPET = "export default vegaEmbed;"


class VegaSource(anywidget.AnyWidget):
    """The library as a widget: one for all charts of a kernel, so that it is sent to the page once.

    Attributes:
        source: an ES module that exports vega-embed, gzipped.
    """

    _esm = "export default {}"
    source = traitlets.Bytes().tag(sync=True)


@cache
def vega_source() -> VegaSource:
    """Returns the widget of this kernel."""
    return VegaSource(source=bundled())


def bundled(folder: Path | None = None) -> bytes:
    """Returns vega-embed with Vega and Vega-Lite as one gzipped ES module.

    Bundling takes a second in which nothing else runs, so what it gives is kept beside other caches of the user.

    Args:
        folder: where it is kept; the user's cache folder when left out.
    """
    kept = (folder or Path(user_cache_dir("routebench"))) / f"vega-{version('vl-convert-python')}-{_GRAMMAR}.mjs.gz"
    if kept.exists():
        return kept.read_bytes()
    import vl_convert

    made = gzip.compress(vl_convert.javascript_bundle(_SNIPPET, vl_version=_GRAMMAR).encode(), mtime=0)
    _keep(kept, made)
    return made


def _keep(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        # Whole or not at all: another kernel may be starting at the same moment.
        Path(name).replace(path)
    except OSError:
        # A cache that cannot be written costs a second at the next start, and nothing else.
        return

"""What reaches the server from our process: named variables, so that no key slips through; and signals that end it."""

from __future__ import annotations

import signal
from collections.abc import Collection, Mapping
from pathlib import Path

_NAMES = frozenset(
    "PATH HOME USER LOGNAME LANG LANGUAGE TZ VIRTUAL_ENV LD_LIBRARY_PATH DYLD_LIBRARY_PATH PYTHONPATH "
    "PYTHONHASHSEED PYTHONDONTWRITEBYTECODE OMP_NUM_THREADS OPENBLAS_NUM_THREADS MKL_NUM_THREADS OMP_WAIT_POLICY "
    "SYSTEMROOT USERPROFILE APPDATA LOCALAPPDATA PATHEXT COMSPEC SSL_CERT_FILE SSL_CERT_DIR".split()
)
_PREFIX = "LC_"
ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""The signals by which a service is ended; not every system has both."""


def clean_environment(environment: Mapping[str, str], folder: Path, keys: Collection[str] = ()) -> dict[str, str]:
    """Returns the environment of the server and its kernels.

    Proxies are left out too: their addresses hold passwords.

    Args:
        environment: ours.
        folder: the server's own; settings and files of the user's JupyterLab and IPython are not read.
        keys: variables that models need, passed only where runs are allowed.
    """
    kept = {
        name: value for name, value in environment.items() if name in _NAMES or name.startswith(_PREFIX) or name in keys
    }
    return {
        **kept,
        # A visitor's page must not leave the past of another in a history file.
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTER_PATH": str(Path(__file__).parent / "jupyter"),
        "JUPYTER_PLATFORM_DIRS": "1",
        "JUPYTER_PREFER_ENV_PATH": "1",
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "PYTHONUNBUFFERED": "1",
        # What a kernel leaves behind, however it ends, goes with the folder.
        "TMPDIR": str(folder),
    }

"""The process that serves one GGUF file over HTTP on loopback; started by the embedded provider.

Prints its address on the first line of standard output, then serves until standard input closes, which happens
also when the parent is killed: no orphan keeps a core busy.
"""

from __future__ import annotations

import os
import sys


def main(weights: str, context: str) -> None:
    """Serves the weights with one thread and one slot."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = weights
    params.n_ctx = int(context)
    params.n_parallel = 1
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    # One thread a server: on a busy machine more threads wait for each other and decode many times slower.
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)  # noqa: T201 - the parent reads it
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])

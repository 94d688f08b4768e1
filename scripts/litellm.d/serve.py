"""Runs the LiteLLM proxy on a free port of 127.0.0.1, and ends as soon as the process that started it is gone.

Uvicorn's own line `Uvicorn running on http://127.0.0.1:PORT` says when it serves, and where.
"""

import os
import sys
import threading
import time

parent = os.getppid()


def end_with_parent():
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(0)


def stay_at_home(event, arguments):
    """Refuses every address but this machine's, so that no setting of a later version can call out."""
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event == "socket.connect" and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    else:
        return
    if isinstance(host, bytes):
        host = host.decode()
    if host not in (None, "", "127.0.0.1", "localhost", "::1"):
        print(f"REFUSED {event} {host}", file=sys.stderr, flush=True)
        raise PermissionError(f"this proxy talks to this machine only, not to {host}")


threading.Thread(target=end_with_parent, daemon=True).start()
sys.addaudithook(stay_at_home)

# What LiteLLM would fetch, send or serve beside its work; read when it is imported.
os.environ.update(
    LITELLM_LOCAL_MODEL_COST_MAP="True",
    LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS="True",
    LITELLM_TELEMETRY="False",
    HF_HUB_OFFLINE="1",
    NO_DOCS="True",
    NO_REDOC="True",
)
from litellm.proxy import proxy_cli  # noqa: E402

# uvloop looks names up by itself, past the audit.
proxy_cli.ProxyInitializationHelpers._get_loop_type = staticmethod(lambda: "asyncio")
proxy_cli.run_server(["--config", sys.argv[1], "--host", "127.0.0.1", "--port", "0", "--telemetry", "False"])

"""Runs llama.cpp's own HTTP server, from the xllamacpp wheel, on 127.0.0.1.

Prints `LISTENING http://127.0.0.1:PORT` once the model is loaded. Ends on SIGTERM or SIGINT and, with --with-parent,
as soon as the process that started it is gone, however that process ended.
"""

import argparse
import os
import pathlib
import signal
import threading

arguments = argparse.ArgumentParser()
arguments.add_argument("--model", required=True)
arguments.add_argument("--template", required=True)
arguments.add_argument("--port", type=int, default=0)
arguments.add_argument("--api-key", default="")
arguments.add_argument("--alias", default="local")
arguments.add_argument("--tokens-per-slot", type=int, default=8192)
arguments.add_argument("--slots", type=int, default=2)
arguments.add_argument("--threads", type=int, default=2)
arguments.add_argument("--max-tokens", type=int, default=256)
arguments.add_argument("--with-parent", action="store_true")
options = arguments.parse_args()

parent = os.getppid()
# The wheel is imported after the arguments, so that --help works without it.
import xllamacpp  # noqa: E402

p = xllamacpp.CommonParams()
p.model.path = options.model
p.model_alias = options.alias
p.chat_template = pathlib.Path(options.template).read_text()
p.use_jinja = True
p.hostname = "127.0.0.1"
p.port = options.port
p.n_ctx = options.tokens_per_slot * options.slots
p.n_parallel = options.slots
p.cpuparams.n_threads = p.cpuparams_batch.n_threads = options.threads
# Both used only where a request says nothing: a small model may never stop, and tests want the same answer twice.
p.n_predict = options.max_tokens
p.sampling.temp = 0
p.webui = False
p.offline = True
p.cache_ram_mib = 0
p.api_keys = [options.api_key] if options.api_key else []

server = xllamacpp.Server(p)
print("LISTENING", server.listening_address, flush=True)

stop = threading.Event()
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda *_: stop.set())
while not stop.wait(0.2):
    if options.with_parent and os.getppid() != parent:
        break
# The server's own threads are not joined: a request in flight would hold the exit up.
os._exit(0)

"""Takes vLLM's place in tests of `mint.serve`: starts in no time and misbehaves on demand.

Flags of its own, given through vllm_args: --fail, --never-healthy, --die (once it has said what it
serves), --orphan (a child in a session of its own), --wrong-name, --dump=FILE.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SLEEP = [sys.executable, "-c", "import time; time.sleep(300)"]


def value(flag: str) -> str:
    return sys.argv[sys.argv.index(flag) + 1]


def option(name: str) -> str | None:
    found = [a.partition("=")[2] for a in sys.argv if a.split("=")[0] == f"--{name}"]
    return found[0] if found else None


def names() -> list[str]:
    served = [value("--served-model-name")]
    if "--lora-modules" in sys.argv:
        served += [a.split("=")[0] for a in sys.argv if "=" in a and not a.startswith("-")]
    return ["another"] if option("wrong-name") is not None else served


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        healthy = option("never-healthy") is None
        body = json.dumps({"data": [{"id": name} for name in names()]}).encode()
        self.send_response(200 if healthy else 503)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        if option("die") is not None and self.path == "/v1/models":
            threading.Timer(0.3, die).start()

    def log_message(self, *args: object) -> None:
        pass


def die() -> None:
    print("CUDA error: an illegal memory access", flush=True)
    os._exit(7)


if __name__ == "__main__":
    if option("fail") is not None:
        raise ValueError("no such quantization: int3")
    children = [subprocess.Popen(SLEEP)]
    if option("orphan") is not None:
        children.append(subprocess.Popen(SLEEP, start_new_session=True))
    dump = option("dump")
    if dump is not None:
        facts = {
            "argv": sys.argv,
            "env": dict(os.environ),
            "pids": [os.getpid(), *(child.pid for child in children)],
        }
        with Path(dump).open("a", encoding="utf-8") as file:
            file.write(json.dumps(facts) + "\n")
    ThreadingHTTPServer((value("--host"), int(value("--port"))), Handler).serve_forever()

"""How much processor time the HTTP client of the graders takes a request, against a server that
answers at once: `python scripts/client_throughput.py [requests] [kilobytes]`."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time

from rewards.serving.cassette import Request
from rewards.serving.client import GraderClient
from rewards.serving.settings import EndpointConfig

ANSWER = b'{"data": [{"score": 0.5}]}'
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(
    ANSWER
)


async def serve() -> None:
    """Answers every POST with the same JSON; prints its port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                await reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))
                writer.write(HEAD + ANSWER)
        except asyncio.IncompleteReadError:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def ask(port: int, count: int, kilobytes: int) -> tuple[float, float]:
    """Seconds of the wall clock and of this process for `count` requests."""
    settings = EndpointConfig(urls=[f"http://127.0.0.1:{port}"], model="m", concurrency=128)
    client = GraderClient(settings)
    body = {"model": "m", "prompt": "word " * (200 * kilobytes)}
    requests = [Request("/classify", {**body, "number": n}) for n in range(count)]
    wall, own = time.perf_counter(), time.process_time()
    answers = await client.ask_all(requests, [lambda answer: answer] * count)
    assert all(isinstance(answer, dict) for answer in answers), answers[0]
    return time.perf_counter() - wall, time.process_time() - own


def main(count: int = 4000, kilobytes: int = 4) -> None:
    """Measure and print."""
    server = subprocess.Popen(
        [sys.executable, __file__, "serve"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        wall, own = asyncio.run(ask(port, count, kilobytes))
    finally:
        server.kill()
        server.wait()
    print(
        f"{count} requests of {kilobytes} kB: {own / count * 1000:.2f} ms of this process each, "
        f"{count / own:.0f} a second and core; {count / wall:.0f} a second here"
    )


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        asyncio.run(serve())
    else:
        main(*map(int, sys.argv[1:]))

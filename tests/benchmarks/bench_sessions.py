"""How a server holds many people at once: sessions that query over and over, on loopback, for a bounded time.

    python tests/benchmarks/bench_sessions.py BUNDLE [--sessions 30] [--seconds 120]

Each session opens a socket as a browser would, asks for the page of a molecule of the library, waits until the page has
run to its end, fetches the pictures that it names and the session has not seen, and asks for the next. Prints how many
pages and errors there were, latencies (with and without pictures) and the memory of the server.
"""

import argparse
import asyncio
import html
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlencode

import httpx
import numpy as np
import pandas as pd
import psutil
import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

START_S = 120


PICTURE = re.compile(r'src="\./(pictures/[^"]+)"')
AT_ONCE = 6  # as many as a browser asks one server for


async def session(port: int, molecules: list[str], until: float, seed: int, pause_s: float,
                  wait_s: float = 0.0) -> tuple[list[float], list[float], int]:
    """Latencies (s) of one session's pages without and with their pictures, and how many showed an error."""
    generator, seen = random.Random(seed), set[str]()
    pages: list[float] = []
    complete: list[float] = []
    errors = 0
    await asyncio.sleep(wait_s)
    # A connection is given up before the server does, after 5 s: a browser would only ask again
    limits = httpx.Limits(max_connections=AT_ONCE, keepalive_expiry=2)
    async with (websockets.connect(f"ws://127.0.0.1:{port}/_stcore/stream", max_size=None,
                                   subprotocols=["streamlit"]) as channel,
                httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/", limits=limits, timeout=60) as browser):
        while time.monotonic() < until:
            message = BackMsg()
            message.rerun_script.query_string = urlencode({"molecule": generator.choice(molecules)})
            start, wanted = time.monotonic(), list[str]()
            await channel.send(message.SerializeToString())
            while True:
                answer = ForwardMsg()
                answer.ParseFromString(await asyncio.wait_for(channel.recv(), 60))
                kind = answer.WhichOneof("type")
                element = answer.delta.new_element if kind == "delta" else None
                if element is not None and element.WhichOneof("type") in ("exception", "alert"):
                    errors += element.alert.format == element.alert.ERROR or bool(element.exception.message)
                if element is not None and element.WhichOneof("type") == "html":
                    wanted += [html.unescape(found) for found in PICTURE.findall(element.html.body)]
                if kind == "script_finished":
                    break
            pages.append(time.monotonic() - start)
            fetched = await asyncio.gather(*(browser.get(one) for one in dict.fromkeys(wanted) if one not in seen))
            errors += sum(one.status_code != 200 for one in fetched)
            seen.update(wanted)
            complete.append(time.monotonic() - start)
            await asyncio.sleep(generator.random() * 2 * pause_s)
    return pages, complete, errors


async def together(port: int, molecules: list[str], sessions: int, seconds: float, pause_s: float,
                   server: psutil.Process, arrive_over_s: float = 0.0) -> dict[str, object]:
    """All sessions, which begin one after another within a time, and the server's memory while they run."""
    until, memory = time.monotonic() + seconds, []

    async def watch() -> None:
        while time.monotonic() < until:
            memory.append(server.memory_info().rss / 1e6)
            await asyncio.sleep(1)

    before = sum(server.cpu_times()[:2])
    watching = asyncio.create_task(watch())
    results = await asyncio.gather(*(session(port, molecules, until, number, pause_s, arrive_over_s * number / sessions)
                                     for number in range(sessions)),
                                   return_exceptions=True)
    await watching
    broken = [result for result in results if isinstance(result, BaseException)]
    good = [result for result in results if not isinstance(result, BaseException)]
    latencies = np.array([value for values, _, _ in good for value in values])
    complete = np.array([value for _, values, _ in good for value in values])
    used = sum(server.cpu_times()[:2]) - before
    third = max(1, len(memory) // 3)
    first = np.array([values[0] for values, _, _ in good if values])
    return {"sessions": sessions, "seconds": seconds, "pages": len(latencies), "pages_per_s": len(latencies) / seconds,
            "server_cpu_s_per_page": used / max(1, len(latencies)),
            "broken_sessions": [repr(one) for one in broken], "pages_with_error": sum(errors for _, _, errors in good),
            "median_s": float(np.median(latencies)), "p95_s": float(np.quantile(latencies, 0.95)),
            "max_s": float(latencies.max()), "first_page_median_s": float(np.median(first)),
            "first_page_p95_s": float(np.quantile(first, 0.95)), "median_with_pictures_s": float(np.median(complete)),
            "p95_with_pictures_s": float(np.quantile(complete, 0.95)), "load_of_machine": os.getloadavg()[0],
            "memory_first_third_mb": float(np.median(memory[:third])),
            "memory_last_third_mb": float(np.median(memory[-third:])), "memory_max_mb": max(memory)}


def main() -> None:
    """Serves, waits, measures, prints JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--sessions", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--pause-s", type=float, default=5, help="mean time between two pages of a session")
    parser.add_argument("--arrive-over-s", type=float, default=0, help="time within which the sessions begin")
    asked = parser.parse_args()
    library = pd.read_parquet(asked.bundle / "molecules.parquet")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    line = [sys.executable, "-c", "from dssl_bio.pipelines.main import main; main()", "serve", str(asked.bundle),
            "--port", str(port), "--no-browser"]
    process = subprocess.Popen(line, env={**os.environ, "OMP_NUM_THREADS": "1"}, start_new_session=True)
    try:
        until = time.monotonic() + START_S
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=2).close()
                break
            except OSError:
                assert time.monotonic() < until, "the server did not start"
                time.sleep(0.2)
        server = psutil.Process(process.pid).children()[0]
        molecules = library["Metadata_SMILES"].sample(min(200, len(library)), random_state=0).tolist()
        asyncio.run(together(port, molecules, 1, 12, 1, server))  # the model is loaded by now
        measured = asyncio.run(together(port, molecules, asked.sessions, asked.seconds, asked.pause_s, server,
                                        asked.arrive_over_s))
        print(json.dumps(measured, indent=1))
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


if __name__ == "__main__":
    main()

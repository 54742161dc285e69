"""A real Prometheus on loopback that scrapes a small exporter five times a second."""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.loadtest.harness import free_port

_CONFIG = """
global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}
scrape_configs:
  - job_name: shop
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""
_PATIENCE_S = 60.0


class Exporter(ThreadingHTTPServer):
    """Shows the numbers in ``gauges``, and a counter that grows by ``per_s`` a second."""

    daemon_threads = True

    def __init__(self, **gauges: float) -> None:
        super().__init__(("127.0.0.1", 0), _Page)
        self.gauges, self.per_s = dict(gauges), 0.25
        self.began_s = time.monotonic()

    def text(self) -> str:
        lines = [f"{name} {value}" for name, value in self.gauges.items()]
        lines += ['shop_worker{id="1"} 1', 'shop_worker{id="2"} 2']
        lines.append(f"shop_cpu_seconds_total {self.per_s * (time.monotonic() - self.began_s)}")
        return "\n".join(lines) + "\n"


class _Page(BaseHTTPRequestHandler):
    server: Exporter

    def do_GET(self) -> None:
        body = self.server.text().encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextlib.contextmanager
def prometheus(folder: Path, exporter: Exporter) -> Iterator[str]:
    """Serve an exporter and a Prometheus that has scraped it twice; yields the latter's URL."""
    program = shutil.which("prometheus")
    assert program, "install it: apt-get install prometheus"
    thread = threading.Thread(target=exporter.serve_forever, daemon=True)
    thread.start()
    (folder / "prometheus.yml").write_text(_CONFIG.format(port=exporter.server_port))
    url = f"http://127.0.0.1:{(port := free_port())}"
    command = [
        program,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
    ]
    log = folder / "prometheus.log"
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out) as child:
        try:
            until_s = time.monotonic() + _PATIENCE_S
            while _scrapes(url) < 2:
                assert child.poll() is None, log.read_text()
                assert time.monotonic() < until_s, log.read_text()
            yield url
        finally:
            child.terminate()
            exporter.shutdown()
            exporter.server_close()
            thread.join()


def _scrapes(url: str) -> int:
    try:
        query = "/api/v1/query?query=count_over_time(shop_cpu_seconds_total[1m])"
        with urllib.request.urlopen(url + query, timeout=5) as answer:
            found = json.load(answer)["data"]["result"]
            return int(found[0]["value"][1]) if found else 0
    except (OSError, http.client.HTTPException, ValueError):
        return 0

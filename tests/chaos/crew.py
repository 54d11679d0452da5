"""The workers of the lab: their config, their clocks, their logs as they grow."""
import json
import os
import pathlib
import re
import signal
import struct
import time
import urllib.request

from ground import HOST, HTTP_PORTS, PROXY, REGISTRY_API, WORKERS
from servers import Server

AGENT = "lab"
TOOLS = {"look": True, "find": True, "book": False}  # name → repeatable
PARAMETERS = {"type": "object", "required": ["q"], "properties": {"q": {"type": "string"}, "n": {"type": "integer"}}}
BAD_WORDS = ("AddressSanitizer", "ThreadSanitizer", "LeakSanitizer", "runtime error:", "BUG:")
PARTITION = re.compile(r'"event":"(kafka\.partition\.assigned)".*?"partition":(\d+)')
MAX_IN_FLIGHT = 400


def settings(name, folder, changes):
    """The config of all workers; every address in it is the proxy's."""
    model = {"url": f"http://{HOST}:{PROXY['model']}/v1", "model": "gpt-4o", "key": "a-key", "timeout": "30s"}
    fast = {"backoff_min": "200ms", "backoff_max": "2s"}
    return {
        "kafka": {"bootstrap.servers": ",".join(f"{HOST}:{PROXY[f'kafka-{n}']}" for n in (1, 2, 3)), "group.id": name},
        "schema_registry": {"url": f"http://{HOST}:{PROXY['registry']}{REGISTRY_API}"},
        "redis": {"url": f"redis://{HOST}:{PROXY['redis']}/0", "prefix": f"{name}:"},
        "http": {"listen": f"{HOST}:0"},
        "agents": {AGENT: {"system_prompt": "You help.", "models": ["primary"], "tools": list(TOOLS), "session_token_budget": 0,
                           "token_budget": 32768, "session_memory": True, "max_in_flight": MAX_IN_FLIGHT, "max_waiting": 2000}},
        "models": {"primary": model},
        "tool_definitions": str(folder / "definitions"),
        "topics": {"tasks_prefix": f"{name}.tasks.", "results": f"{name}.results", "events": f"{name}.events", "dlq": f"{name}.dlq",
                   "dlq_actions": f"{name}.dlq.actions", "definitions": f"{name}.definitions", "partitions": 6, "replication": 3},
        "retry": {"model": fast, "tool": fast},
        "breaker": {"open": "3s"},
        "worker": {"commit_interval": "50ms", **changes},
    }


def write_tools(folder):
    (folder / "definitions").mkdir(parents=True, exist_ok=True)
    for name, repeatable in TOOLS.items():
        tool = {"name": name, "version": "1.0.0", "description": f"{name} something", "parameters": PARAMETERS, "auth_type": "none",
                "endpoint": f"http://{HOST}:{PROXY['tools']}/tools/{name}", "timeout_ms": 15000, "repeatable": repeatable}
        (folder / "definitions" / f"{name}.json").write_text(json.dumps(tool), encoding="utf-8")


def write_config(name, folder, **changes):
    path = folder / "stepmill.yaml"
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(settings(name, folder, changes), indent=2), encoding="utf-8")
    fresh.rename(path)  # a worker that starts now reads one or the other
    return path


class LabWorker(Server):
    """A worker under the clock shim. `busy`: a fault is under way, nobody else may touch it."""

    def __init__(self, n, folder, program, config, shim):
        self.clock = folder / "clock"
        folder.mkdir(parents=True, exist_ok=True)
        self.clock.write_bytes(bytes(16))
        super().__init__(f"worker-{n}", folder, [program, "worker", "--config", config, "--set", f"http.listen={HOST}:{HTTP_PORTS[n]}"],
                         {"LD_PRELOAD": str(shim), "STEPMILL_CHAOS_CLOCK": str(self.clock)})
        self.n, self.busy, self.read, self.started = n, False, 0, 0.0
        self.kept, self.log_from = b"", 0

    def start(self):
        log = self.folder / "log"
        self.log_from = log.stat().st_size if log.exists() else 0
        super().start()
        self.started = time.time()

    def started_up(self):
        """Whether this process has said so: before, it has no handlers of signals."""
        with open(self.folder / "log", "rb") as f:
            f.seek(self.log_from)
            return b'"event":"worker.start"' in f.read(1 << 20)

    def jumps(self):
        return struct.unpack("qq", self.clock.read_bytes())

    def set_clock(self, realtime_ns, boottime_ns):
        """In place: the worker has the file mapped."""
        with open(self.clock, "r+b") as f:
            f.write(struct.pack("qq", realtime_ns, boottime_ns))

    def new_lines(self):
        """Lines of the log since the last time."""
        path = self.folder / "log"
        if not path.exists():
            return []
        with open(path, "rb") as f:
            f.seek(self.read)
            data = f.read(8 << 20)
        self.read += len(data)
        *lines, self.kept = (self.kept + data).split(b"\n")
        return [line.decode(errors="replace") for line in lines]

    def get(self, path):
        """Text of a probe, or None when nobody answers in time."""
        try:
            return urllib.request.urlopen(f"http://{HOST}:{HTTP_PORTS[self.n]}{path}", timeout=2).read().decode()
        except OSError:
            return None

    def metrics(self):
        """name{labels} → value; None when nobody answers."""
        text = self.get("/metrics")
        if text is None:
            return None
        rows = (line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, _, value in rows}

    def rss(self):
        """KiB of memory it holds, or None."""
        try:
            status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        except (OSError, AttributeError):
            return None
        found = re.search(r"VmRSS:\s+(\d+)", status)
        return int(found[1]) if found else None

    def reload(self):
        self.signal(signal.SIGHUP)


def make_workers(folder, program, config, shim):
    return [LabWorker(n, folder / f"worker-{n}", program, config, shim) for n in WORKERS]


def niced(pid, by):
    """The lab's own work must not starve what it watches."""
    try:
        os.setpriority(os.PRIO_PROCESS, pid, by)
    except OSError:
        pass

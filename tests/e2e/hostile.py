"""What means harm: Avro written by hand, and a registry that lies."""
import json
import pathlib
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests

from places import schema_text
from records import new_task

SCHEMA = json.loads(schema_text("AgentTaskEvent"))


# ---- Avro, byte by byte


def long(n):
    """Zigzag; `n` may be any number of 64 bits."""
    n = ((n << 1) ^ (n >> 63)) & (1 << 64) - 1
    out = b""
    while n >= 0x80:
        out += bytes([n & 0x7f | 0x80])
        n >>= 7
    return out + bytes([n])


def string(value):
    value = value.encode() if isinstance(value, str) else value
    return long(len(value)) + value


def entries(pairs):
    """A map of strings in one block."""
    pairs = list(pairs)
    return (long(len(pairs)) + b"".join(string(k) + string(v) for k, v in pairs) if pairs else b"") + long(0)


def optional(value, write):
    return long(0) if value is None else long(1) + write(value)


def avro_task(task, **raw):
    """The fields of a task one after another; `raw`: bytes in place of some of them."""
    wrote = {**{name: string(task[name]) for name in ("task_id", "source_agent", "target_agent", "session_id", "prompt")},
             "context": entries(task["context"].items()), "created_at": long(task["created_at"]),
             **{name: optional(task[name], long) for name in ("max_steps", "token_budget", "deadline_at")},
             "parent_task_id": optional(task["parent_task_id"], string), **raw}
    return b"".join(wrote[field["name"]] for field in SCHEMA["fields"])


def wire(schema_id, avro):
    return struct.pack(">bI", 0, schema_id) + avro


def by_hand(**raw):
    """A row's maker: a good task of our own schema but for these bytes."""
    return lambda world, task: wire(world.task_schema_id(), avro_task(task, **raw))


def with_field(kind, raw):
    """A row's maker: a good task, and behind it a field of this type with these bytes."""
    schema = {**SCHEMA, "fields": [*SCHEMA["fields"], {"name": "x", "type": kind}]}
    return lambda world, task: wire(world.registry.serve(schema), avro_task(task) + raw)


def by_schema(schema, **members):
    """A row's maker: a good task under this schema's id."""
    return lambda world, task: wire(world.registry.serve(schema, **members), avro_task(task))


# ---- a registry


def as_json(handler, body, status=200, headers=()):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    handler.send_response(status)
    for name, value in [("Content-Type", "application/json"), ("Content-Length", str(len(body))), *headers]:
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


class LyingRegistry:
    """Passes requests on to the registry, except for the schema ids of its own: those are answered as each was told."""

    def __init__(self, target):
        registry = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def serve(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                lie = registry.lies.get(self.path.split("?")[0])
                try:
                    if lie:
                        registry.asked[self.path] = registry.asked.get(self.path, 0) + 1
                        lie(self)
                        return
                    answer = requests.request(self.command, target + self.path, data=body, timeout=20,
                                              headers={"Content-Type": self.headers.get("Content-Type") or "application/json"})
                    as_json(self, answer.content, answer.status_code)
                except OSError:
                    self.close_connection = True  # the worker had enough of it

            do_GET = do_POST = do_PUT = serve

            def log_message(self, *_):
                pass

        self.lies, self.asked, self.closing = {}, {}, threading.Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def path(self, schema_id):
        return f"/schemas/ids/{schema_id}"

    def lie(self, how):
        """An id of its own that is answered by `how(handler)`."""
        schema_id = 1_000_000 + len(self.lies)
        self.lies[self.path(schema_id)] = how
        return schema_id

    def serve(self, schema, **members):
        """An id of its own for any text or schema."""
        text = schema if isinstance(schema, str) else json.dumps(schema)
        return self.lie(lambda handler: as_json(handler, {"schema": text, **members}))

    def heal(self, schema_id):
        """From now on this id is our own schema's."""
        self.lies[self.path(schema_id)] = lambda handler: as_json(handler, {"schema": schema_text("AgentTaskEvent")})

    def close(self):
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()


# ---- what a process costs


def cpu_seconds(pid):
    """Of all threads that live, to the nanosecond; /proc/PID/stat counts in ticks of 10 ms."""
    return sum(int(path.read_text(encoding="ascii").split()[0]) for path in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


class Meter:
    """The worker's CPU: that of all its threads, less what they use anyway."""

    def __init__(self, world):
        self.world, self.idle = world, 0
        world.settled()
        world.dlq.all()
        self.idle = self.measure(lambda: time.sleep(2))[1]

    def measure(self, work):
        """(seconds of CPU, the same per second that passed)"""
        begin, before = time.monotonic(), cpu_seconds(self.world.workers[0].process.pid)
        work()
        passed, used = time.monotonic() - begin, cpu_seconds(self.world.workers[0].process.pid) - before
        return used - self.idle * passed, used / passed

    def cost(self, values):
        """In ms per record, until the last dead letter is committed."""
        letters = len(self.world.dlq.records) + len(values)  # the one before waited for all of its own

        def work():
            for n, value in enumerate(values):
                self.world.writer.send(self.world.tasks_topic(), f"cost-{n}".encode(), value)
            self.world.writer.flush()
            self.world.dlq.until(letters, 60)

        return self.measure(work)[0] / len(values) * 1000


def memory_peak(pid, reset=False):
    """Largest resident memory since the last reset, in bytes."""
    if reset:
        with open(f"/proc/{pid}/clear_refs", "w", encoding="ascii") as f:
            f.write("5")
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmHWM"))


def odd_task(**fields):
    return {**new_task("[[fake: steps=1 answer=\"done\"]]"), **fields}

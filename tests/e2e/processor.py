"""A running `stepmill dlq serve`, and what its API would write."""
import json
import subprocess
import time
import uuid

import fastavro
import requests

from places import STEPMILL, schema_text
from records import encode
from worker import Worker, die_with_parent, wait_for

ACTION_SCHEMA = fastavro.parse_schema(json.loads(schema_text("DeadLetterAction")))
EMPTY_ACTION = {"actor_kind": "user", "reason": "", "request": "", "letter": "", "group": "", "job": "", "name": "", "detail": "",
                "due_at": None, "letters": [], "last": False, "filter": [], "counts": [], "cap": 0, "rate": 0, "canary": 0,
                "from_start": False, "redrives": 0, "topic": "", "task_id": "", "edited": False}


class Processor(Worker):
    """`world.settings["dlq"]` may hold what differs from the defaults."""

    def __init__(self, world, **dlq):
        self.log_path = world.folder / f"processor-{len(world.workers)}.log"
        self.ended, self.troubles = False, []
        settings = {"listen": "127.0.0.1:0", "folder": str(world.folder / "index"), "name": world.name,
                    "access": {"anonymous": "admin"}, "redrive": {"rate": 10000}, **dlq}
        config = world.write_config(self.log_path.stem + ".yaml", dlq=settings)
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([STEPMILL, "dlq", "serve", "--config", str(config)], stderr=log, stdout=log,
                                            preexec_fn=die_with_parent)
        world.workers.append(self)
        self.world = world

    @property
    def port(self):
        return self.wait_log("dlq.start")[0]["http_port"]

    def engine(self, seconds=60):
        """Waits until it decides."""
        self.wait_log("dlq.engine_ready", seconds)
        return self

    def api(self, method, path, **more):
        return requests.request(method, f"http://127.0.0.1:{self.port}/api/v1{path}", timeout=30, **more)


def write_action(world, **action):
    """An action as the API writes it, for what the engine makes of it."""
    subject = f"{world.topic('dlq.actions')}-value"
    action = {**EMPTY_ACTION, "id": str(uuid.uuid4()), "at": int(time.time() * 1000), "actor": "e2e", **action}
    key = action["job"] or action["letter"] or action["group"] or action["id"]
    world.writer.send(world.topic("dlq.actions"), key, encode(world.schemas.latest(subject)["id"], ACTION_SCHEMA, action))
    world.writer.flush()


def request_job(world, letters=(), **more):
    """Returns the job's id."""
    job = str(uuid.uuid4())
    terms = [{"name": name, "value": value} for name, value in more.pop("filter", {}).items()]
    write_action(world, kind="job_requested", job=job, reason="e2e", letters=[{"id": i} for i in letters], filter=terms, **more)
    return job


def actions_of(world, kind=None, **fields):
    """Actions as they lie in the topic, those of one id once."""
    found = {}
    for r in world.reader("dlq.actions").all():
        if (kind is None or r.data["kind"] == kind) and all(r.data[k] == v for k, v in fields.items()):
            found.setdefault(r.data["id"], r.data)
    return list(found.values())


def wait_action(world, kind, seconds=60, count=1, **fields):
    def look():
        found = actions_of(world, kind, **fields)
        return found if len(found) >= count else None

    return wait_for(f"{count} x {kind} {fields}", seconds, look)

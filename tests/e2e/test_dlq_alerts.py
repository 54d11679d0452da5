"""Alerts: each new cause is told once, over restarts too, and is told to be resolved."""
import hashlib
import hmac
import json
import shutil
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from letters import index
from places import TIME_FACTOR
from processor import Processor, actions_of, wait_action, write_action
from records import new_task
from test_dlq_redrive import put_letters
from worker import wait_for


@pytest.fixture
def receiver():
    """Takes what is posted; the first call of each path is refused."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            refused = self.path not in server.refused
            server.refused.add(self.path)
            if not refused:
                server.calls.append((self.path, dict(self.headers), body))
            self.send_response(500 if refused else 202)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.calls, server.refused = [], set()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def calls_of(receiver, path):
    return [(headers, json.loads(body)) for called, headers, body in receiver.calls if called == path]


def test_a_new_cause_is_told_once_and_its_end_too(world, receiver):
    url = f"http://127.0.0.1:{receiver.server_port}"
    alerts = {"alerts": {"pagerduty": {"url": f"{url}/pagerduty", "key": "a-key"}, "slack": {"url": f"{url}/slack"},
                         "webhook": {"url": f"{url}/webhook", "secret": "shared"}}, "public_url": "https://dlq.example.com"}
    world.start()
    world.submit(*(new_task("[[fake: steps=1 fail=400]]") for _ in range(3)))
    letters = [r.header("stepmill.id") for r in world.dlq.until(3, 60)]
    group = world.dlq.records[0].header("stepmill.fingerprint")
    processor = Processor(world, **alerts).engine()
    wait_action(world, "alerted", 120, count=3)
    assert {(a["group"], a["name"], a["detail"]) for a in actions_of(world, "alerted")} == {
        (group, sink, "new") for sink in ("pagerduty", "slack", "webhook")}
    (_, event), = calls_of(receiver, "/pagerduty")
    assert (event["event_action"], event["dedup_key"], event["routing_key"]) == ("trigger", f"stepmill-dlq-{group}", "a-key")
    (headers, _), = calls_of(receiver, "/webhook")
    body, = (body for path, _, body in receiver.calls if path == "/webhook")
    expected = hmac.new(b"shared", headers["X-Stepmill-Timestamp"].encode() + b"." + body, hashlib.sha256).hexdigest()
    assert headers["X-Stepmill-Signature"] == f"sha256={expected}"

    processor.stop()
    shutil.rmtree(world.folder / "index")
    processor = Processor(world, **alerts).engine()
    time.sleep(5)
    assert len(receiver.calls) == 3, "a restart tells nothing again, nor does an index that was made again"
    for letter in letters:
        write_action(world, kind="discarded", letter=letter, reason="e2e")
    wait_for("the end is told", 60, lambda: [e["event_action"] for _, e in calls_of(receiver, "/pagerduty")] == ["trigger", "resolve"])
    processor.stop()


def test_a_spike_and_a_return_are_told_and_one_in_an_hour_is_enough(world, receiver):
    """What was told before the processor came lies in the topic: two hours ago, or ten minutes ago."""
    receiver.refused.add("/webhook")
    alerts = {"alerts": {"spike_min": 20, "webhook": {"url": f"http://127.0.0.1:{receiver.server_port}/webhook"}}}
    spike, back, quiet = "a" * 16, "b" * 16, "c" * 16
    hour, now = 3600000, int(time.time() * 1000)

    def letters(first):
        for place, (group, count) in enumerate(((spike, 30), (back, 1), (quiet, 30))):
            put_letters(world, count, first=first + 100 * place, **{"stepmill.fingerprint": group})

    letters(0)
    for group, ago in ((spike, 2 * hour), (back, 2 * hour), (quiet, hour // 6)):
        write_action(world, kind="alerted", group=group, name="webhook", detail="new", at=now - ago)
    write_action(world, kind="group_resolved", group=back, at=now - hour)
    processor = Processor(world, **alerts).engine()
    wait_action(world, "alerted", 60, count=5)
    told = {(body["group"], body["kind"]) for _, body in calls_of(receiver, "/webhook")}
    assert told == {(spike, "spike"), (back, "returned")} and len(receiver.calls) == 2

    processor.stop()
    processor = Processor(world, **alerts).engine()
    letters(1000)
    wait_for("the letters are known", 60, lambda: index(processor, "SELECT count(*) FROM letters")[0][0] >= 122)
    time.sleep(4)  # a look comes a second after the news
    assert len(receiver.calls) == 2, receiver.calls[2:]
    processor.stop()


def test_letters_that_keep_coming_do_not_put_off_the_alert(world, receiver):
    """A look comes a second after news; news in between must not move it on for ever."""
    receiver.refused.add("/webhook")
    processor = Processor(world, alerts={"webhook": {"url": f"http://127.0.0.1:{receiver.server_port}/webhook"}}).engine()
    processor.wait_log("dlq.caught_up")
    deadline, number = time.monotonic() + 20 * TIME_FACTOR, 0
    while not receiver.calls:
        assert time.monotonic() < deadline, f"no alert during {number} letters"
        put_letters(world, 1, first=number)
        number += 1
        time.sleep(0.1)
    processor.stop()

"""The review API keeps what its description promises: schemathesis asks the live one all that openapi.json allows, and what it does not."""
import json
import pathlib
import random
import subprocess
import sys

import pytest
import requests

from letters import letter_headers, produce
from places import TIME_FACTOR
from processor import Processor, request_job, wait_action
from records import new_task
from test_dlq_index import foreign
from test_dlq_redrive import put_letters
from worker import wait_for

METHODS = {"get", "put", "post", "delete", "patch", "options", "trace"}
# evhttp answers methods that it does not know, such as QUERY, before we see them (501). The stream of events has no end.
CONFIG = """
[phases.coverage]
unexpected-methods = ["PUT", "PATCH", "TRACE"]
[phases.stateful]
enabled = false
[generation]
allow-x00 = false
[checks.positive_data_acceptance]
expected-statuses = ["2xx", 401, 403, 404, 409, 422]
[[operations]]
include-operation-id = "editLetter"
checks.positive_data_acceptance.enabled = false
"""


@pytest.fixture(scope="module")
def place(make_shared_world):
    """A processor whose index holds letters of all families, tasks, actions and a job."""
    world = make_shared_world()
    world.start()
    world.submit(*(new_task("[[fake: steps=2 tools=look fail@2=400]]") for _ in range(2)))
    ids = put_letters(world, 20)
    others = world.topic("foreign")
    world.stepmill("topics", "create", config=world.write_config("foreign.yaml", topics={"dlq": others}))
    produce([*foreign(world, others), (world.topic("dlq"), b"k", b"\xff\0bytes", letter_headers(world, 7, message='"<b>ä\U0001f600\x7f'))])
    world.dlq.until(23, 60)
    processor = Processor(world, topics=[others], trace_url="https://traces.example/{trace_id}").engine()
    wait_for("the letters are known", 60, lambda: processor.metric("stepmill_dlq_letters") >= 28)
    wait_action(world, "job_finished", job=request_job(world, ids[:2]))
    return processor


@pytest.mark.timeout(1800 * TIME_FACTOR, method="signal")
def test_what_schemathesis_asks_is_answered_as_described(place, request, tmp_path):
    long = request.config.getoption("--long")
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG, encoding="utf-8")
    seed, much = (str(random.randrange(1 << 31)), ("--max-time", "900")) if long else ("5", ("--max-examples", "3"))
    done = subprocess.run(
        [pathlib.Path(sys.executable).parent / "st", "--config-file", config, "run", f"http://127.0.0.1:{place.port}/api/v1/openapi.json",
         "--exclude-path", "/events", *much, "--seed", seed, "--generation-database", "none",
         "--request-timeout", "30", "--no-color", "--warnings", "off"],
        cwd=tmp_path, capture_output=True, text=True, check=False)
    print(done.stdout)
    assert done.returncode == 0, f"seed {seed}: {done.stderr}"
    assert place.process.poll() is None and place.metric("stepmill_dlq_api_requests_total") > 100


def test_other_methods_are_refused_with_those_that_are_taken(place):
    described = place.api("GET", "/openapi.json").json()
    for path, operations in described["paths"].items():
        taken = {method.upper() for method in operations if method in METHODS}
        allowed = taken | ({"HEAD"} if "GET" in taken else set())
        for method in METHODS - {m.lower() for m in taken}:
            answer = place.api(method.upper(), path.replace("{", "").replace("}", ""))
            assert answer.status_code == 405, (method, path, answer.text)
            assert set(answer.headers["Allow"].split(", ")) == allowed
            assert answer.headers["Content-Type"] == "application/problem+json" and answer.json()["code"] == "method"
        assert all("405" in operations[method.lower()]["responses"] for method in taken), path


def test_the_description_is_the_one_in_the_source(place):
    source = pathlib.Path(__file__).resolve().parents[2] / "src" / "dlq" / "openapi.json"
    answer = requests.get(f"http://127.0.0.1:{place.port}/api/v1/openapi.json", timeout=10)
    assert answer.json() == json.loads(source.read_text(encoding="utf-8"))
    assert answer.headers["Content-Type"] == "application/json" and "Access-Control-Allow-Origin" not in answer.headers

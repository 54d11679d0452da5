"""`stepmill dlq …` as clients of the review API: what a hand or a script does."""
import json

from processor import Processor, actions_of, wait_action
from records import new_task
from services import Certificates
from test_dlq_redrive import put_letters
from worker import wait_for


def test_a_hand_finds_looks_decides_and_redrives(world):
    first, second, third = put_letters(world, 3)
    processor = Processor(world).engine()
    wait_for("the letters are known", 60, lambda: processor.metric("stepmill_dlq_letters") >= 3)
    url = ("--url", f"http://127.0.0.1:{processor.port}")

    def dlq(*arguments, **more):
        return world.stepmill("dlq", *arguments, *url, **more)

    listed = [json.loads(line) for line in dlq("list", "--agent", "search", "--status", "open", "--json").stdout.splitlines()]
    assert {letter["id"] for letter in listed} == {first, second, third}
    assert listed[0]["code"] == "model_http_400"
    assert first in dlq("list").stdout and not dlq("list", "--agent", "nobody").stdout
    group, = [json.loads(line) for line in dlq("groups", "--json").stdout.splitlines()]
    assert (group["letters"], group["unfinished"]) == (3, 3)
    assert "stepmill.class" in dlq("show", first).stdout
    assert json.loads(dlq("show", first, "--json").stdout)["letter"]["id"] == first
    assert dlq("show", "no:0:1", expect=1).stderr

    assert dlq("park", second).stdout.startswith("1 parked")
    assert dlq("discard", third, expect=None).returncode, "a discard needs a reason"
    assert dlq("discard", third, "--reason", "test data").stdout.startswith("1 discarded")
    discarded, = wait_action(world, "discarded")
    assert (discarded["letter"], discarded["reason"]) == (third, "test data")

    assert "1 of 3 letters" in dlq("redrive", first, second, third, "--dry-run").stderr
    assert not actions_of(world, "job_requested")
    assert dlq("redrive", second, "--reason", "x", expect=3).stderr, "it is parked"
    assert json.loads(dlq("redrive", second, "--reason", "x", "--json", expect=3).stdout)["eligible"] == 0, "JSON, whatever comes of it"
    assert "Try: stepmill dlq redrive --help" in dlq("redrive", first, expect=2).stderr, "a redrive needs a reason"
    ended = json.loads(dlq("redrive", "--group", group["fingerprint"], "--reason", "fixed", "--wait", "--json").stdout)
    assert (ended["state"], ended["sent"], ended["selected"]) == ("finished", 1, 1)
    redriven, = actions_of(world, "redriven")
    assert (redriven["letter"], redriven["reason"]) == (first, "fixed")
    assert redriven["job"] in dlq("jobs").stdout
    assert len(dlq("export", "--format", "jsonl", "--reason", "audit").stdout.splitlines()) == 3
    processor.stop()


def test_a_processor_with_a_ca_of_its_own_and_client_certificates_is_reached(world, tmp_path):
    own = Certificates(tmp_path / "certificates")
    processor = Processor(world, tls={"certificate_file": str(own.certificate), "key_file": str(own.key), "ca_file": str(own.ca)})
    trust, ours = ("--ca-file", str(own.ca)), ("--certificate-file", str(own.certificate), "--key-file", str(own.key))
    url = ("--url", f"https://127.0.0.1:{processor.port}")
    assert not world.stepmill("dlq", "list", *url, *trust, *ours).stdout, "no letters"
    assert not world.stepmill("dlq", "list", *url, *trust, "--certificate-file", str(own.both)).stdout, "the key is in the same file"
    for arguments in ((), trust, ours):
        said = world.stepmill("dlq", "list", *url, *arguments, expect=1).stderr
        assert "--ca-file" in said and "is `stepmill dlq serve` running" not in said, (arguments, said)
    assert "https://" in world.stepmill("dlq", "list", "--url", "http://127.0.0.1:1", *trust, expect=1).stderr
    assert "--key-file needs" in world.stepmill("dlq", "list", *url, *trust, *ours[2:], expect=1).stderr
    assert "missing or can't be read" in world.stepmill("dlq", "list", *url, "--ca-file", str(tmp_path / "no.pem"), expect=1).stderr
    assert "is `stepmill dlq serve` running" in world.stepmill("dlq", "list", "--url", "http://127.0.0.1:1", expect=1).stderr
    processor.stop()


def test_an_edited_task_goes_as_a_new_one(world):
    world.start()
    task = new_task("[[fake: steps=1 fail=400]]")
    world.submit(task)
    letter = world.dlq.until(1, 60)[0].header("stepmill.id")
    processor = Processor(world).engine()
    wait_for("the letter is known", 60, lambda: processor.metric("stepmill_dlq_letters") >= 1)
    url = ("--url", f"http://127.0.0.1:{processor.port}")
    edited = {**task, "prompt": '[[fake: steps=1 answer="mended"]]'}
    del edited["task_id"]
    new_id = world.stepmill("dlq", "edit", letter, "--reason", "typo", *url, stdin=json.dumps(edited)).stdout.strip()
    result = world.result_of(new_id, 60)
    assert (result["status"], result["output"]) == ("completed", "mended")
    record, = [r for r in world.reader("tasks.search").all() if r.data["task_id"] == new_id]
    assert record.data["parent_task_id"] == task["task_id"] and record.header("stepmill.redrives") is None
    action, = actions_of(world, "redriven")
    assert (action["edited"], action["task_id"], action["letter"]) == (True, new_id, letter)
    wait_action(world, "resolved", 60, letter=letter, name="completed")
    bad = world.stepmill("dlq", "edit", letter, "--reason", "typo", *url, stdin='{"colour": "red"}', expect=1)
    assert bad.stderr
    processor.stop()

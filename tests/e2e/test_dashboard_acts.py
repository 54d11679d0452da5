"""Every other thing that the dashboard lets a person do, done by its buttons before the processor itself: each leaves its record in Kafka."""
import pytest
from browser import Page
from estate import known, letters_of_worker

from processor import Processor, actions_of, wait_action
from worker import wait_for

FAILS = "[[fake: steps=2 tools=look fail@2=400]]"

# Button, what is written into its dialog, what the letter is then, the record's kind.
DEEDS = [("Acknowledge…", {"reason": "looked at"}, "acknowledged", "acknowledged"),
         ("Assign…", {"assignee": "mira"}, "acknowledged", "assigned"),
         ("Add note…", {"note": "see INC-4711"}, "acknowledged", "noted"),
         ("Park…", {"reason": "until Monday"}, "parked", "parked"),
         ("Unpark…", {}, "open", "unparked"),
         ("Discard…", {"reason": "a test"}, "discarded", "discarded"),
         ("Reopen…", {}, "open", "reopened")]

# An index that is behind: a job is asked for, and the first looks at it find none.
BEHIND = """
const real = window.fetch;
window.unseen = 0;
window.fetch = async (url, options) => {
    if (options.method === "GET" && /\\/redrives\\/[^/]+$/.test(url) && window.unseen++ < 3) return new Response("{}", { status: 404 });
    const answer = await real(url, options);
    if (options.method !== "POST" || !url.endsWith("/redrives")) return answer;
    return new Response(JSON.stringify({ ...await answer.json(), job: null, folded: false }), { status: 202 });
};"""


@pytest.fixture(scope="module")
def world(make_shared_world):
    world = make_shared_world()
    world.start()
    return world


@pytest.fixture(scope="module")
def letters(world):
    return letters_of_worker(world, *[FAILS] * 4)


@pytest.fixture(scope="module")
def processor(world, letters):
    return known(Processor(world), len(letters))


@pytest.fixture
def page(driver, processor):
    return Page(driver, processor.port)


def act(page, button, fields):
    """By its dialog."""
    page.press(button, ".head")
    page.wait("dialog h2")
    for name, text in fields.items():
        page.write(f"dialog [name={name}]", text)
    page.click("dialog footer button.main")
    page.gone("dialog")


def test_what_is_done_to_a_letter_shows_and_is_kept(page, world, letters):
    letter = letters[0]
    page.open(f"letter/{letter}")
    for button, fields, status, kind in DEEDS:
        act(page, button, fields)
        page.wait(".head .badge", status)
        wait_action(world, kind, letter=letter)
    page.wait(".facts dd", "mira")
    for text in ("looked at", "see INC-4711", "until Monday", "a test"):
        page.wait(".history .why", text)
    page.go("history")
    page.wait("td", "see INC-4711")


def test_a_task_is_edited_and_goes_as_a_new_one(page, world, letters):
    page.open(f"letter/{letters[1]}")
    page.press("Edit and redrive…")
    field = page.wait("dialog textarea")
    page.driver.execute_script("arguments[0].value = arguments[0].value.replace(/\\[\\[fake.*\\]\\]/, '[[fake: steps=1 answer=mended]]')", field)
    page.write("dialog [name=reason]", "a typo")
    page.click("dialog footer button.main")
    page.gone("dialog")
    page.wait(".notice", "Sent as task")
    new = next(text for text in page.texts(".notice span") if "Sent as task" in text).split()[3].rstrip(".")
    assert world.result_of(new)["output"] == "mended"
    page.wait(".head .badge", "resolved")
    page.go("tasks", new)
    page.wait(".steps li", "mended")
    page.wait(".facts dt", "Parent")
    page.open(f"letter/{letters[2]}")
    page.press("Edit and redrive…")
    page.write("dialog textarea", "{no JSON")
    page.write("dialog [name=reason]", "a typo")
    page.click("dialog footer button.main")
    page.wait("dialog [role=alert]", "no JSON")
    page.keys("\ue00c")


def test_a_group_is_resolved_and_its_end_is_seen(page, world, letters):
    page.open("groups")
    group = page.read("tr[data-group]", "data-group")
    page.press("Resolve…", f"tr[data-group='{group}']")
    page.write("dialog [name=reason]", "released")
    page.click("dialog footer button.main")
    page.gone("dialog")
    page.wait(f"tr[data-group='{group}'] .tag", "resolved")
    wait_action(world, "group_resolved", group=group)
    page.press("Reopen", f"tr[data-group='{group}']")
    page.click("dialog footer button.main")
    page.gone("dialog")
    wait_action(world, "group_reopened", group=group)


def test_all_of_a_filter_with_a_canary_that_fails(page, world, letters):
    """They fail again: after the first the job pauses by itself and says so, and a hand ends it."""
    page.open("letters?agent=search")
    page.press("Redrive all of the filter…")
    page.wait("dialog .dry", "would be sent")
    page.write("dialog input[name=canary]", "1")
    page.write("dialog input[name=reason]", "let us see")
    page.press("Redrive", "dialog footer")
    page.wait("dialog [data-state=paused]", "1 failed again", 30)
    page.press("Cancel job", "dialog")
    page.wait("dialog [data-state=cancelled]")
    page.shot("canary")
    job, = {a["job"] for a in actions_of(world, "job_cancelled")}
    assert len(actions_of(world, "redriven", job=job)) == 1
    page.press("Close", "dialog")
    page.go("redrives", job)
    page.wait("[data-state=cancelled]", "1 of ")
    page.click("a", "its letters")
    wait_for("its letters", 20, page.ids)
    again, = {a["letter"] for a in actions_of(world, "redriven", job=job)}
    page.open(f"letter/{again}")
    page.wait(".head .badge", "failed again")
    assert page.texts(".head .actions button") == ["Assign…", "Add note…"], "the newer letter is the one to act on"


def test_a_job_that_the_index_does_not_show_yet_is_waited_for(page, letters):
    page.open("letters?agent=search&status=open")
    page.wait("tr[data-id]")
    page.open(f"letter/{page.ids()[0]}")
    page.press("Redrive…", ".head")
    page.wait("dialog .dry", "would be sent")
    page.driver.execute_script(BEHIND)
    page.write("dialog input[name=reason]", "at last")
    page.press("Redrive", "dialog footer")
    page.wait("dialog [data-state=finished]", "1 of 1 sent", 30)
    assert page.driver.execute_script("return window.unseen") > 3
    page.press("Close", "dialog")


def test_export(page, tmp_path, letters):
    page.driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    page.open("letters?status=all")
    for name in ("CSV", "JSON lines"):
        page.press(f"Export {name}")
    for name in ("csv", "jsonl"):
        file = tmp_path / f"dead-letters.{name}"
        wait_for(f"the {name} file", 20, file.exists)
        wait_for("whole", 20, lambda f=file: all(letter in f.read_text(encoding="utf-8") for letter in letters))

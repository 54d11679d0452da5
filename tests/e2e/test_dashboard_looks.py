"""How the dashboard looks and what it lets in: axe-core and pictures of every view, keys alone, hostile letters, its policy."""
import json
import time

import pytest
import requests
from browser import Page
from estate import busy_world, known, letters_of_worker
from selenium.webdriver.common.keys import Keys

from letters import letter_headers, produce
from processor import Processor, actions_of, wait_action
from records import new_task
from worker import wait_for

DAY = 60
VIEWS = ["overview", "letters", "groups", "redrives", "tasks", "history"]
FAILS = ['[[fake: steps=3 tools=look content="I look it up first." fail@3=400]] Find the late invoices of customer 4711.',
         '[[fake: steps=2 tools=look fail@2=context]] Summarize the complaint of customer 99.']
MARK = "xss-was-run"
HOSTILE = ["<script>document.title='xss-was-run'</script>", "<img src=x onerror=\"document.title='xss-was-run'\">",
           "\"><svg onload=document.title='xss-was-run'>",
           "javascript:document.title='xss-was-run'", "'-document.title='xss-was-run'-'", "{{constructor.constructor('document.title=1')()}}",
           "</td></table><iframe srcdoc=\"<script>parent.document.title='xss-was-run'</script>\">", "\u202egnp.exe \x1b[31m \x01 & &lt;b&gt;"]


@pytest.fixture(scope="module")
def world(make_shared_world):
    return busy_world(make_shared_world, DAY)


@pytest.fixture(scope="module")
def letters(world):
    """Of a real worker."""
    return letters_of_worker(world, *FAILS)


@pytest.fixture(scope="module")
def processor(world, letters):
    processor = known(Processor(world, trace_url="https://traces.example/{trace_id}"), DAY + len(letters))
    act(processor, kind="acknowledged", letters=[letters[1]], reason="the filter's owner is asked")
    act(processor, kind="noted", letters=[letters[0]], note="Seen since the release of this morning; INC-4711.")
    act(processor, kind="assigned", letters=[letters[0]], assignee="mira")
    some = [letter["id"] for letter in processor.api("GET", "/letters?class=timeout&limit=9").json()["items"]]
    act(processor, kind="parked", letters=some[:3], reason="until the new limits are out")
    act(processor, kind="discarded", letters=some[3:5], reason="test data")
    job = processor.api("POST", "/redrives", json={"letters": some[5:9], "reason": "the model is back", "canary": 2}).json()["id"]
    wait_for("some are redriven", 60, lambda: processor.api("GET", f"/redrives/{job}").json()["completed"] == 4)
    return processor


@pytest.fixture
def page(driver, processor):
    return Page(driver, processor.port)


def act(processor, **request):
    answer = processor.api("POST", "/actions", json=request)
    assert answer.status_code == 200, answer.text


def look(page, name, found, within="html"):
    """In both themes: all rules once, those of colours again in the dark, for nothing else differs."""
    page.driver.execute_script("document.documentElement.dataset.theme = 'light'")
    found[name] = page.findings(within)
    page.shot(f"{name}-light")
    page.driver.execute_script("document.documentElement.dataset.theme = 'dark'")
    found[name] += page.findings(within, "color-contrast", "link-in-text-block")
    page.shot(f"{name}-dark")


def test_no_serious_finding_of_axe_in_any_view_and_both_themes(page, letters, world):
    found = {}
    page.open()
    page.driver.get_log("browser")
    task = next(r.header("stepmill.task_id") for r in world.dlq.records if r.header("stepmill.id") == letters[0])
    views = {**{v: [v] for v in VIEWS}, "letter": ["letter", letters[0]], "task": ["tasks", task], "no-such-letter": ["letter", "none"]}
    for name, parts in views.items():
        page.go(*parts)
        page.wait("td, .facts, .empty")
        if name == "letter":
            page.wait(".steps li")
            page.wait(".history li")
        time.sleep(0.3)  # what is drawn after the data
        look(page, name, found)
    page.go("letters")
    page.wait("tr[data-id]")
    page.keys("j", "x", "j", "x")
    page.wait(".selection")
    look(page, "selection", found, ".selection")
    page.keys("d")
    page.wait("dialog h2", "Discard 2 letters")
    look(page, "discard", found, "dialog")
    page.keys(Keys.ESCAPE, "?")
    page.wait("dialog h2", "Keys")
    look(page, "keys", found, "dialog")
    assert not any(found.values()), json.dumps(found, indent=1)
    assert not page.complaints()
    page.driver.execute_script("document.querySelector('dialog').append(document.createElement('img'))")
    assert page.findings("dialog", "image-alt"), "what is wrong would be found"


def test_a_narrow_window(page, letters):
    """Of a laptop beside a terminal: the page itself never scrolls sideways; a table does, in its frame."""
    try:
        page.driver.set_window_size(760, 900)
        for parts in (["overview"], ["letters"], ["letter", letters[0]], ["groups"], ["tasks"]):
            page.open("/".join(parts))
            page.wait("td, .facts")
            page.shot(f"narrow-{parts[0]}")
            assert page.driver.execute_script("const e = document.documentElement; return e.scrollWidth <= e.clientWidth"), parts
    finally:
        page.driver.set_window_size(1440, 900)


def test_the_theme_is_kept(page):
    page.open()
    ground = "return getComputedStyle(document.body).backgroundColor"
    light = page.driver.execute_script(ground)
    page.theme("dark")
    assert page.driver.execute_script(ground) != light
    page.open("letters")
    assert page.texts("#theme") == ["theme: dark"] and page.driver.execute_script(ground) != light
    page.theme("auto")
    assert page.driver.execute_script(ground) == light


def test_by_keys_alone(page, letters, processor):
    """From the overview to a letter, through its dialogs and back: no mouse."""
    page.open("overview")
    page.wait(".figures")
    page.keys("g", "l")
    page.wait("tr[data-id]")
    page.keys("/", *"messages takes", Keys.ENTER)
    page.wait("#total", "1 letter")
    wait_for("the row has the focus", 10, lambda: page.focused().startswith("A ") and "longer than the model takes" in page.focused())
    page.keys(Keys.ENTER)
    page.wait(".message")
    page.keys("a")
    page.wait("dialog h2", "Acknowledge 1 letter")
    assert page.focused().startswith("INPUT reason")
    page.keys(Keys.ESCAPE)
    page.gone("dialog")
    page.keys("r")
    page.wait("dialog .dry", "1 of 1 would be sent")
    assert page.focused().startswith("INPUT reason")
    for _ in range(20):  # Tab stays in the dialog
        page.keys(Keys.TAB)
        assert page.driver.execute_script(
            "const e = document.activeElement; return e === document.body || document.querySelector('dialog').contains(e)")
    page.keys(Keys.ESCAPE)
    page.gone("dialog")
    assert not processor.api("GET", f"/actions?letter={letters[1]}&kind=job_requested").json()["items"]
    page.keys("d", *"by keys", Keys.ENTER)
    page.gone("dialog")
    page.wait(".head .badge", "discarded")
    page.keys(Keys.ESCAPE)
    page.wait("h1", "Letters")
    page.keys("g", "o")
    page.wait("h1", "Overview")
    page.open("overview")
    page.keys(Keys.TAB)
    assert "Skip to content" in page.focused()


def test_the_policy_is_strict_and_held(page, processor):
    for path in ("/", "/app.js", "/style.css"):
        headers = requests.get(f"http://127.0.0.1:{processor.port}{path}", timeout=10).headers
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; ") and "unsafe" not in policy and "*" not in policy and "data:" not in policy
        assert "frame-ancestors 'none'" in policy and "require-trusted-types-for 'script'" in policy
        assert headers["X-Content-Type-Options"] == "nosniff" and headers["X-Frame-Options"] == "DENY" and headers["Referrer-Policy"] == "no-referrer"
    page.open()
    page.driver.get_log("browser")
    said = page.driver.execute_script("try { document.body.innerHTML = '<b>x</b>'; return 'taken'; } catch (e) { return e.name; }")
    assert said == "TypeError"
    page.driver.execute_script("new Image().src = 'http://127.0.0.1:1/x.png'; fetch('http://127.0.0.1:1/').catch(() => {})")
    said = []
    wait_for("both are refused", 10, lambda: said.extend(page.complaints()) or all(any(w in c for c in said) for w in ("img-src", "connect-src")))


def hostile_letter(world, number, text):
    """In every field that a record has."""
    headers = dict(letter_headers(world, number, agent=text, klass=text, code=text, message=f"{text} {number}", task=text))
    for name in ("__dlq.errors.topic", "__dlq.errors.group", "stepmill.stage", "stepmill.worker", "stepmill.session_id", text):
        headers[name] = text.encode()
    headers["stepmill.id"] = f"{text} {number}".encode()
    value = json.dumps({text: [text, {text: text}]}).encode() if number % 2 else text.encode()
    return world.topic("dlq"), text.encode(), value, list(headers.items())


def check_harmless(page):
    assert MARK not in page.driver.title
    assert not page.all("main script, main iframe, main img, main [onerror], main [onload], a[href^='javascript']")


def test_hostile_text_in_every_field_stays_text(driver, make_world):
    """Real records of real Kafka, actions of real people, and steps of a real worker."""
    world = make_world()
    produce([hostile_letter(world, i, text) for i, text in enumerate(HOSTILE)])
    world.start()
    answers = f"content={json.dumps(HOSTILE[0])} tool_answer={json.dumps(HOSTILE[1])}"
    task = new_task(f"[[fake: steps=2 tools=look {answers} fail@2=400]] {HOSTILE[2]}", session=HOSTILE[3])
    world.submit(task)
    world.dlq.until(len(HOSTILE) + 1)
    processor = known(Processor(world), len(HOSTILE) + 1)
    page = Page(driver, processor.port)
    ids = [f"{text} {i}" for i, text in enumerate(HOSTILE)]
    known_ids = {letter["id"] for letter in processor.api("GET", "/letters?limit=100").json()["items"]}
    for text, letter in zip(HOSTILE, ids, strict=True):
        if letter in known_ids:  # control characters make no id
            act(processor, kind="noted", letters=[letter], note=text, reason=text)
            act(processor, kind="assigned", letters=[letter], assignee=text)
    page.open("overview")
    page.driver.get_log("browser")
    for letter in known_ids:
        page.go("letter", letter)
        page.wait(".message", seconds=30)
        wait_for("its own message", 10, lambda i=letter: i in page.texts(".head .mono"))
        check_harmless(page)
        if "Raw" in page.buttons():
            page.press("Raw")
        check_harmless(page)
    assert len(known_ids & set(ids)) >= len(HOSTILE) - 1
    page.go("letter", ids[0])
    page.wait(".history .why", HOSTILE[0])
    page.go("letter", next(i for i in known_ids if i not in ids[:-1] and i.startswith(world.name) and ".dlq:" in i))
    page.wait(".message", "⟨U+202E⟩gnp.exe")
    page.go("tasks", task["task_id"])
    page.wait(".steps li", MARK)
    check_harmless(page)
    for view in VIEWS:
        page.go(view)
        page.wait("td, .empty")
        check_harmless(page)
        page.shot(f"hostile-{view}")
    assert not page.complaints()

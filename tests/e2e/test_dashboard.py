"""The review dashboard in Chromium, before the processor itself on real Kafka: find a letter, redrive it, discard it, and who may."""
import hashlib
import json
import time

import pytest
from browser import Page
from estate import busy_world, known, letters_of_worker
from selenium.webdriver.common.keys import Keys

from processor import Processor, actions_of, wait_action
from services import free_port
from worker import wait_for

DAY = 250
TOKENS = {"mira": "view", "jan": "redrive", "ada": "admin"}
FAILS_ONCE = '[[fake: steps=3 tools=look fail@3=400x1 answer="at last"]]'
HAS_NO_WAY_TO_ACT = ("Redrive", "Discard", "Park", "Acknowledge", "Assign", "Resolve", "Edit", "Download")


def tokens_file(world):
    path = world.folder / "tokens.json"
    path.write_text(json.dumps([{"name": name, "role": role, "sha256": hashlib.sha256(name.encode()).hexdigest()}
                                for name, role in TOKENS.items()]), encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def world(make_shared_world):
    return busy_world(make_shared_world, DAY)


@pytest.fixture(scope="module")
def processor(world):
    return known(Processor(world, listen=f"127.0.0.1:{free_port()}", access={"anonymous": "admin", "tokens_file": tokens_file(world)}), DAY)


@pytest.fixture
def page(driver, processor):
    return Page(driver, processor.port)


def new_letter(world, processor, prompt=FAILS_ONCE):
    letter, = letters_of_worker(world, prompt)
    wait_for("the letter is known", 30, lambda: processor.api("GET", f"/letters/{letter}").status_code == 200)
    return letter


def test_filter_open_reload_and_back(page):
    page.open("letters")
    page.wait("tr[data-id]")
    page.write("input[type=search]", "invoice connection")
    wait_for("the text is in the URL", 10, lambda: "text=invoice" in page.driver.current_url)
    page.choose("select[aria-label='Failed within']", "24h")
    wait_for("the time is in the URL", 10, lambda: "from=24h" in page.driver.current_url)
    wait_for("only letters of the filter", 10, lambda: page.texts("td.wide") and all("look_up_invoice" in t for t in page.texts("td.wide")))
    ids = page.ids()
    page.click(f"tr[data-id='{ids[0]}'] a.open")
    page.wait(".message", "look_up_invoice: connection refused")
    page.wait(".facts dt", "Trace")
    page.wait(".j-key", "prompt")
    page.press("Raw")
    page.wait("pre", "000000")
    page.driver.refresh()
    page.wait(".message", "look_up_invoice: connection refused")
    page.driver.back()
    wait_for("the same list again", 10, lambda: page.ids() == ids)
    assert page.read("input[type=search]", "value") == "invoice connection"
    assert page.read("select[aria-label='Failed within']", "value") == "24h"
    page.driver.refresh()
    wait_for("the same list after a reload", 10, lambda: page.ids() == ids)


def test_who_is_quicker_than_the_search_is_not_taken_back(page):
    """Words, Enter, and the first row opened at once: what still waited to search for the words took the reader back to the list."""
    page.open("letters")
    page.wait("tr[data-id]")
    page.driver.execute_async_script("""
        const done = arguments[0], search = document.querySelector("input[type=search]");
        search.focus();
        search.value = "connection refused";
        search.dispatchEvent(new Event("input"));
        search.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true }));
        const look = () => {
            const row = document.activeElement.closest("tr[data-id] a.open");
            if (!row) return setTimeout(look, 0);
            row.click();
            return setTimeout(done, 700);
        };
        look();""")
    assert "#/letter/" in page.driver.current_url
    page.wait(".message", "connection refused")


@pytest.mark.parametrize("view,label", [("letters", "Search letters"), ("groups", "Search causes"), ("tasks", "Session id")])
def test_who_types_with_pauses_is_not_disturbed(page, view, label):
    """The view follows the words so far, and the next ones go where the last ones went."""
    field = f"input[aria-label='{label}']"
    page.open(view)
    page.wait(field).send_keys("inv")
    wait_for("the words are in the URL", 10, lambda: "=inv" in page.driver.current_url)
    page.keys("oice", Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    wait_for("the rest too", 10, lambda: "=invoice" in page.driver.current_url)
    page.keys("-")
    wait_for("and what was put between", 10, lambda: "=invoi-ce" in page.driver.current_url)
    assert page.read(field, "value") == "invoi-ce"


def test_back_goes_back_though_the_search_has_the_focus(page):
    for view, field, row in (("letters", "Search letters", "tr[data-id]"), ("groups", "Search causes", "tr[data-group]")):
        page.open(view)
        page.wait(row)
        page.wait(f"input[aria-label='{field}']").send_keys("invoice")
        wait_for("the words are in the URL", 10, lambda: "=invoice" in page.driver.current_url)
        page.driver.back()
        wait_for("the words are gone", 10, lambda: page.read(f"input[aria-label='{field}']", "value") == "")
        time.sleep(0.8)  # longer than the search waits for more words
        assert "invoice" not in page.driver.current_url


def test_links_from_outside_show_what_they_name(page, processor):
    group = processor.api("GET", "/groups?order=first").json()["items"][-1]
    page.open(f"groups/{group['fingerprint']}")  # as an alert names it
    page.wait(f"tr[data-group='{group['fingerprint']}']")
    assert len(page.all("tr[data-group]")) == 1
    page.open("groups/0123456789abcdef")
    page.wait(".empty", "No such group")
    page.open("redrives/3d0e8f3e-0000-4000-8000-000000000000")
    page.wait("[data-job]", "There is no such redrive")
    page.open("letters?agent=billing")
    page.wait("tr[data-id]")
    page.driver.execute_script("document.querySelector('.skip').click()")
    assert page.focused().startswith("MAIN") and "#/letters?agent=billing" in page.driver.current_url


def test_the_selection_outlives_a_dialog_that_was_cancelled(page):
    page.open("letters?agent=billing")
    page.wait("tr[data-id]")
    page.keys(*"jxjx")
    page.wait(".selection b", "2 selected")
    page.press("Redrive…", ".selection")
    page.wait("dialog .dry", "would be sent")
    page.press("Cancel", "dialog footer")
    page.gone("dialog")
    page.wait(".selection b", "2 selected")
    page.press("Redrive…", ".selection")
    page.wait("dialog")
    page.driver.back()  # the dialog belongs to what is left
    page.gone("dialog")


def test_a_letter_is_redriven_and_its_end_appears_by_itself(page, world, processor):
    """From the dialog through Kafka and a real worker to the page, which nobody loads again."""
    letter = new_letter(world, processor)
    page.open(f"letter/{letter}")
    page.wait(".steps li.failed", "failed")
    page.driver.execute_script("window.same = true")
    page.press("Redrive…")
    page.wait("dialog .dry", "1 of 1 would be sent")
    page.press("Redrive", "dialog footer")
    assert not actions_of(world, "job_requested"), "no reason, no redrive"
    page.write("dialog input[name=reason]", "the model is back")
    page.press("Redrive 1", "dialog footer")
    page.wait("dialog [data-state=finished]", "1 of 1 sent")
    page.wait("dialog [data-state=finished]", "1 completed")
    page.keys("\ue00c")  # Escape
    page.gone("dialog")
    page.wait(".head .badge", "resolved")
    page.wait(".steps li", "at last")
    page.wait(".steps .cost", "$0.000")
    page.wait(".history li", "the model is back")
    assert page.driver.execute_script("return window.same")
    redriven, = actions_of(world, "redriven", letter=letter)
    assert redriven["reason"] == "the model is back"


def test_a_group_is_redriven_with_pause_and_resume(page, world, processor):
    page.open("groups")
    group = page.read("tr[data-group]", "data-group")
    unfinished = int(page.read(f"tr[data-group='{group}'] b"))
    page.press("Redrive…", f"tr[data-group='{group}']")
    page.wait("dialog .dry", f"{unfinished} of {unfinished} would be sent")
    page.write("dialog input[name=cap]", "8")
    page.wait("dialog .dry", "8 of 8 would be sent (the cap leaves others out)")
    page.write("dialog input[name=rate]", "1")
    page.write("dialog input[name=canary]", "0")
    page.write("dialog input[name=reason]", "the model is back")
    page.shot("dry-run")
    assert not page.findings("dialog")
    page.press("Redrive 8", "dialog footer")
    page.press("Pause", "dialog")
    page.wait("dialog [data-state=paused]")
    sent = len(actions_of(world, "redriven", reason="the model is back"))
    page.shot("progress")
    assert not page.findings("dialog")
    page.press("Resume", "dialog")
    page.wait("dialog [data-state=finished]", "8 of 8 sent")
    assert sent < 8
    page.press("Close", "dialog")
    page.go("redrives")
    page.wait("td", "8 of 8 sent")


def test_select_by_keys_and_discard_with_a_reason(page, world):
    page.open("letters?agent=billing&status=open")
    page.wait("tr[data-id]")
    ids = page.ids()[:2]
    page.keys(*"jxjxd")
    dialog = page.wait("dialog", "Discard 2 letters")
    page.press("Discard", "dialog footer")
    assert dialog.is_displayed() and not actions_of(world, "discarded"), "no reason, nothing is discarded"
    page.write("dialog input[name=reason]", "duplicates")
    page.keys("\ue007")  # Enter
    page.gone("dialog")
    wait_for("the list has gone on without them", 10, lambda: not set(page.ids()) & set(ids))
    found = wait_action(world, "discarded", count=2)
    assert {(a["letter"], a["reason"]) for a in found} == {(i, "duplicates") for i in ids}


def test_a_viewer_sees_no_way_to_act_and_has_none(page, world, processor):
    letter = processor.api("GET", "/letters?status=open&limit=1").json()["items"][0]["id"]
    for view in ("letters", "groups", "redrives", f"letter/{letter}"):
        page.open(view, token="mira")
        page.wait("td, .facts, .empty")
        page.wait("#me", "mira · view")
        assert not [b for b in page.buttons() if b.startswith(HAS_NO_WAY_TO_ACT)]
    page.wait("p", "Your role may not see payloads.")
    page.keys("d", "r", "a")
    assert not page.all("dialog")
    mira = {"headers": {"Authorization": "Bearer mira"}}
    for path, body in (("/actions", {"kind": "discarded", "letters": [letter], "reason": "x"}), ("/redrives", {"letters": [letter], "reason": "x"}),
                       ("/redrives/dry-run", {"letters": [letter]}), (f"/letters/{letter}/edit", {"value": {}, "reason": "x"})):
        assert processor.api("POST", path, json=body, **mira).status_code == 403
    # who may redrive may not discard
    page.open(f"letter/{letter}", token="jan")
    page.wait(".facts")
    assert "Redrive…" in page.buttons() and "Discard…" not in page.buttons()


def test_away_and_back(page, world, processor):
    """Killed and started again at the same address: the page says so, and goes on by itself. The last test of this processor."""
    page.open("letters?status=all")
    page.wait("tr[data-id]")
    page.wait("#live.up", "live")
    processor.kill()
    page.wait("#live.down")
    page.wait(".notice.error", "cannot be reached")
    page.shot("away")
    again = known(Processor(world, listen=f"127.0.0.1:{processor.port}", access={"anonymous": "admin"}), DAY)
    page.wait("#live.up", seconds=30)
    page.gone(".notice.error")
    letter = new_letter(world, again)
    page.press("1 new letter")
    page.wait(f"tr[data-id='{letter}']")


def test_sign_in_and_nothing_to_do(driver, make_world):
    """A processor that nobody may see without a token, and no letter yet."""
    world = make_world()
    processor = Processor(world, access={"tokens_file": tokens_file(world)}).engine()
    page = Page(driver, processor.port)
    page.open("letters")
    page.write("dialog input[type=password]", "wrong")
    page.press("Sign in", "dialog")
    page.wait("dialog p", "nobody here knows this token")
    page.write("dialog input[type=password]", "ada")
    page.press("Sign in", "dialog")
    for view in ("letters", "overview", "groups", "redrives", "tasks"):
        page.go(view)
        page.wait(".empty h2")
        assert not page.findings()
    page.go("history")
    page.wait("td", "access refused")
    page.go("overview")
    page.wait(".empty h2", "No dead letters")
    page.shot("empty")
    page.press("sign out")
    page.wait("dialog h2", "Sign in")

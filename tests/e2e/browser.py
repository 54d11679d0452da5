"""A headless Chromium before the review dashboard: what a person does there, what axe-core finds, and pictures of it."""
import importlib.util
import os
import shutil
from pathlib import Path
from urllib.parse import quote

from selenium import webdriver
from selenium.common.exceptions import ElementClickInterceptedException, StaleElementReferenceException
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.support.select import Select

from places import BUILD
from worker import wait_for

# The package drives another kind of browser; what it has for us is axe-core itself, and it is not imported.
PACKAGE = importlib.util.find_spec("axe_playwright_python")
assert PACKAGE, "axe-core is missing from the tests' Python: tools/setup --for test installs it"
AXE = Path(PACKAGE.submodule_search_locations[0]) / "axe.min.js"
SHOTS = Path(os.environ.get("STEPMILL_SCREENSHOTS") or BUILD / "screenshots")


def start_chromium():
    """One without a window; with what pages write to their console."""
    found = {name: shutil.which(name) for name in ("chromium", "chromedriver")}
    assert all(found.values()), f"the dashboard's tests need chromium and chromedriver: tools/setup installs them; found: {found}"
    options = webdriver.ChromeOptions()
    options.binary_location = found["chromium"]
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--window-size=1440,900"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    SHOTS.mkdir(parents=True, exist_ok=True)
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(found["chromedriver"]))


class Page:
    """The dashboard of a processor, shown by a browser that other tests have used before."""

    def __init__(self, driver, port):
        self.driver, self.port = driver, port

    def open(self, view="overview", token=None):
        self.driver.get(f"http://127.0.0.1:{self.port}/icon.svg")  # nothing of the tests before is kept
        self.driver.execute_script("sessionStorage.clear(); if (arguments[0]) sessionStorage.setItem('stepmill.token', arguments[0])", token)
        self.driver.get(f"http://127.0.0.1:{self.port}/#/{view}")
        return self.wait("h1, dialog h2")

    def go(self, *parts):
        """To another view as a link does it: the page stays."""
        self.driver.execute_script("location.hash = arguments[0]", "#/" + "/".join(quote(p, safe="") for p in parts))

    def all(self, css):
        return self.driver.find_elements("css selector", css)

    def texts(self, css):
        """Of all that fit; read at once, so that a page that draws itself anew takes none away in between."""
        return self.driver.execute_script("return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)", css)

    def ids(self):
        """Of the letters in the list."""
        return self.driver.execute_script("return [...document.querySelectorAll('tr[data-id]')].map((e) => e.dataset.id)")

    def wait(self, css, text="", seconds=20):
        def look():
            try:
                return next((e for e in self.all(css) if text in e.get_attribute("textContent")), None)
            except StaleElementReferenceException:
                return None

        try:
            return wait_for(f"{css} {text!r}", seconds, look)
        except AssertionError as e:
            self.shot("failed")
            raise AssertionError(f"{e}; there: {self.texts(css)[:20]}; notices: {self.texts('.notice, [role=alert]')}") from None

    def read(self, css, what="textContent"):
        """A property or attribute of the first that fits, as soon as there is one; read at once, like texts."""
        found = wait_for(css, 20, lambda: self.driver.execute_script(
            "const [css, what] = arguments, e = document.querySelector(css); return e && [what in e ? e[what] : e.getAttribute(what)]", css, what))
        return found[0]

    def gone(self, css):
        wait_for(f"no {css}", 20, lambda: not self.all(css))

    def click(self, css, text=""):
        """As soon as there is one of this text that can be clicked: a page that draws itself anew takes nothing away from us."""
        def click():
            try:
                found = next((b for b in self.all(css) if b.is_enabled() and text in b.get_attribute("textContent")), None)
                if found:
                    found.click()
                return found
            except (StaleElementReferenceException, ElementClickInterceptedException):
                return None

        wait_for(f"a click on {css} {text}", 20, click)

    def press(self, text, within="body"):
        """A click on a button."""
        self.click(f"{within} button", text)

    def buttons(self, within="main"):
        return self.texts(f"{within} button:enabled")

    def keys(self, *keys):
        """To whatever has the focus."""
        for key in keys:
            ActionChains(self.driver).send_keys(key).perform()

    def again(self, what, act):
        """Until what it acts on was not replaced meanwhile."""
        def once():
            try:
                act()
                return True
            except StaleElementReferenceException:
                return False

        wait_for(what, 20, once)

    def write(self, css, text):
        def fill():
            field = self.wait(css)
            field.clear()
            field.send_keys(text)

        self.again(f"{text!r} in {css}", fill)

    def choose(self, css, value):
        self.again(f"{value} of {css}", lambda: Select(self.wait(css)).select_by_value(value))

    def focused(self):
        """What has the focus: its name and its text."""
        return self.driver.execute_script(
            "const e = document.activeElement; return `${e.tagName} ${e.getAttribute('name') || ''} ${e.textContent.slice(0, 80)}`")

    def theme(self, name):
        """As its button does it: auto, light, dark."""
        while self.texts("#theme") != [f"theme: {name}"]:
            self.click("#theme")

    def shot(self, name):
        self.driver.save_screenshot(str(SHOTS / f"{name}.png"))

    def findings(self, within="html", *rules):
        """What axe-core calls serious or critical in this part, by all its rules or these. Of long tables it sees the first rows."""
        if not self.driver.execute_script("return Boolean(window.axe)"):
            self.driver.execute_script(AXE.read_text(encoding="utf-8"))
        found = self.driver.execute_async_script("""
            const [within, rules, done] = arguments;
            const options = {resultTypes: ["violations"], ...(rules.length && {runOnly: {type: "rule", values: rules}})};
            axe.run({include: [within], exclude: ["tbody tr:nth-child(n+13)"]}, options)
                .then((r) => done(r.violations), (e) => done([{id: String(e), impact: "critical", nodes: []}]))""", within, rules)
        return [f"{v['id']}: {v.get('help')} {[(n['target'], n.get('failureSummary')) for n in v['nodes']][:3]}" for v in found
                if v["impact"] in ("serious", "critical")]

    def complaints(self):
        """What the browser calls an error since the last time, but an answer of 4xx: a script that failed, a refusal by the policy."""
        return [entry["message"] for entry in self.driver.get_log("browser")
                if entry["level"] == "SEVERE" and "Failed to load resource: the server responded" not in entry["message"]]

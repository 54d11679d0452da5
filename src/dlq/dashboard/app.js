/* Starts the dashboard: who we are, the bar at the top, which view is shown, keys, and the live connection. */
import { get, token } from "./api.js";
import { button, el, empty, show, tick } from "./dom.js";
import { dialog } from "./dialog.js";
import { go, here, link, ours } from "./route.js";
import { isWatching, live, unwatch, watch } from "./stream.js";
import * as overview from "./overview.js";
import * as letters from "./letters.js";
import * as letter from "./letter.js";
import * as groups from "./groups.js";
import * as jobs from "./jobs.js";
import * as tasks from "./tasks.js";
import * as history from "./history.js";

const VIEWS = { overview, letters, letter, groups, redrives: jobs, tasks, history };
const TABS = [["overview", "Overview", "o"], ["letters", "Letters", "l"], ["groups", "Groups", "g"], ["redrives", "Redrives", "r"], ["tasks", "Tasks", "t"], ["history", "History", "h"]];
const RANKS = ["view", "redrive", "edit", "discard", "admin"];
const main = document.getElementById("main"), top = document.getElementById("top"), notices = document.getElementById("notices");

/* can: see it; may: do it */
const app = { me: null, can: (role) => app.me && RANKS.indexOf(app.me.role) >= RANKS.indexOf(role), may: (role) => app.can(role) && !app.me.read_only, say, failed };
let view = null, wasDown = false;

/* ---- notices */

function say(text, kind = "fine", ms = 6000) {
    const node = el("div", { class: `notice ${kind}` }, el("span", { class: "grow" }, text), button("close", () => node.remove(), { class: "quiet small" }));
    notices.append(node);
    while (notices.children.length > 4) notices.firstChild.remove();
    if (ms) setTimeout(() => node.remove(), ms);
    return node;
}

function failed(problem) {
    if (problem.name === "AbortError") return;
    if (problem.status === 401) signIn(problem.detail || problem.message);
    else say(problem.message, "error", 12000);
}

/* ---- the bar at the top */

function theme(next) {
    const now = next ?? localStorage.getItem("stepmill.theme") ?? "auto";
    if (now === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = now;
    localStorage.setItem("stepmill.theme", now);
    return now;
}

function bar() {
    const now = theme(), following = { auto: "light", light: "dark", dark: "auto" };
    const { parts } = here();
    const tab = parts[0] === "letter" ? "letters" : parts[0];
    show(top, el("a", { class: "name", href: "#/overview" }, "Dead letters", app.me && el("span", {}, app.me.instance)),
        el("nav", { "aria-label": "Views" }, TABS.map(([name, title]) => el("a", { href: link(name), "aria-current": name === tab ? "page" : null }, title))),
        el("span", { class: "grow" }), el("span", { class: `live ${wasDown ? "down" : "up"}`, id: "live" }, el("i", { "aria-hidden": "true" }), wasDown ? "away" : "live"),
        app.me && el("span", { class: "dim", id: "me", title: `Role: ${app.me.role}` }, app.me.read_only ? "read-only mode" : `${app.me.name} · ${app.me.role}`),
        button(`theme: ${now}`, () => { theme(following[now]); bar(); }, { class: "quiet", id: "theme", title: "Colours: as the system, light, dark" }),
        button("?", help, { class: "quiet", "aria-label": "Keyboard help" }),
        token.get() && button("sign out", () => { token.set(""); location.reload(); }, { class: "quiet" }));
}

/* ---- views */

/* A view that is made anew under somebody who types: the focus stays; the words and the place too, if it is made for the words. */
function typing(own) {
    const field = document.activeElement;
    if (!field || !field.matches("main input[type=search]")) return () => {};
    const { value, selectionEnd: at } = field, label = field.getAttribute("aria-label");
    return () => {
        const same = [...main.querySelectorAll("input[type=search]")].find((f) => f.getAttribute("aria-label") === label);
        if (!same) return;
        const more = own && same.value !== value;
        if (more) same.value = value;
        same.focus();
        if (own) same.setSelectionRange(at, at);
        if (more) same.dispatchEvent(new Event("input"));
    };
}

function open() {
    const { parts, state } = here(), own = ours();
    const module = VIEWS[parts[0]];
    bar();
    if (!app.me) return;
    if (view && view.module === module && view.update && view.update(parts, state, own)) return;
    if (view && view.close) view.close();
    const moved = view && view.module !== module, goOn = moved ? null : typing(own);
    show(main);
    document.title = `${(TABS.find(([name]) => name === parts[0]) || ["", "Letter"])[1]} · ${app.me.instance} · dead letters`;
    view = module ? { module, ...module.open(main, app, parts, state) } : { module };
    if (!module) show(main, el("h1", {}, "Dead letters"), empty("Nothing here", "There is no view of this name."));
    if (moved) { main.focus({ preventScroll: true }); scrollTo(0, 0); }
    else goOn();
}

async function signIn(why) {
    unwatch();
    onDeaf();
    if (document.querySelector("dialog[data-sign-in]")) return;
    const field = el("input", { type: "password", autocomplete: "off", spellcheck: "false", required: true });
    const box = dialog({ title: "Sign in", body: [el("p", { class: "dim" }, why), el("label", {}, "Token or JWT", field)], verb: "Sign in", keep: true,
        act: async () => { token.set(field.value.trim()); box.close(); await start(); } });
    box.node.dataset.signIn = "";
}

/* ---- keys */

function help() {
    const keys = [["g then o l g r t h", "go to overview, letters, groups, redrives, tasks, history"], ["j k", "next, previous row"], ["Enter", "open the row"], ["x", "select the row"],
        ["Shift x", "select the whole page"], ["/", "search; Enter: to the rows"], ["r", "redrive what is selected"], ["a", "acknowledge"], ["d", "discard"], ["n p", "next page, first page"], ["Esc", "close; clear the selection"]];
    dialog({ title: "Keys", body: el("div", { class: "keys" }, keys.map(([key, what]) => [el("span", {}, el("kbd", {}, key)), el("span", {}, what)])) });
}

let went = 0;
function onKey(e) {
    if (e.ctrlKey || e.metaKey || e.altKey || document.querySelector("dialog[open]")) return;
    if (e.target.closest("input:not([type=checkbox]), textarea, select")) {
        if (e.key === "Escape") e.target.blur();
        return;
    }
    const tab = TABS.find(([, , key]) => key === e.key);
    if (tab && Date.now() - went < 1200) { went = 0; go(tab[0]); }
    else if (e.key === "g") went = Date.now();
    else if (e.key === "?") help();
    else if (e.key === "/") (document.querySelector("main input[type=search]") || main).focus();
    else if (!(view && view.key && view.key(e.key, e))) return;
    e.preventDefault();
}

/* ---- live */

/* What is shown is not kept fresh any more. */
function onDeaf() {
    wasDown = true;
    bar();
}

function onDown() {
    if (wasDown) return;
    onDeaf();
    document.body.dataset.away = "";
    app.away = say("The processor cannot be reached. What you see may be old; trying again by itself.", "error", 0);
}

/* Also when another stream took over: what happened in between was told to nobody. */
function onUp() {
    wasDown = false;
    if (app.away) app.away.remove();
    delete document.body.dataset.away;
    bar();
    if (view && view.refresh) view.refresh();
}

async function start() {
    try {
        app.me = await get("/me");
    } catch (e) {
        if (view && view.close) view.close();
        view = app.me = null;
        show(main, empty("Dead letters cannot be shown", e.message, button("Try again", start)));
        bar();
        if (e.status === 401) signIn(e.message);
        else setTimeout(() => { if (!app.me) start(); }, 3000);
        return;
    }
    open();
    onSight(document.hidden);
}

function onSight(hidden) {
    if (!app.me) return;
    if (hidden) unwatch();
    else if (!isWatching()) watch();
}
addEventListener("pagehide", () => onSight(true));
addEventListener("pageshow", () => onSight(false));
document.addEventListener("visibilitychange", () => onSight(document.hidden));
live.addEventListener("up", onUp);
live.addEventListener("down", onDown);
live.addEventListener("refused", (e) => { onDeaf(); failed(e.detail); });
addEventListener("unauthorized", (e) => failed(e.detail)); // said by a dialog
for (const kind of ["letters", "actions", "tasks"]) live.addEventListener(kind, (e) => { if (view && view.news) view.news(kind, e.detail); });
addEventListener("hashchange", () => {
    for (const box of document.querySelectorAll("dialog[open]:not([data-sign-in])")) box.close(); // it belongs to the view that was left
    open();
});
addEventListener("keydown", onKey);
document.querySelector(".skip").addEventListener("click", (e) => { e.preventDefault(); main.focus(); }); // the fragment is the view's name
setInterval(tick, 1000);
start();

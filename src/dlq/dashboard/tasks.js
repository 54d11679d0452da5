/* Running and finished tasks: search by task or session, and one task's steps, live. */
import { get, segment } from "./api.js";
import { age, badge, button, changes, count, copier, el, empty, facts, later, paced, show, span } from "./dom.js";
import { go, link } from "./route.js";
import { stepList } from "./steps.js";

const STATUSES = ["running", "completed", "failed", "cancelled", "parked"];

function about(d) {
    const t = d.task, own = (name, to, value) => [name, value && el("a", { class: "mono", href: to }, value)];
    const trace = d.trace_url && /^https?:\/\//i.test(d.trace_url) ? el("a", { href: d.trace_url, rel: "noreferrer noopener", target: "_blank", class: "mono" }, t.trace_id || "open") : t.trace_id && el("span", { class: "mono" }, t.trace_id);
    return [el("section", { class: "panel" }, el("div", { class: "body" }, facts([["Agent", t.agent], own("Session", link("tasks", { session_id: t.session_id }), t.session_id),
        own("Parent", link(["tasks", t.parent_task_id]), t.parent_task_id), ["Began", [age(t.first_at), " ago"]], ["Last event", [age(t.last_at), " ago"]], ["Redrives", t.redrives],
        ["Error", t.error], ["Prompt", t.prompt], ["Trace", trace]]))),
    d.letters.length > 0 && el("section", { class: "panel" }, el("h2", {}, "Dead letters"), el("ul", { class: "history" }, d.letters.map((l) =>
        el("li", {}, badge(l.status), " ", el("a", { href: link(["letter", l.id]) }, l.message || l.id), " ", el("span", { class: "dim" }, age(l.failed_at), " ago")))))];
}

function one(main, app, id) {
    const stopped = new AbortController(), head = el("div", { class: "head" }), list = stepList(), right = el("div");
    const body = el("div", { class: "detail" }, el("div", {}, el("section", { class: "panel" }, el("h2", {}, "Steps"), list.nodes)), right);
    let last = "";
    async function load() {
        try {
            const d = await get(`/tasks/${segment(id)}`, {}, stopped.signal), t = d.task, text = JSON.stringify(d);
            if (text === last) return;
            last = text;
            show(head, el("h1", { class: "mono" }, t.task_id), badge(t.status), copier(t.task_id, "task id"));
            list.show(d);
            show(right, about(d));
            show(main, head, body);
        } catch (e) {
            last = "";
            if (e.status === 404) show(main, el("div", { class: "head" }, el("h1", {}, "Task")), empty("No such task", "Its events are not in the index: older than it keeps, or not begun. It appears here by itself."));
            else app.failed(e);
        }
    }
    const soon = paced(700, load);
    load();
    return { news: soon, refresh: load, close: () => { soon.stop(); stopped.abort(); } };
}

export function open(main, app, parts, state) {
    if (parts[1]) return one(main, app, parts[1]);
    const stopped = new AbortController(), table = el("section", { class: "panel" }), changed = changes();
    const set = (more) => go("tasks", { ...state, cursor: "", ...more });
    const fields = [["task_id", "Task id"], ["session_id", "Session id"], ["agent", "Agent"]].map(([name, label]) => el("input", { type: "search", name, value: state[name] || "", placeholder: label, "aria-label": label, oninput: () => typed() }));
    const typed = later(500, () => set(Object.fromEntries(fields.map((f) => [f.name, f.value.trim()]))));
    const status = el("select", { "aria-label": "Status", onchange: () => set({ status: status.value }) }, ["", ...STATUSES].map((s) => el("option", { value: s, selected: (state.status || "") === s }, s || "any status")));
    async function load() {
        try {
            const page = await get("/tasks", { task_id: state.task_id, session_id: state.session_id, agent: state.agent, status: state.status, cursor: state.cursor, limit: 100 }, stopped.signal);
            if (!changed(page)) return null;
            if (!page.items.length) return show(table, empty("No tasks", "None fits, or their events are older than the index keeps."));
            const heads = [["", "Status"], ["num", "Last event"], ["", "Task"], ["", "Agent"], ["", "Session"], ["", "Prompt"], ["num", "Steps"], ["num", "Tool calls"], ["num", "Tokens"], ["num", "Took"]];
            return show(table, el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Tasks" }, el("table", {}, el("thead", {}, el("tr", {}, heads.map(([c, t]) => el("th", { class: c }, t)))), el("tbody", {}, page.items.map((t) => el("tr", {}, el("td", {}, badge(t.status)), el("td", { class: "num" }, age(t.last_at)),
                el("td", { class: "cut mono" }, el("a", { href: link(["tasks", t.task_id]) }, t.task_id)), el("td", { class: "cut" }, t.agent || "–"), el("td", { class: "cut mono" }, t.session_id ? el("a", { class: "plain", href: link("tasks", { session_id: t.session_id }) }, t.session_id) : "–"),
                el("td", { class: "wide", title: t.prompt || "" }, t.prompt || "–"), el("td", { class: "num" }, count(t.steps)), el("td", { class: "num" }, count(t.tool_calls)), el("td", { class: "num" }, count(t.prompt_tokens + t.completion_tokens)),
                el("td", { class: "num" }, span(Date.parse(t.last_at) - Date.parse(t.first_at)))))))),
            el("div", { class: "foot" }, state.cursor && button("First page", () => set({})), page.next && button("Next page", () => set({ cursor: page.next }))));
        } catch (e) {
            return app.failed(e);
        }
    }
    const soon = paced(1500, load);
    show(main, el("div", { class: "head" }, el("h1", {}, "Tasks"), el("span", { class: "dim" }, "running and finished")), el("div", { class: "filters", role: "search" }, fields, status), table);
    load();
    return { news: (kind) => kind === "tasks" && soon(), refresh: load, close: () => { typed.stop(); soon.stop(); stopped.abort(); } };
}

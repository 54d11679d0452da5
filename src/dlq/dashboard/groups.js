/* Letters by cause: the ranked list, and the table that the overview shows too. */
import { get, segment } from "./api.js";
import { act, redrive } from "./act.js";
import { age, button, changes, count, el, empty, later, paced, show } from "./dom.js";
import { go, link } from "./route.js";

const DAY_MS = 86400e3;

export function groupTable(groups, app, done) {
    if (!groups.length) return empty("No causes", "Nothing is waiting.");
    const names = (items) => items.slice(0, 2).map((a) => a.name).join(", ") + (items.length > 2 ? ` +${items.length - 2}` : "");
    return el("div", { class: "scroll" }, el("table", {}, el("thead", {}, el("tr", {},
        el("th", { class: "num" }, "Unfinished"), el("th", { class: "num" }, "All"), el("th", {}, "Class"), el("th", {}, "Cause"), el("th", {}, "Agents"),
        el("th", { class: "num" }, "First"), el("th", { class: "num" }, "Last"), app && el("th", {}, "Actions"))),
    el("tbody", {}, groups.map((g) => el("tr", { "data-group": g.fingerprint },
        el("td", { class: "num" }, el("b", {}, count(g.unfinished))), el("td", { class: "num dim" }, count(g.letters)),
        el("td", { class: "cut" }, [g.class, g.stage].filter(Boolean).join(" · ") || "–"),
        el("td", { class: "wide", title: g.example_message || g.pattern || "" }, tags(g),
            el("a", { class: "plain", href: link("letters", { group: g.fingerprint }) }, g.pattern || g.code || g.fingerprint)),
        el("td", { class: "cut", title: g.agents.map((a) => `${a.name}: ${count(a.n)}`).join("\n") }, names(g.agents) || "–"),
        el("td", { class: "num" }, age(g.first_at)), el("td", { class: "num" }, age(g.last_at)),
        app && el("td", {}, groupButtons(g, app, done)))))));
}

function tags(g) {
    if (g.resolved) return el("span", { class: "tag" }, "resolved");
    if (g.returned_at) return el("span", { class: "tag hot", title: `Returned ${g.returned_at}` }, "returned");
    return Date.now() - Date.parse(g.first_at) < DAY_MS ? el("span", { class: "tag hot", title: "First seen in the last 24 hours" }, "new") : null;
}

function groupButtons(g, app, done) {
    const what = { group: g.fingerprint, n: g.unfinished, name: g.pattern || g.fingerprint };
    if (!app.may("redrive")) return "–";
    return [button("Redrive…", () => redrive(app, what, done), { class: "small", disabled: !g.unfinished }), " ",
        button(g.resolved ? "Reopen" : "Resolve…", () => act(app, g.resolved ? "group_reopened" : "group_resolved", what, done), { class: "small" })];
}

export function open(main, app, parts, state) {
    const table = el("section", { class: "panel" }), stopped = new AbortController();
    const set = (more) => go("groups", { ...state, cursor: "", ...more }), typed = later(300, () => set({ text: search.value.trim() }));
    const search = el("input", { type: "search", placeholder: "Search causes", "aria-label": "Search causes", value: state.text || "", oninput: typed });
    const orders = [["count", "Most"], ["first", "Newest"], ["last", "Last seen"]];
    const changed = changes();
    let next = null;

    async function load() {
        try {
            const page = parts[1] ? { items: [await get(`/groups/${segment(parts[1])}`, {}, stopped.signal)], next: null } : await get("/groups", { text: state.text, class: state.class, agent: state.agent, topic: state.topic, unfinished: state.all ? "" : "true",
                order: state.order || "count", cursor: state.cursor, limit: 100 }, stopped.signal);
            next = page.next;
            if (changed(page)) show(table, page.items.length ? groupTable(page.items, app, load) : empty("No causes", state.text ? "None has these words." : "Nothing is waiting."),
                el("div", { class: "foot" }, state.cursor && button("First page", () => set({})), next && button("Next page", () => set({ cursor: next }))));
        } catch (e) {
            if (parts[1] && e.status === 404) show(table, empty("No such group", "Its letters may have been forgotten: they go when their topic lets them go."));
            else app.failed(e);
        }
    }

    const soon = paced(2500, () => (document.querySelector("dialog[open]") ? soon() : load()));
    show(main, el("div", { class: "head" }, el("h1", {}, "Groups"), el("span", { class: "dim" }, "letters of one cause")),
        el("div", { class: "filters" }, search, el("div", { class: "segmented", role: "group", "aria-label": "Order" }, orders.map(([value, name]) =>
            button(name, () => set({ order: value }), { "aria-pressed": String((state.order || "count") === value) }))),
        button("Also finished", () => set({ all: state.all ? "" : "1" }), { "aria-pressed": String(Boolean(state.all)) })), table);
    load();
    return { news: (kind) => kind !== "tasks" && soon(), refresh: load, close: () => { typed.stop(); soon.stop(); stopped.abort(); } };
}

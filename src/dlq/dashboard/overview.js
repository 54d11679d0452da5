/* The overview: how many letters want something, since when, of which causes. */
import { get } from "./api.js";
import { bars, chart } from "./chart.js";
import { STATUSES, age, badge, button, changes, count, el, empty, paced, plural, show } from "./dom.js";
import { groupTable } from "./groups.js";
import { go, link } from "./route.js";

const SPANS = [["1h", "hour"], ["24h", "day"], ["7d", "week"], ["30d", "month"]];

function figures(o) {
    const status = (name) => o.by_status[name] > 0 && el("a", { href: link("letters", { status: name }) }, el("b", {}, count(o.by_status[name])), badge(name));
    return el("div", { class: "figures" },
        el("a", { href: link("letters") }, el("b", {}, count(o.unfinished)), el("span", {}, "unfinished")),
        el("div", {}, el("b", {}, o.oldest_unfinished_at ? age(o.oldest_unfinished_at) : "–"), el("span", {}, "age of the oldest")),
        el("a", { href: link("groups") }, el("b", {}, count(o.groups_unfinished)), el("span", {}, o.groups_unfinished === 1 ? "cause" : "causes")),
        STATUSES.map(status));
}

export function open(main, app, parts, state) {
    const span = state.span || "24h";
    const head = el("div", { class: "head" }, el("h1", {}, "Overview"), el("span", { class: "dim", id: "index-state" }),
        el("div", { class: "actions segmented", role: "group", "aria-label": "Time" }, SPANS.map(([value, name]) =>
            button(name, () => go("overview", { span: value }), { "aria-pressed": String(span === value) }))));
    const body = el("div");
    const stopped = new AbortController(), changed = changes();

    async function load() {
        try {
            const [o, top, fresh] = await Promise.all([get("/overview", { from: span }, stopped.signal),
                get("/groups", { unfinished: true, limit: 10 }, stopped.signal), get("/groups", { order: "first", unfinished: true, limit: 5 }, stopped.signal)]);
            if (changed([o, top, fresh])) render(o, top.items, fresh.items);
        } catch (e) {
            app.failed(e);
        }
    }

    function render(o, top, fresh) {
        head.querySelector("#index-state").textContent = o.caught_up ? "" : `The index is still being made: ${o.lag === null ? "" : plural(o.lag, "record")} to read. Counts will grow.`;
        if (!o.letters) {
            show(body, empty("No dead letters", o.caught_up ? "Nothing has failed for good. This page follows by itself." : "None so far."));
            return;
        }
        const linkOf = (field) => (name) => link("letters", { [field]: name });
        show(body, figures(o), el("section", { class: "panel", "aria-label": "Letters over time" }, chart(o)),
            el("div", { class: "grid2" }, el("section", { class: "panel" }, el("h2", {}, "By class"), bars(o.classes, linkOf("class"))),
                el("section", { class: "panel" }, el("h2", {}, "By agent"), bars(o.agents, linkOf("agent")))),
            el("section", { class: "panel gap" }, el("h2", {}, "Largest causes", el("a", { href: link("groups") }, "all")), groupTable(top)),
            el("section", { class: "panel" }, el("h2", {}, "Newest causes", el("a", { href: link("groups", { order: "first" }) }, "all")), groupTable(fresh)));
    }

    const soon = paced(2000, load);
    show(main, head, body);
    load();
    return { news: (kind) => kind !== "tasks" && soon(), refresh: load, close: () => { soon.stop(); stopped.abort(); } };
}

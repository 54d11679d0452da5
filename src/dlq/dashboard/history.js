/* What was done, by whom and why: for all, or for one letter. */
import { get } from "./api.js";
import { age, button, changes, el, empty, paced, show, words } from "./dom.js";
import { go, link } from "./route.js";

/* The processor itself is no name that anybody knows. */
const actor = (a) => (a.actor_kind === "system" ? el("span", { class: "dim", title: a.actor }, "processor") : a.actor);

/* What else the record says: the text of a note, to whom, how a task ended, why somebody was refused. */
function said(a) {
    const d = a.detail || {};
    return [d.name, d.detail].filter((part) => typeof part === "string" && part).join(" · ");
}

export const entry = (a) => el("li", {}, el("b", {}, words(a.kind)), " by ", actor(a), " ", el("span", { class: "dim" }, age(a.at), " ago"),
    a.reason && el("span", { class: "why" }, a.reason), said(a) && el("span", { class: "why" }, said(a)));

export function open(main, app, parts, state) {
    const stopped = new AbortController(), table = el("section", { class: "panel" }), changed = changes();
    const about = (a) => (a.letter ? el("a", { href: link(["letter", a.letter]) }, a.letter) : a.job ? el("a", { href: link(["redrives", a.job]) }, `job ${a.job}`)
        : a.group ? el("a", { href: link("letters", { group: a.group, status: [] }) }, `group ${a.group}`) : "–");
    async function load() {
        try {
            const page = await get("/actions", { kind: state.kind, actor: state.actor, group: state.group, job: state.job, cursor: state.cursor, limit: 100 }, stopped.signal);
            if (!changed(page)) return null;
            if (!page.items.length) return show(table, empty("Nothing was done yet", "Each action on a letter is kept here: who, when and why."));
            return show(table, el("div", { class: "scroll" }, el("table", {}, el("thead", {}, el("tr", {}, ["Age", "Action", "By", "About", "Reason"].map((t) => el("th", {}, t)))),
                el("tbody", {}, page.items.map((a) => el("tr", {}, el("td", {}, age(a.at)), el("td", {}, el("a", { class: "plain", href: link("history", { kind: a.kind }) }, words(a.kind))),
                    el("td", { class: "cut" }, actor(a)), el("td", { class: "cut tail long mono" }, el("bdi", {}, about(a))), el("td", { class: "wide", title: a.reason || said(a) }, [a.reason, said(a)].filter(Boolean).join(" · ") || "–")))))),
            el("div", { class: "foot" }, state.cursor && button("First page", () => go("history", { ...state, cursor: "" })), page.next && button("Next page", () => go("history", { ...state, cursor: page.next }))));
        } catch (e) {
            return app.failed(e);
        }
    }
    const soon = paced(2000, load);
    show(main, el("div", { class: "head" }, el("h1", {}, "History"), state.kind && el("span", { class: "chip" }, el("span", {}, words(state.kind)), button("×", () => go("history"), { "aria-label": "All kinds" }))), table);
    load();
    return { news: (kind) => kind === "actions" && soon(), refresh: load, close: () => { soon.stop(); stopped.abort(); } };
}

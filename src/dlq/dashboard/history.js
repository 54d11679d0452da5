/* What was done, by whom and why: for all, or for one letter. */
import { get } from "./api.js";
import { age, button, el, empty, paced, show, words } from "./dom.js";
import { go, link } from "./route.js";

export const entry = (a) => el("li", {}, el("b", {}, words(a.kind)), " by ", a.actor, " ", el("span", { class: "dim" }, age(a.at), " ago"),
    a.reason && el("span", { class: "why" }, a.reason), a.detail && a.detail.note && el("span", { class: "why" }, String(a.detail.note)));

export function open(main, app, parts, state) {
    const stopped = new AbortController(), table = el("section", { class: "panel" });
    const about = (a) => (a.letter ? el("a", { href: link(["letter", a.letter]) }, a.letter) : a.job ? el("a", { href: link(["redrives", a.job]) }, `job ${a.job}`)
        : a.group ? el("a", { href: link("letters", { group: a.group, status: [] }) }, `group ${a.group}`) : "–");
    async function load() {
        try {
            const page = await get("/actions", { kind: state.kind, actor: state.actor, group: state.group, job: state.job, cursor: state.cursor, limit: 100 }, stopped.signal);
            if (!page.items.length) return show(table, empty("Nothing was done yet", "Each action on a letter is kept here: who, when and why."));
            return show(table, el("div", { class: "scroll" }, el("table", {}, el("thead", {}, el("tr", {}, ["Age", "Action", "By", "About", "Reason"].map((t) => el("th", {}, t)))),
                el("tbody", {}, page.items.map((a) => el("tr", {}, el("td", {}, age(a.at)), el("td", {}, el("a", { class: "plain", href: link("history", { kind: a.kind }) }, words(a.kind))),
                    el("td", { class: "cut" }, a.actor), el("td", { class: "cut mono" }, about(a)), el("td", { class: "wide", title: a.reason }, a.reason || "–")))))),
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

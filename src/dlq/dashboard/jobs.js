/* Redrive jobs: the list, one job's progress, and pause, resume, cancel. */
import { get, keyed, post, segment } from "./api.js";
import { age, badge, button, changes, count, el, empty, paced, show } from "./dom.js";
import { go, link } from "./route.js";
import { live } from "./stream.js";

const ENDED = ["finished", "cancelled"], PATIENCE_MS = 120000;

function meter(job) {
    const node = el("div", { class: "meter", role: "progressbar", "aria-label": "Sent", "aria-valuemin": 0, "aria-valuemax": job.selected, "aria-valuenow": job.sent });
    const part = (n, name) => {
        const bar = el("i", { class: name });
        bar.style.width = `${job.selected ? (Math.max(0, n) / job.selected) * 100 : 0}%`;
        return bar;
    };
    node.append(part(job.completed, "good"), part(job.failed_again, "failed"), part(underWay(job), ""));
    return node;
}

/* A job has finished when all is sent; what was sent is then still under way. */
const underWay = (job) => Math.max(0, job.sent - job.completed - job.failed_again);

const figures = (job) => `${count(job.sent)} of ${count(job.selected)}${job.selected_all ? "" : "+"} sent · ${count(job.completed)} completed · ${count(job.failed_again)} failed again`
    + (underWay(job) ? ` · ${count(underWay(job))} under way` : "");

function controls(app, job, done) {
    if (ENDED.includes(job.state) || !app.may("redrive")) return [];
    const change = (verb, name) => {
        const key = keyed();
        return button(name, async (e) => {
            e.target.disabled = true;
            try {
                await post(`/redrives/${segment(job.id)}/${verb}`, {}, key({ verb }));
                await done();
            } catch (problem) {
                app.failed(problem);
            }
            e.target.disabled = false; // it stays where the state is what it was
        }, { class: `small${verb === "cancel" ? " danger" : ""}` });
    };
    return [job.state === "paused" ? change("resume", "Resume") : change("pause", "Pause"), " ", change("cancel", "Cancel job")];
}

/* One job that keeps itself fresh: by events, and every 2 s should they be away. `written`: it was asked for just now, and the
 * index may not know it yet. */
export function progress(app, id, first, written) {
    const node = el("div", { class: "dry", "aria-live": "polite", "data-job": id }), until = written ? Date.now() + PATIENCE_MS : 0;
    let settled = false, known = Boolean(first);
    const moving = el("div"), still = el("p", { class: "gap" });
    const draw = (job) => {
        settled = ENDED.includes(job.state) && !underWay(job);
        show(moving, el("b", {}, badge(job.state)), meter(job), el("p", {}, figures(job)));
        if (node.dataset.state === job.state) return; // the buttons stay: one of them may have the focus
        node.dataset.state = job.state;
        show(still, controls(app, job, load), " ", el("a", { href: link("letters", { job: id, status: "all" }) }, "its letters"));
        show(node, moving, still);
    };
    async function load() {
        try {
            draw(await get(`/redrives/${segment(id)}`));
            known = true;
        } catch (e) {
            if (!known && (e.status === 400 || (e.status === 404 && Date.now() >= until))) {
                settled = true;
                show(node, written ? "It is written, but not to be seen yet: it will stand in Redrives." : "There is no such redrive.");
            } else if (e.status !== 404 && e.status !== 0) app.failed(e);
        }
    }
    const soon = paced(400, load);
    // the end of a task names its letter, not the job that sent it
    const heard = (e) => { if (!settled || e.detail.more || e.detail.actions.some((a) => a.job === id)) soon(); };
    const timer = setInterval(() => { if (!settled) soon(); }, 2000);
    live.addEventListener("actions", heard);
    show(node, el("span", { class: "dim" }, "Started…"));
    if (first) draw(first);
    soon();
    return { node, stop: () => { soon.stop(); clearInterval(timer); live.removeEventListener("actions", heard); } };
}

export function open(main, app, parts, state) {
    const stopped = new AbortController(), table = el("section", { class: "panel" }), changed = changes();
    if (parts[1]) {
        const shown = progress(app, parts[1], null);
        show(main, el("div", { class: "head" }, el("h1", {}, "Redrive"), el("span", { class: "mono dim" }, parts[1])), shown.node);
        return { close: shown.stop };
    }
    async function load() {
        try {
            const page = await get("/redrives", { cursor: state.cursor, limit: 50 }, stopped.signal);
            if (!changed(page)) return null;
            if (!page.items.length) return show(table, empty("No redrives yet", "Choose letters or a group and redrive them."));
            return show(table, el("div", { class: "scroll" }, el("table", {}, el("thead", {}, el("tr", {}, ["State", "Asked", "By", "Reason", "Progress", "Actions"].map((t) => el("th", {}, t)))),
                el("tbody", {}, page.items.map((job) => el("tr", {}, el("td", {}, el("a", { class: "plain", href: link(["redrives", job.id]) }, badge(job.state))), el("td", {}, age(job.requested_at)),
                    el("td", { class: "cut" }, job.actor), el("td", { class: "wide", title: job.reason }, job.reason || "–"), el("td", {}, meter(job), el("span", { class: "dim" }, figures(job))),
                    el("td", {}, controls(app, job, load))))))),
            el("div", { class: "foot" }, state.cursor && button("First page", () => go("redrives")), page.next && button("Next page", () => go("redrives", { cursor: page.next }))));
        } catch (e) {
            return app.failed(e);
        }
    }
    const soon = paced(1500, load);
    show(main, el("div", { class: "head" }, el("h1", {}, "Redrives")), table);
    load();
    return { news: (kind) => kind === "actions" && soon(), refresh: load, close: () => { soon.stop(); stopped.abort(); } };
}

/* One letter: what happened, its payload, headers, the steps of its task, and its history. */
import { download, get, keyed, parse, post, segment } from "./api.js";
import { buttons } from "./act.js";
import { dialog } from "./dialog.js";
import { add, age, badge, button, bytes, clock, copier, el, empty, facts, paced, show } from "./dom.js";
import { entry } from "./history.js";
import { json, rawText } from "./payload.js";
import { link } from "./route.js";
import { stepList } from "./steps.js";

const UNDER_WAY = ["redriving", "redriven"];

/* What its status allows: a button that can only fail is none. Of one that has failed again the newer letter is the one to act on. */
function kinds(l) {
    if (["redriven", "resolved", "discarded"].includes(l.status)) return ["noted", "reopened"];
    if (["redriving", "failed_again"].includes(l.status)) return ["assigned", "noted"];
    if (l.status === "parked") return ["assigned", "noted", "unparked", "discarded"];
    return ["redrive", "acknowledged", "assigned", "noted", "parked", "discarded"];
}

/* A letter of ours may name no trace; its task does. */
function traceLink(url, id) {
    return url && /^https?:\/\//i.test(url) ? el("a", { href: url, rel: "noreferrer noopener", target: "_blank", class: "mono" }, id || "open") : id && el("span", { class: "mono" }, id);
}

function fact(l, trace) {
    const at = (t) => t && [clock(t), el("span", { class: "dim" }, " · ", age(t), " ago")];
    const own = (name, value) => value && el("a", { href: link("letters", { [name]: value, status: "all" }) }, value);
    const place = (topic, p, o) => topic && el("span", { class: "mono" }, [topic, p, o].filter((x) => x !== null).join(":"));
    return facts([["Failed", at(l.failed_at)], ["First failed", l.first_failed_at !== l.failed_at && at(l.first_failed_at)].map((x) => x || null), ["Started", at(l.started_at)], ["Status since", at(l.status_at)],
        ["Retry due", at(l.due_at)], ["Agent", own("agent", l.agent)], ["Class", own("class", l.class)], ["Code", own("code", l.code)], ["Stage", own("stage", l.stage)], ["Step", l.step],
        ["Attempts", l.attempts], ["Redrives", `${l.redrives} before, ${l.sent} since`], ["Retryable", l.retryable ? "yes" : "no"], ["Task", l.task_id && el("a", { class: "mono", href: link(["tasks", l.task_id]) }, l.task_id)],
        ["Session", l.session_id && el("a", { class: "mono", href: link("tasks", { session_id: l.session_id }) }, l.session_id)], ["From", place(l.topic, l.partition, l.offset)],
        ["Letter", place(l.dlq_topic, l.dlq_partition, l.dlq_offset)], ["Group", el("a", { class: "mono", href: link("letters", { group: l.group, status: "all" }) }, l.group)], ["Consumer", l.consumer_group],
        ["Worker", l.worker], ["Written by", l.family], ["Seen", l.occurrences > 1 ? `${l.occurrences} times` : null], ["Assigned", l.assigned],
        ["Job", l.job && l.job !== "auto" ? el("a", { class: "mono", href: link(["redrives", l.job]) }, l.job) : l.job], ["Newer letter", l.newer_id && el("a", { class: "mono", href: link(["letter", l.newer_id]) }, l.newer_id)],
        ["Trace", trace]]);
}

function payload(app, l, value, form) {
    const body = el("div");
    const texts = { null: "The record has no value.", masked: "Your role may not see payloads.", omitted: value.why || "The value is too large to show here." };
    const draw = () => {
        for (const b of title.querySelectorAll(".segmented button")) b.setAttribute("aria-pressed", String((b.textContent === "Raw") === form.raw));
        if (texts[value.form]) return show(body, el("p", { class: "body dim" }, texts[value.form]));
        const node = !form.raw && value.form === "json" ? json(value.json) : rawText(value, form.raw);
        node.tabIndex = 0;
        return show(body, value.why && el("p", { class: "body dim" }, value.why), node);
    };
    const save = async () => {
        try {
            const url = URL.createObjectURL(await (await download(`/letters/${segment(l.id)}/value`)).blob());
            el("a", { href: url, download: "value.bin" }).click();
            setTimeout(() => URL.revokeObjectURL(url), 10000);
        } catch (e) {
            app.failed(e);
        }
    };
    const mode = (name, on) => button(name, () => { form.raw = on; draw(); }, { class: "small" });
    const title = el("div", { class: "title" }, el("h2", {}, "Payload"), el("span", { class: "dim" }, [bytes(value.size), value.schema_name, value.schema_id && `schema ${value.schema_id}`].filter(Boolean).join(" · ")),
        el("div", { class: "actions" }, !texts[value.form] && el("span", { class: "segmented", role: "group", "aria-label": "Form" }, mode("Decoded", false), mode("Raw", true)),
            app.may("edit") && value.form === "json" && button("Edit and redrive…", () => edit(app, l, value.json), { class: "small" }),
            app.can("edit") && value.size !== null && button("Download", save, { class: "small" })));
    draw();
    return el("section", { class: "panel" }, title, body);
}

function edit(app, l, value) {
    const copy = { ...value };
    delete copy.task_id;
    const text = el("textarea", { rows: 18, class: "mono", spellcheck: "false", value: JSON.stringify(copy, null, 2) }), reason = el("input", { type: "text", maxlength: 500, required: true, name: "reason" });
    const key = keyed();
    dialog({ title: "Edit and redrive as a new task", verb: "Redrive the copy", body: [el("p", { class: "dim" }, "The letter stays as it is. The copy gets a new task id."), el("label", {}, "Task", text), el("label", {}, "Reason", reason)],
        act: async () => {
            let parsed;
            try {
                parsed = parse(text.value);
            } catch (e) {
                throw new Error(`This is no JSON: ${e.message}`);
            }
            const request = { value: parsed, reason: reason.value.trim() };
            const answer = await post(`/letters/${segment(l.id)}/edit`, request, key(request));
            app.say(`Sent as task ${answer.task_id}.`);
        } });
}

function headers(list) {
    const value = (h) => (h.value !== null ? h.value : h.base64 ? el("span", { class: "dim" }, `base64 ${h.base64}`) : el("span", { class: "dim" }, "hidden or empty"));
    return el("section", { class: "panel" }, el("h2", {}, `Headers (${list.length})`), el("table", {}, el("tbody", {}, list.map((h) =>
        el("tr", {}, el("td", { class: "mono dim" }, h.name), el("td", { class: "mono wrap" }, value(h)))))));
}

export function open(main, app, parts) {
    const id = parts[1] || "", stopped = new AbortController(), list = stepList(), form = { raw: false };
    const head = el("div", { class: "head" }), left = el("div"), right = el("div"), stepBox = el("section", { class: "panel", "aria-label": "Steps" }), past = el("section", { class: "panel" });
    const tasksTrace = el("span", {}, "–"), detail = el("div", { class: "detail" }, left, right);
    let letter = null, last = "";

    /* Drawn anew only when it is another: who reads it, or has a part of it open, is not disturbed. */
    async function load() {
        try {
            const d = await get(`/letters/${segment(id)}`, {}, stopped.signal), text = JSON.stringify(d);
            if (!head.isConnected) show(main, head, detail); // it is known by now
            if (text !== last) draw(d);
            last = text;
            await Promise.all([loadHistory(), loadSteps(d.letter)]);
        } catch (e) {
            if (e.status === 404) { letter = null; last = ""; }
            if (e.status === 404) show(main, el("div", { class: "head" }, el("h1", {}, "Letter")), empty("No such letter", "It may have been forgotten: letters go when their topic lets them go.", el("a", { class: "button", href: "#/letters" }, "All letters")));
            else app.failed(e);
        }
    }
    function draw(d) {
        const l = letter = d.letter;
        show(head, el("h1", {}, l.code || l.class || "Dead letter"), badge(l.status), el("span", { class: "mono dim" }, l.id), copier(l.id, "letter id"), el("div", { class: "actions" }, buttons(app, kinds(l), () => ({ letters: [l.id] }), load)));
        show(left, el("section", { class: "panel" }, el("div", { class: "body" }, el("p", { class: "message", tabindex: 0 }, l.message || "No message."))), payload(app, l, d.value, form), stepBox, headers(d.headers));
        show(right, el("section", { class: "panel" }, el("div", { class: "body" }, fact(l, traceLink(d.trace_url, l.trace_id) || tasksTrace))),
            d.key.size !== null && el("section", { class: "panel" }, el("h2", {}, "Key"), d.key.form === "masked" ? el("p", { class: "body dim" }, "Your role may not see it.") : rawText(d.key, false)), past);
    }
    async function loadHistory() {
        const page = await get("/actions", { letter: id, limit: 100 }, stopped.signal);
        show(past, el("h2", {}, "History"), page.items.length ? el("ul", { class: "history" }, page.items.map(entry)) : el("p", { class: "body dim" }, "Nothing was done to it yet."));
    }
    async function loadSteps(l) {
        const none = (why) => show(stepBox, el("h2", {}, "Steps"), el("p", { class: "body dim" }, why));
        if (!l.task_id) return none("The letter names no task.");
        try {
            const t = await get(`/tasks/${segment(l.task_id)}`, {}, stopped.signal);
            list.show(t);
            show(tasksTrace, traceLink(t.trace_url, t.task.trace_id) || "–");
            if (!list.nodes[0].isConnected) show(stepBox, el("h2", {}, "Steps"), list.nodes);
        } catch (e) {
            none(e.status === 404 ? "The task's events are not in the index: older than it keeps, or never written." : e.message);
        }
    }
    const soon = paced(800, () => (document.querySelector("dialog[open]") ? soon() : load()));
    const press = (name) => { const b = [...head.querySelectorAll("button")].find((x) => x.textContent.startsWith(name)); if (b) b.click(); return Boolean(b); };
    show(main, head, detail);
    load();
    return {
        refresh: load, close: () => { soon.stop(); stopped.abort(); },
        key: (k) => (k === "Escape" ? (history.back(), true) : k in { r: 1, a: 1, d: 1 } && press({ r: "Redrive", a: "Acknowledge", d: "Discard" }[k])),
        news: (kind, what) => {
            if (!letter || (kind === "actions" ? what.more || what.actions.some((a) => a.letter === id || (a.job && a.job === letter.job)) : UNDER_WAY.includes(letter.status))) soon();
        },
    };
}

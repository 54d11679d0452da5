/* Dialogs that act: redrive with its dry run and progress; acknowledge, assign, note, park, discard, resolve. */
import { keyed, post, segment } from "./api.js";
import { dialog } from "./dialog.js";
import { button, count, el, later, plural, show } from "./dom.js";
import { progress } from "./jobs.js";

/* what: {letters: [ids]} or {group, n, name} or {filter, n, name} */
const selection = (what) => (what.letters ? { letters: what.letters } : what.group && !what.filter ? { group: what.group } : { filter: what.filter });

function described(what) {
    if (what.letters) return plural(what.letters.length, "letter");
    return what.name ? `all unfinished of “${what.name.slice(0, 80)}”` : "all letters of the filter";
}

/* ---- redrive */

function dryText(dry) {
    const meter = el("div", { class: "meter", "aria-hidden": "true" }), bar = el("i");
    bar.style.width = `${dry.selected ? (dry.eligible / dry.selected) * 100 : 0}%`;
    meter.append(bar);
    return [el("b", {}, `${count(dry.eligible)} of ${count(dry.selected)}`), " would be sent", dry.more && el("span", { class: "dim" }, " (the cap leaves others out)"), meter,
        el("ul", {}, dry.ineligible.map((r) => el("li", {}, el("span", { class: "num" }, count(r.n)), el("span", {}, r.text),
            r.example ? el("a", { href: `#/letter/${segment(r.example)}` }, "example") : el("span"))))];
}

export function redrive(app, what, done) {
    const key = keyed();
    const reason = el("input", { type: "text", maxlength: 500, required: true, placeholder: "kept with the action", name: "reason" });
    const number = (name, value, max) => el("input", { type: "number", min: name === "canary" ? 0 : 1, max, value, name });
    const cap = number("cap", Math.min(what.letters ? what.letters.length : 1000, app.me.redrive_cap_max || 1000), app.me.redrive_cap_max || 10000000);
    const rate = number("rate", Math.min(50, app.me.redrive_rate_max || 50), app.me.redrive_rate_max || 100000);
    const canary = number("canary", what.letters && what.letters.length < 20 ? 0 : 5, 1000);
    const fresh = el("input", { type: "checkbox", name: "from_start" });
    const dry = el("div", { class: "dry", "aria-live": "polite" });
    const chosen = () => ({ ...selection(what), cap: Number(cap.value) || 1 });
    let asked = 0, sent = false;

    async function look() {
        const mine = ++asked;
        box.does.disabled = true;
        show(dry, el("span", { class: "dim" }, "Dry run…"));
        try {
            const answer = await post("/redrives/dry-run", chosen());
            if (mine !== asked || !box.node.isConnected) return;
            show(dry, dryText(answer));
            box.does.disabled = !answer.eligible;
            box.does.textContent = answer.eligible ? `Redrive ${count(answer.eligible)}` : "Nothing to redrive";
        } catch (e) {
            if (mine === asked) show(dry, el("span", { class: "bad" }, e.message), " ", button("Try again", look, { class: "small" }));
            if (e.status === 401) dispatchEvent(new CustomEvent("unauthorized", { detail: e }));
        }
    }
    async function send(it) {
        const request = { ...chosen(), reason: reason.value.trim(), rate: Number(rate.value) || 1, canary: Number(canary.value) || 0, from_start: fresh.checked };
        const answer = await post("/redrives", request, key(request));
        sent = true;
        if (!it.node.open) {
            app.say("The redrive had been sent when its dialog was closed: it stands in Redrives.", "warn");
            if (done) done();
            return;
        }
        it.does.remove();
        it.leave.textContent = "Close";
        it.leave.focus();
        const shown = progress(app, answer.id, answer.job, true);
        it.replace(shown.node);
        it.node.addEventListener("close", shown.stop);
        if (done) done();
    }
    const box = dialog({ title: `Redrive ${described(what)}`, verb: "Redrive", act: send, keep: true, closed: () => { if (sent && done) done(); }, body: [dry,
        el("label", {}, "Reason", reason), el("div", { class: "three" }, el("label", {}, "At most", cap), el("label", {}, "Letters a second", rate),
            el("label", { title: "So many first; on only if all of them complete" }, "Canary first", canary)),
        el("label", { class: "inline" }, fresh, el("span", {}, "From the beginning ", el("span", { class: "dim" }, "– forgets the steps that are paid for")))] });
    const again = later(250, look);
    cap.addEventListener("input", () => { asked++; box.does.disabled = true; again(); }); // what is sent has had its dry run
    reason.focus();
    look();
    return box;
}

/* ---- the other actions */

const KINDS = {
    acknowledged: { title: "Acknowledge", verb: "Acknowledge", text: "Somebody looks after it; what is acknowledged stays unfinished.", role: "redrive" },
    assigned: { title: "Assign", verb: "Assign", field: "assignee", label: "To whom (empty: nobody)", role: "redrive" },
    noted: { title: "Note on", verb: "Add note", field: "note", label: "Note", needed: true, role: "redrive" },
    parked: { title: "Park", verb: "Park", text: "What is parked is not retried by itself until it is unparked.", role: "redrive" },
    unparked: { title: "Unpark", verb: "Unpark", role: "redrive" },
    reopened: { title: "Reopen", verb: "Reopen", text: "What was sent back may still be under way: look at its task before it goes once more.", role: "redrive" },
    discarded: { title: "Discard", verb: "Discard", text: "Counts as finished. The record stays in Kafka until its topic lets it go.", danger: true, reason: true, role: "discard" },
    group_resolved: { title: "Resolve group", verb: "Resolve", text: "The cause is gone. If a letter of it comes again, that is news.", role: "redrive" },
    group_reopened: { title: "Reopen group", verb: "Reopen", role: "redrive" },
};
export const roleOf = (kind) => KINDS[kind].role;

export function act(app, kind, what, done) {
    const k = KINDS[kind], key = keyed();
    const reason = el("input", { type: "text", maxlength: 500, required: k.reason, name: "reason" });
    const field = k.field && el(k.field === "note" ? "textarea" : "input", { maxlength: k.field === "note" ? 2000 : 256, required: k.needed, name: k.field, rows: k.field === "note" ? 4 : null });
    const title = kind.startsWith("group_") ? k.title : `${k.title} ${described(what)}`;
    const box = dialog({ title, verb: k.verb, danger: k.danger, body: [k.text && el("p", { class: "dim" }, k.text),
        what.group && !kind.startsWith("group_") && el("p", { class: "dim" }, "At most 500 letters at a time."), field && el("label", {}, k.label, field),
        el("label", {}, k.reason ? "Reason" : "Reason (may be empty)", reason)],
    act: async () => {
        const request = { kind, ...(what.letters ? { letters: what.letters } : { group: what.group }) };
        if (reason.value.trim()) request.reason = reason.value.trim();
        if (k.field) request[k.field] = field.value.trim() || null;
        const answer = await post("/actions", request, key(request));
        app.say(answer.folded ? `${k.verb}: done for ${plural(answer.actions.length, "letter or group", "letters or groups")}.` : `${k.verb}: written; it will be shown soon.`);
        if (done) done();
    } });
    (field || reason).focus();
    return box;
}

/* Buttons for what may be done to `what()`. */
export function buttons(app, kinds, what, done) {
    return kinds.filter((kind) => (kind === "redrive" ? app.may("redrive") : app.may(roleOf(kind)))).map((kind) => (kind === "redrive"
        ? button("Redrive…", () => redrive(app, what(), done), { class: "main" })
        : button(`${KINDS[kind].verb}…`, () => act(app, kind, what(), done), { class: KINDS[kind].danger ? "danger" : "" })));
}

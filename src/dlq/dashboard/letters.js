/* The list of letters: filters, page, selection. One page is held, never more. */
import { download, get } from "./api.js";
import { buttons, redrive } from "./act.js";
import { STATUSES, UNFINISHED, add, age, badge, button, bytes, changes, clock, count, el, empty, later, paced, plural, show, words } from "./dom.js";
import { go, link, list } from "./route.js";

const FIELDS = ["class", "agent", "group", "topic", "dlq_topic", "code", "stage", "family", "task_id", "session_id", "assigned", "job"];
const TIMES = [["", "any time"], ["15m", "15 minutes"], ["1h", "hour"], ["24h", "day"], ["7d", "week"], ["30d", "month"]];
const COUNT_TO = 10000, PAGE = 50;

/* Without a status in the URL: what is unfinished; status=all: every one. */
function statuses(state) {
    const named = list(state.status);
    return named.includes("all") ? [] : named.length ? named : state.job ? [] : UNFINISHED;
}

export function filterOf(state) {
    const filter = {};
    for (const name of [...FIELDS, "text", "from", "to"]) if (state[name]) filter[name] = String(state[name]);
    if (statuses(state).length) filter.status = statuses(state);
    return filter;
}

function source(l) {
    const [topic, partition, offset] = l.topic ? [l.topic, l.partition, l.offset] : [l.dlq_topic, l.dlq_partition, l.dlq_offset];
    return `${topic}${partition === null ? "" : `:${partition}`}${offset === null ? "" : `:${offset}`}`;
}

/* ---- filters */

function filters(state, set, typed, toRows) {
    const search = el("input", { type: "search", value: state.text || "", placeholder: "Search message, ids, code  ( / )", "aria-label": "Search letters", oninput: () => typed(search.value),
        onkeydown: (e) => { if (e.key === "Enter") { e.preventDefault(); typed.stop(); set({ text: search.value.trim() }); toRows(); } } });
    const chosen = list(state.status);
    const status = el("select", { "aria-label": "Status", onchange: () => set({ status: status.value }) },
        [["", "unfinished"], ["all", "any status"], ...STATUSES.map((s) => [s, words(s)])].map(([value, name]) => el("option", { value, selected: (chosen[0] || "") === value }, name)));
    const time = el("select", { "aria-label": "Failed within", onchange: () => set({ from: time.value }) }, TIMES.map(([value, name]) => el("option", { value, selected: (state.from || "") === value }, name)));
    const text = el("input", { type: "text", "aria-label": "Value of the filter", placeholder: "value, then Enter", onkeydown: (e) => { if (e.key === "Enter" && text.value.trim()) set({ [field.value]: text.value.trim() }); } });
    const field = el("select", { "aria-label": "Filter by", onchange: () => { text.hidden = !field.value; if (field.value) text.focus(); } },
        el("option", { value: "" }, "filter by…"), FIELDS.map((name) => el("option", { value: name }, words(name))));
    text.hidden = true;
    const chip = (name) => el("span", { class: "chip" }, el("span", { title: state[name] }, `${words(name)}: ${state[name]}`), button("×", () => set({ [name]: "" }), { "aria-label": `Remove filter ${words(name)}` }));
    return { search, node: el("div", { class: "filters", role: "search" }, search, status, time, field, text, FIELDS.filter((name) => state[name]).map(chip)) };
}

/* ---- the page */

function row(l, state, chosen, choose) {
    const filter = (name, value) => (value ? el("a", { class: "plain", href: link("letters", { ...state, cursor: "", [name]: value }), title: `Only ${value}` }, value) : "–");
    return el("tr", { "data-id": l.id, "aria-selected": String(chosen.has(l.id)) },
        el("td", { class: "check" }, el("input", { type: "checkbox", "aria-label": `Select ${l.id}`, checked: chosen.has(l.id), onclick: (e) => choose(l.id, e.target.checked, e.shiftKey) })),
        el("td", { class: "num", title: clock(l.failed_at) }, age(l.failed_at)), el("td", { title: l.due_at ? `goes by itself at ${clock(l.due_at)}` : null }, badge(l.status), l.due_at && el("span", { class: "dim" }, " ", age(l.due_at))),
        el("td", { class: "cut" }, filter("agent", l.agent)), el("td", { class: "cut code", title: [l.code, l.class].filter(Boolean).join(" · ") }, l.code && l.code !== l.class && [filter("code", l.code), " "], el("span", { class: l.code ? "dim" : "" }, filter("class", l.class))),
        el("td", { class: "wide", title: l.message || "" }, el("a", { class: "plain open", href: link(["letter", l.id]) }, l.message || l.code || l.id)),
        el("td", { class: "cut mono", title: l.task_id || l.id }, l.task_id || "–"), el("td", { class: "cut tail mono", title: source(l) }, el("bdi", {}, source(l))),
        el("td", { class: "num" }, l.attempts ?? "–"), el("td", { class: "num" }, l.redrives + l.sent || el("span", { class: "dim" }, "0")), el("td", { class: "num less" }, bytes(l.value_size)),
        el("td", { class: "cut" }, l.assigned || el("span", { class: "dim" }, "–")));
}

export function open(main, app, parts, first) {
    let state = first, page = null, at = -1, anchor = "", stopped = new AbortController();
    const chosen = new Set(), table = el("section", { class: "panel" }), bar = el("div"), line = el("span", { class: "dim", id: "total" }), fresh = el("span", { id: "fresh" }), filterBox = el("div");
    const changed = changes();
    const set = (more) => go("letters", { ...state, cursor: "", ...more }), typed = later(300, (text) => set({ text: text.trim() }));
    let parts_ = null, waiting = 0, wanted = false;
    const toRows = () => { wanted = true; if (parts_) parts_.search.blur(); setTimeout(() => { if (wanted && !table.classList.contains("busy")) { wanted = false; focusRow(0); } }, 0); };

    async function load(quiet) {
        stopped.abort();
        const mine = stopped = new AbortController();
        if (!quiet) table.classList.add("busy");
        try {
            page = await get("/letters", { ...filterOf(state), order: state.order, cursor: state.cursor, limit: PAGE, count: COUNT_TO }, mine.signal);
            waiting = 0;
            show(fresh);
            if (changed([state, page]) || wanted) render();
            else renderBar();
        } catch (e) {
            if (!quiet && mine === stopped && e.name !== "AbortError") {
                page = null;
                changed(null);
                show(line);
                show(table, empty("The letters could not be loaded", e.message, button("Try again", () => load())));
            }
            app.failed(e);
        }
        if (mine === stopped) table.classList.remove("busy");
    }
    const reload = () => { chosen.clear(); renderBar(); load(true); };

    function render() {
        const focused = document.activeElement && document.activeElement.closest("tr[data-id]");
        const same = focused ? page.items.findIndex((l) => l.id === focused.dataset.id) : -1;
        line.textContent = page.total === null ? "" : plural(page.total, "letter") + (page.total_is_more ? " and more" : "");
        if (!page.items.length) {
            const filtered = Object.keys(filterOf(state)).some((name) => name !== "status");
            show(table, empty(filtered ? "No letter fits the filter" : "No dead letters", filtered ? "Widen the time or take a filter away." : "Nothing waits for you. New letters appear here by themselves.",
                filtered && button("Clear filters", () => go("letters"))));
        } else {
            const all = el("input", { type: "checkbox", "aria-label": "Select the page", onclick: () => chooseAll(all.checked) });
            const heads = [["num", "Age"], ["", "Status"], ["", "Agent"], ["", "Code and class"], ["", "Message"], ["", "Task"], ["", "Topic:partition:offset"], ["num", "Attempts"], ["num", "Redrives"], ["num less", "Size"], ["", "Assigned"]];
            show(table, el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Letters" }, el("table", { class: "letters" }, el("thead", {}, el("tr", {}, el("th", { class: "check" }, all), heads.map(([c, t]) => el("th", { class: c }, t)))),
                el("tbody", {}, page.items.map((l) => row(l, state, chosen, choose))))),
            el("div", { class: "foot" }, state.cursor && button("First page", () => set({})), page.next && button("Next page", () => set({ cursor: page.next })),
                el("span", { class: "grow" }), button("Export CSV", () => save("csv"), { class: "quiet" }), button("Export JSON lines", () => save("jsonl"), { class: "quiet" })));
        }
        if (wanted) {
            wanted = false;
            if (!document.activeElement.closest("input:not([type=checkbox]), select, dialog")) focusRow(0); // else he is elsewhere by now
        } else if (focused) focusRow(same < 0 ? at : same);
        else at = -1;
        showBar();
    }

    function renderBar() {
        for (const tr of table.querySelectorAll("tr[data-id]")) {
            tr.setAttribute("aria-selected", String(chosen.has(tr.dataset.id)));
            tr.querySelector("input").checked = chosen.has(tr.dataset.id);
        }
        showBar();
    }

    function showBar() {
        if (!chosen.size) return show(bar);
        const what = () => ({ letters: [...chosen] });
        return show(bar, el("div", { class: "selection", role: "toolbar", "aria-label": "Selected letters" }, el("b", {}, `${count(chosen.size)} selected`),
            buttons(app, ["redrive", "acknowledged", "assigned", "parked", "unparked", "reopened", "discarded"], what, reload), !app.may("redrive") && el("span", { class: "dim" }, "your role may only look"),
            button("Clear", () => { chosen.clear(); renderBar(); }, { class: "quiet" })));
    }

    /* ---- selection and keys */

    function choose(id, on, range) {
        const ids = page.items.map((l) => l.id), a = ids.indexOf(anchor), b = ids.indexOf(id);
        for (const one of range && a >= 0 ? ids.slice(Math.min(a, b), Math.max(a, b) + 1) : [id]) {
            if (!on) chosen.delete(one);
            else if (chosen.size < 500) chosen.add(one);
        }
        anchor = id;
        renderBar();
    }
    function chooseAll(on) {
        for (const l of page.items) if (!on) chosen.delete(l.id); else if (chosen.size < 500) chosen.add(l.id);
        renderBar();
    }
    function focusRow(i) {
        const rows = table.querySelectorAll("tr[data-id]");
        if (!rows.length) return;
        at = Math.max(0, Math.min(rows.length - 1, i));
        rows.forEach((tr, n) => tr.classList.toggle("at", n === at));
        rows[at].querySelector("a.open").focus();
    }
    const press = (name) => { const b = [...bar.querySelectorAll("button")].find((x) => x.textContent.startsWith(name)); if (b) b.click(); };
    function key(k) {
        const l = page && page.items[at];
        if (k === "j" || k === "k") focusRow(at + (k === "j" ? 1 : -1));
        else if (k === "x" && l) choose(l.id, !chosen.has(l.id));
        else if (k === "X" && page) chooseAll(true);
        else if (k === "n" && page && page.next) set({ cursor: page.next });
        else if (k === "p" && state.cursor) set({});
        else if (k === "Escape") { chosen.clear(); renderBar(); }
        else if ("rad".includes(k) && (chosen.size || l)) {
            if (!chosen.size) choose(l.id, true);
            press({ r: "Redrive", a: "Acknowledge", d: "Discard" }[k]);
        } else return false;
        return true;
    }

    async function save(format) {
        try {
            const answer = await download("/exports", { filter: filterOf(state), format });
            const url = URL.createObjectURL(await answer.blob());
            el("a", { href: url, download: `dead-letters.${format}` }).click();
            setTimeout(() => URL.revokeObjectURL(url), 10000);
        } catch (e) {
            app.failed(e);
        }
    }

    function frame(own) {
        const held = filterBox.contains(document.activeElement) && document.activeElement.getAttribute("aria-label");
        if (!own || !parts_ || document.activeElement !== parts_.search) {
            parts_ = filters(state, set, typed, toRows);
            show(filterBox, parts_.node);
            const again = held && [...filterBox.querySelectorAll("[aria-label]")].find((e) => e.getAttribute("aria-label") === held);
            if (again) again.focus();
        }
        show(head, el("h1", {}, "Letters"), line, fresh, el("div", { class: "actions" }, app.may("redrive") && button("Redrive all of the filter…", () => redrive(app, { filter: filterOf(state) }, reload))));
    }

    const soon = paced(1500, () => (document.querySelector("dialog[open]") ? soon() : load(true)));
    const head = el("div", { class: "head" });
    show(main, head, filterBox, table, bar);
    frame();
    load();
    return {
        key, refresh: () => load(true), close: () => { typed.stop(); soon.stop(); stopped.abort(); },
        update: (_, next, own) => {
            if (!own) typed.stop();
            state = next;
            at = -1;
            chosen.clear();
            renderBar();
            frame(own);
            load();
            return true;
        },
        news: (kind, what) => {
            if (kind === "actions" && page && (what.more || what.actions.some((a) => page.items.some((l) => l.id === a.letter)))) soon();
            if (kind !== "letters" || state.cursor) return;
            waiting += what.n || 0;
            if (page && !page.items.length) soon();
            else add(show(fresh), button(`${plural(waiting, "new letter")} – show`, () => load(), { class: "small" }));
        },
    };
}

/* Makes elements and texts. What comes from outside becomes text nodes only: nothing here parses markup. */

const SVG = "http://www.w3.org/2000/svg";

/* Characters that turn a line around or cannot be seen are shown by name, so that no text looks like another. */
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g;
const plain = (text) => text.replace(UNSEEN, (c) => (c < " " ? String.fromCharCode(0x2400 + c.charCodeAt(0)) : `⟨U+${c.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`));

function fill(node, attributes, children) {
    for (const [name, value] of Object.entries(attributes || {})) {
        if (value === null || value === undefined || value === false) continue;
        if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
        else if (name === "text") node.textContent = value;
        else if (name === "value" || name === "checked" || name === "disabled" || name === "indeterminate") node[name] = value;
        else node.setAttribute(name, value === true ? "" : String(value));
    }
    add(node, children);
    return node;
}

export function add(node, children) {
    if (Array.isArray(children)) for (const child of children) add(node, child);
    else if (children !== null && children !== undefined && children !== false) node.append(typeof children === "string" ? plain(children) : children);
    return node;
}

/* el("td", {class: "num"}, "3"): an element; attributes that are null or false are left out; on… are listeners. */
export const el = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
export const svg = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);
export const show = (node, ...children) => { node.replaceChildren(); return add(node, children); };

/* ---- texts */

const whole = new Intl.NumberFormat("en");
export const count = (n) => (n === null || n === undefined ? "–" : whole.format(n));
export const plural = (n, one, many) => `${count(n)} ${n === 1 ? one : many || one + "s"}`;

/* Dollars, with as many digits as tell something. */
export const usd = (n) => `$${n.toFixed(n === 0 || n >= 1 ? 2 : Math.min(8, 1 - Math.floor(Math.log10(n))))}`;

export function bytes(n) {
    if (n === null || n === undefined) return "–";
    if (n < 1000) return `${n} B`;
    if (n < 1e6) return `${(n / 1000).toFixed(n < 1e4 ? 1 : 0)} kB`;
    return `${(n / 1e6).toFixed(1)} MB`;
}

export function span(ms) {
    if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
    const s = ms / 1000;
    if (s < 60) return s < 10 ? `${s.toFixed(1)} s` : `${Math.round(s)} s`;
    if (s < 3600) return `${Math.floor(s / 60)} min`;
    if (s < 48 * 3600) return `${Math.floor(s / 3600)} h`;
    return `${Math.floor(s / 86400)} d`;
}

const two = (n) => String(n).padStart(2, "0");
export function clock(at) {
    const d = new Date(at);
    return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
}

/* A moment as an age that keeps itself fresh (tick below); the exact time is its title. */
export function age(at) {
    if (!at) return "–";
    const node = el("time", { datetime: at, title: `${clock(at)} (${at})`, "data-age": at });
    node.textContent = ageText(at);
    return node;
}
export function ageText(at) {
    const ms = Date.now() - Date.parse(at);
    if (ms < 0) return `in ${span(-ms)}`;
    return ms < 1000 ? "now" : span(Math.max(ms, 1000)).replace(/\.\d/, "");
}
export function tick() {
    for (const node of document.querySelectorAll("time[data-age]")) {
        const text = ageText(node.dataset.age);
        if (node.textContent !== text) node.textContent = text;
    }
}

const NAMES = { retry_waiting: "retry waiting", failed_again: "failed again" };
export const words = (name) => NAMES[name] || String(name ?? "").replaceAll("_", " ");
export const STATUSES = ["open", "acknowledged", "retry_waiting", "redriving", "redriven", "failed_again", "resolved", "parked", "discarded"];
export const UNFINISHED = ["open", "acknowledged", "retry_waiting", "redriving", "parked"];

export const badge = (status) => el("span", { class: `badge s-${status}` }, el("i", { "aria-hidden": "true" }), words(status));

/* ---- small parts */

export const button = (text, onclick, attributes) => el("button", { type: "button", onclick, ...attributes }, text);

export function copier(text, what) {
    const node = button("copy", async () => {
        try {
            await navigator.clipboard.writeText(text);
            node.textContent = "copied";
        } catch {
            node.textContent = "no access";
        }
        setTimeout(() => { node.textContent = "copy"; }, 1500);
    }, { class: "quiet small", "aria-label": `Copy ${what}` });
    return node;
}

/* dt/dd pairs; those without a value are left out. */
export const facts = (pairs) => el("dl", { class: "facts" }, pairs.filter(([, value]) => value !== null && value !== undefined && value !== "")
    .map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));

export const empty = (title, text, ...more) => el("div", { class: "empty" }, el("h2", {}, title), text && el("p", {}, text), more);

/* Whether data is another than the last time: what is the same is not drawn anew under the reader's hand. */
export function changes() {
    let last = "";
    return (data) => {
        const before = last;
        last = JSON.stringify(data);
        return last !== before;
    };
}

export function later(ms, work) {
    let timer = 0;
    const soon = (...args) => { clearTimeout(timer); timer = setTimeout(() => work(...args), ms); };
    soon.stop = () => clearTimeout(timer);
    return soon;
}

/* At most one run per `ms`, and one after the last call. */
export function paced(ms, work) {
    let timer = 0, last = 0;
    const run = () => {
        if (timer) return;
        timer = setTimeout(() => { timer = 0; last = Date.now(); work(); }, Math.max(0, last + ms - Date.now()));
    };
    run.stop = () => { clearTimeout(timer); timer = 0; };
    return run;
}

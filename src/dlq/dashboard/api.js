/* Calls /api/v1: token, problems, idempotency keys, and the live stream. */

const BASE = "api/v1";
const TOKEN = "stepmill.token";
const PATIENCE_MS = 30000, QUIET_MS = 40000; // the stream has a comment every 15 s

export const live = new EventTarget(); // letters, actions, tasks; up and down of the connection

/* What the server said (RFC 9457), or that it did not answer: status 0. */
export class Problem extends Error {
    constructor(status, code, detail) {
        super(detail);
        Object.assign(this, { status, code });
    }
}

export const token = {
    get: () => sessionStorage.getItem(TOKEN) || "",
    set: (value) => { if (value) sessionStorage.setItem(TOKEN, value); else sessionStorage.removeItem(TOKEN); },
};

function headers(more) {
    const all = { ...more };
    if (token.get()) all.Authorization = `Bearer ${token.get()}`;
    return all;
}

async function problemOf(answer) {
    let body = {};
    try {
        body = await answer.json();
    } catch { /* not ours: a proxy's page */ }
    const wait = answer.headers.get("Retry-After");
    const text = body.detail || `The server answered ${answer.status}.`;
    return new Problem(answer.status, body.code || "", wait ? `${text} Try again in ${wait} s.` : text);
}

async function call(method, path, { body, key, signal, raw } = {}) {
    const more = body === undefined ? {} : { "Content-Type": "application/json" };
    if (key) more["Idempotency-Key"] = key;
    const limit = AbortSignal.timeout(PATIENCE_MS);
    let answer;
    try {
        answer = await fetch(`${BASE}${path}`, {
            method, headers: headers(more), body: body === undefined ? undefined : JSON.stringify(body), cache: "no-store",
            credentials: "omit", redirect: "error", signal: signal ? AbortSignal.any([signal, limit]) : limit,
        });
        if (!answer.ok) throw await problemOf(answer);
        return raw ? answer : await answer.json();
    } catch (e) {
        if (e instanceof Problem || (signal && signal.aborted)) throw e;
        throw new Problem(0, "away", e.name === "TimeoutError" ? "The processor did not answer within 30 s." : "The processor cannot be reached.");
    }
}

/* {a: 1, b: ["x", "y"], c: ""} → "?a=1&b=x&b=y" */
export function query(parameters) {
    const all = new URLSearchParams();
    for (const [name, value] of Object.entries(parameters || {}))
        for (const one of [value].flat()) if (one !== "" && one !== null && one !== undefined && one !== false) all.append(name, one);
    const text = all.toString();
    return text ? `?${text}` : "";
}

export const get = (path, parameters, signal) => call("GET", path + query(parameters), { signal });
export const post = (path, body, key) => call("POST", path, { body, key });
export const download = (path, body) => call(body ? "POST" : "GET", path, { body, raw: true });
export const segment = (text) => encodeURIComponent(text);

/* The same key for the same request, however often its button is pressed; a changed request has a new one. */
export function keyed() {
    let text = "", key = "";
    return (body) => {
        const now = JSON.stringify(body);
        if (now !== text || !key) {
            text = now;
            key = Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");
        }
        return key;
    };
}

/* ---- the stream: by fetch, because EventSource cannot carry a token */

function dispatch(block) {
    let name = "message", data = "";
    for (const line of block.split("\n")) {
        if (line.startsWith("event:")) name = line.slice(6).trim();
        else if (line.startsWith("data:")) data += line.slice(5).trim();
    }
    if (!data) return;
    try {
        live.dispatchEvent(new CustomEvent(name, { detail: JSON.parse(data) }));
    } catch (e) {
        console.warn("an event that is no JSON was left out", e);
    }
}

async function listen(stop) {
    const quiet = new AbortController();
    let timer = setTimeout(() => quiet.abort(), QUIET_MS);
    try {
        const answer = await fetch(`${BASE}/events`, {
            headers: headers({ Accept: "text/event-stream" }), cache: "no-store", credentials: "omit", signal: AbortSignal.any([stop, quiet.signal]),
        });
        if (!answer.ok) throw await problemOf(answer);
        live.dispatchEvent(new Event("up"));
        const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
        for (let rest = ""; ;) {
            const { value, done } = await reader.read();
            if (done) return;
            clearTimeout(timer);
            timer = setTimeout(() => quiet.abort(), QUIET_MS);
            const blocks = (rest + value.replaceAll("\r", "")).split("\n\n");
            rest = blocks.pop().slice(-1e6);
            blocks.forEach(dispatch);
        }
    } finally {
        clearTimeout(timer);
    }
}

let stopper = null;
export const watching = () => stopper !== null;
export function unwatch() {
    if (stopper) stopper.abort();
    stopper = null;
}

/* Watches until unwatch(); comes back by itself, later after each failure, up to 10 s. */
export async function watch() {
    unwatch();
    const own = (stopper = new AbortController());
    for (let wait = 500; !own.signal.aborted; wait = Math.min(wait * 2, 10000)) {
        const began = Date.now();
        try {
            await listen(own.signal);
        } catch (e) {
            if (e instanceof Problem && (e.status === 401 || e.status === 403)) {
                live.dispatchEvent(new CustomEvent("refused", { detail: e }));
                return;
            }
        }
        if (own.signal.aborted) return;
        live.dispatchEvent(new Event("down"));
        if (Date.now() - began > 20000) wait = 500;
        await new Promise((done) => setTimeout(done, wait * (0.75 + Math.random() / 2)));
    }
}

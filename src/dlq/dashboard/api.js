/* Calls /api/v1: token, problems, idempotency keys. */

const BASE = "api/v1";
const TOKEN = "stepmill.token";
const PATIENCE_MS = 30000;

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

const exactly = (key, value, context) => (typeof value === "number" && Number.isInteger(value) && !Number.isSafeInteger(value) && context && JSON.rawJSON ? JSON.rawJSON(context.source) : value);

/* JSON in which integers that a double cannot hold stay as they were written. */
export function parse(text) {
    if (!/(^|[:,[])\s*-?\d{16}/.test(text)) return JSON.parse(text);
    try {
        return JSON.parse(text, exactly);
    } catch (e) {
        if (e instanceof RangeError) return JSON.parse(text); // nested too deeply to look at each value
        throw e;
    }
}

async function call(method, path, { body, key, signal, raw } = {}) {
    const more = body === undefined ? {} : { "Content-Type": "application/json" };
    if (key) more["Idempotency-Key"] = key;
    const late = new AbortController(), timer = setTimeout(() => late.abort(new DOMException("", "TimeoutError")), PATIENCE_MS);
    try {
        const answer = await fetch(`${BASE}${path}`, {
            method, headers: headers(more), body: body === undefined ? undefined : JSON.stringify(body), cache: "no-store",
            credentials: "omit", redirect: "error", signal: signal ? AbortSignal.any([signal, late.signal]) : late.signal,
        });
        if (!answer.ok) throw await problemOf(answer);
        return raw ? answer : parse(await answer.text());
    } catch (e) {
        if (signal && signal.aborted) throw signal.reason;
        if (e instanceof Problem) throw e;
        throw new Problem(0, "away", late.signal.aborted ? "The processor did not answer within 30 s." : "The processor cannot be reached.");
    } finally {
        clearTimeout(timer); // a file may take its time once it comes
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

/* The stream of events: the answer, whose body goes on until it is stopped. */
export async function events(signal) {
    const answer = await fetch(`${BASE}/events`, { headers: headers({ Accept: "text/event-stream" }), cache: "no-store", credentials: "omit", signal });
    if (!answer.ok) throw await problemOf(answer);
    return answer;
}

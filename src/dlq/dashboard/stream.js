/* What happens, live: one stream of events for all windows of this browser that are seen.
 *
 * A browser opens six connections to a host, and a stream keeps one; the seventh window would load nothing. So the windows choose by
 * BroadcastChannel one that listens: who asks and hears nobody leads; of two the lower id does. It tells the others what it hears,
 * and every BEAT_MS that it is there. A window out of sight takes no part. */
import { Problem, events } from "./api.js";

const BEAT_MS = 2000, LOST_MS = 6000, HUSH_MS = 150;
const QUIET_MS = 40000; // the stream has a comment every 15 s
const GOOD_MS = 20000, PAUSE_MS = 500, PAUSE_MAX_MS = 10000;

export const live = new EventTarget(); // letters, actions, tasks; up (what came before may have been missed), down, refused

const id = Array.from(crypto.getRandomValues(new Uint8Array(8)), (b) => b.toString(16).padStart(2, "0")).join("");
const channel = new BroadcastChannel(`stepmill ${new URL(".", location.href).pathname}`);
let watching = false, own = null; // own: this window leads, and its stream ends by it
let leader = "", heard = 0, stream = "?", asking = 0, beat = 0;

const say = (kind, more) => channel.postMessage({ kind, from: id, ...more });
const tell = () => say("lead", { stream });
const random = (ms) => ms * (0.5 + Math.random());
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/* A name for each connection, "" while there is none, "?" while nobody knows: who sees another name has missed something in between. */
function show(next) {
    if (next === stream || next === "?") return;
    stream = next;
    live.dispatchEvent(new Event(next ? "up" : "down"));
}

/* ---- who leads */

function dispatch(block) {
    let name = "message", data = "";
    for (const line of block.split("\n")) {
        if (line.startsWith("event:")) name = line.slice(6).trim();
        else if (line.startsWith("data:")) data += line.slice(5).trim();
    }
    if (!data || name === "hello") return;
    try {
        const detail = JSON.parse(data);
        say("news", { name, detail });
        live.dispatchEvent(new CustomEvent(name, { detail }));
    } catch (e) {
        console.warn("an event that is no JSON was left out", e);
    }
}

/* By fetch, because EventSource cannot carry a token. */
async function listen(stop, n) {
    const quiet = new AbortController();
    let timer = setTimeout(() => quiet.abort(), QUIET_MS);
    try {
        const answer = await events(AbortSignal.any([stop, quiet.signal]));
        show(`${id} ${n}`);
        tell();
        const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
        for (let rest = ""; ;) {
            const { value, done } = await reader.read();
            if (done) return true;
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

/* Listens until another window does. The server ends a stream every ten minutes: then at once again; later after each failure. */
async function lead() {
    const mine = (own = new AbortController());
    leader = id;
    tell();
    for (let wait = PAUSE_MS, n = 0; !mine.signal.aborted; n++) {
        const began = Date.now();
        let ended = false;
        try {
            ended = await listen(mine.signal, n);
        } catch (e) {
            if (e instanceof Problem && (e.status === 401 || e.status === 403) && !mine.signal.aborted) {
                unwatch();
                live.dispatchEvent(new CustomEvent("refused", { detail: e }));
            }
        }
        if (mine.signal.aborted) return;
        if (stream) wait = PAUSE_MS;
        if (ended && Date.now() - began > GOOD_MS) continue;
        show("");
        tell();
        await pause(random(wait));
        wait = Math.min(wait * 2, PAUSE_MAX_MS);
    }
}

function follow(from) {
    if (own) own.abort();
    own = null;
    leader = from;
    heard = Date.now();
}

function leadIfNobody() {
    if (watching && !own && (!leader || Date.now() - heard > LOST_MS)) lead();
}

channel.addEventListener("message", ({ data: { kind, from, ...more } }) => {
    if (!watching) return;
    if (kind === "who") {
        if (own) tell();
    } else if (kind === "lead" && own && id < from) {
        tell(); // it will follow
    } else if (kind === "lead") {
        follow(from);
        show(more.stream);
    } else if (kind === "bye" && from === leader) {
        leader = "";
        setTimeout(leadIfNobody, Math.random() * HUSH_MS);
    } else if (kind === "news" && from === leader) {
        heard = Date.now();
        live.dispatchEvent(new CustomEvent(more.name, { detail: more.detail }));
    }
});

/* ---- this window */

export const isWatching = () => watching;

/* Until unwatch(); whatever happens, it comes back by itself. */
export function watch() {
    if (watching) return;
    watching = true;
    leader = "";
    stream = "?";
    say("who");
    asking = setTimeout(leadIfNobody, random(HUSH_MS));
    beat = setInterval(() => (own ? tell() : leadIfNobody()), BEAT_MS);
}

export function unwatch() {
    clearTimeout(asking);
    clearInterval(beat);
    watching = false;
    if (!own) return;
    own.abort();
    own = null;
    say("bye");
}

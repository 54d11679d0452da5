/* The steps of a task with tokens and timing. */
import { clock, count, el, plural, span, words } from "./dom.js";

const named = (kind) => words(kind.replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase());
const bad = (s) => /fail|dead|error/i.test(s.kind) || /^(error|timeout|failed)/.test(s.outcome || "");

function step(s, longest) {
    const spent = el("i", { class: "spent" });
    spent.style.width = `${longest ? (s.duration_ms / longest) * 100 : 0}%`;
    const said = s.text ? el("details", {}, el("summary", {}, s.text.slice(0, 200)), el("pre", { tabindex: 0 }, s.text + (s.text_cut ? "\n… cut" : ""))) : el("span", { class: "dim" }, s.calls ? `asks for ${plural(s.calls, "tool call")}` : "");
    return el("li", { class: bad(s) ? "failed" : "", "data-seq": s.seq }, el("span", { class: "num dim" }, s.seq), el("span", {}, named(s.kind), s.name && el("span", { class: "dim" }, ` ${s.name}`), s.attempts > 0 && el("span", { class: "bad" }, ` after ${plural(s.attempts, "failure")}`)),
        el("div", { class: "text" }, said), el("span", { class: "dim" }, s.outcome || ""),
        el("span", { class: "num" }, s.prompt_tokens + s.completion_tokens ? `${count(s.prompt_tokens)} + ${count(s.completion_tokens)}` : ""),
        el("span", { class: "num", title: clock(s.at) }, s.duration_ms ? span(s.duration_ms) : "", s.duration_ms ? spent : null));
}

export function steps(task, all) {
    const longest = Math.max(0, ...all.map((s) => s.duration_ms));
    return [el("p", { class: "body dim" }, [plural(task.steps, "step"), plural(task.tool_calls, "tool call"), `${count(task.prompt_tokens)} + ${count(task.completion_tokens)} tokens`,
        span(Date.parse(task.last_at) - Date.parse(task.first_at))].join(" · ")), el("ol", { class: "steps", role: "list" }, all.map((s) => step(s, longest)))];
}

/* The steps of a task with tokens, cost and timing. */
import { clock, count, el, plural, span, usd, words } from "./dom.js";

const named = (kind) => words(kind.replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase());
const bad = (s) => /fail|dead|error/i.test(s.kind) || /^(error|timeout|failed)/.test(s.outcome || "");

const AT = "at the prices that the configuration names now";

function step(s, began) {
    const said = s.text ? el("details", {}, el("summary", {}, s.text.slice(0, 200)), el("pre", { tabindex: 0 }, s.text + (s.text_cut ? "\n… cut" : ""))) : el("span", { class: "dim" }, s.calls ? `asks for ${plural(s.calls, "tool call")}` : "");
    return el("li", { class: bad(s) ? "failed" : "", "data-seq": s.seq }, el("span", { class: "num dim" }, s.seq), el("span", { class: "num dim", title: clock(s.at) }, `+${span(Math.max(0, Date.parse(s.at) - began))}`), el("span", {}, named(s.kind), s.name && el("span", { class: "dim" }, ` ${s.name}`), s.attempts > 0 && el("span", { class: "bad" }, ` after ${plural(s.attempts, "failure")}`)),
        el("div", { class: "text" }, said), el("span", { class: "dim" }, s.outcome || ""),
        el("span", { class: "num", title: "prompt + completion tokens" }, s.prompt_tokens + s.completion_tokens ? `${count(s.prompt_tokens)} + ${count(s.completion_tokens)}` : "", s.cost_usd !== null && el("span", { class: "cost dim", title: AT }, usd(s.cost_usd))),
        el("span", { class: "num", title: "took" }, s.duration_ms ? span(s.duration_ms) : "", s.duration_ms ? el("i", { class: "spent" }) : null));
}

/* A list that can be shown again with more steps: those that stay as they are keep their nodes, so what is open stays open. */
export function stepList() {
    const line = el("p", { class: "body dim" }), list = el("ol", { class: "steps", role: "list" });
    let nodes = new Map();
    return { nodes: [line, list], show({ task, steps: all, cost_usd: cost }) {
        const longest = Math.max(1, ...all.map((s) => s.duration_ms)), before = nodes;
        nodes = new Map(all.map((s) => { const text = JSON.stringify(s); return [text, before.get(text) || step(s, Date.parse(task.first_at))]; }));
        line.textContent = [plural(task.steps, "step"), plural(task.tool_calls, "tool call"), `${count(task.prompt_tokens)} + ${count(task.completion_tokens)} tokens`, cost !== null && usd(cost),
            span(Date.parse(task.last_at) - Date.parse(task.first_at))].filter(Boolean).join(" · ");
        [...nodes.values()].forEach((node, i) => {
            const spent = node.querySelector(".spent");
            if (spent) spent.style.width = `${(all[i].duration_ms / longest) * 100}%`;
            if (list.children[i] !== node) list.insertBefore(node, list.children[i] || null);
        });
        while (list.children.length > nodes.size) list.lastChild.remove();
    } };
}

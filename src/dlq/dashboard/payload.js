/* Payloads as text: JSON in colours, text, or bytes in hex. Nothing in them is markup. */
import { add, el } from "./dom.js";

const MAX = 20000; // parts; what is beyond is better read as a file

/* Iterative, so that a payload nested deeply cannot overflow the stack. */
export function json(value) {
    const text = JSON.stringify(value, null, 2);
    const node = el("pre", { class: "json" });
    const parts = /("(?:[^"\\]|\\.)*")(\s*:)?|(-?\d[\d.eE+-]*)|\b(true|false|null)\b/g;
    let from = 0, n = 0;
    for (let m = parts.exec(text); m && n < MAX; m = parts.exec(text), n++) {
        if (m.index > from) add(node, text.slice(from, m.index));
        const kind = m[1] ? (m[2] ? "j-key" : "j-text") : m[3] ? "j-number" : "j-word";
        node.append(el("span", { class: kind }, m[1] || m[0]), m[1] && m[2] ? m[2] : "");
        from = m.index + m[0].length;
    }
    add(node, text.slice(from));
    return node;
}

function bytesOf(base64) {
    const text = atob(base64);
    return Uint8Array.from(text, (c) => c.charCodeAt(0));
}

function hex(all) {
    const lines = [];
    for (let at = 0; at < Math.min(all.length, 16384); at += 16) {
        const row = [...all.slice(at, at + 16)];
        const letters = row.map((b) => (b >= 32 && b < 127 ? String.fromCharCode(b) : "·")).join("");
        lines.push(`${at.toString(16).padStart(6, "0")}  ${row.map((b) => b.toString(16).padStart(2, "0")).join(" ").padEnd(47)}  ${letters}`);
    }
    if (all.length > 16384) lines.push(`… ${all.length - 16384} bytes more`);
    return lines.join("\n");
}

/* As bytes if there are bytes (raw, or nothing better), else as text. */
export function rawText(content, raw) {
    if (content.base64 && (raw || content.form === "bytes")) return el("pre", {}, hex(bytesOf(content.base64)));
    if (content.form === "json") return el("pre", {}, JSON.stringify(content.json, null, 2));
    return el("pre", {}, content.text ?? "");
}

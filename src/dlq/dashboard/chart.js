/* A chart of letters over time as inline SVG: the line is what is unfinished, the bars beneath are what came. */
import { clock, count, el, svg } from "./dom.js";

const LEFT = 46, RIGHT = 10, TOP = 10, LINE_BOTTOM = 150, BAR_TOP = 170, BAR_BOTTOM = 206, HEIGHT = 226;
const MINUTE = 60e3, HOUR = 60 * MINUTE, DAY = 24 * HOUR, LABEL_WIDTH = 90;
const STEPS = [5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY];

/* The next round number at or above n: 1, 2, 5 times a power of ten. */
function round(n) {
    if (n <= 4) return 4;
    const power = 10 ** Math.floor(Math.log10(n));
    return [1, 2, 4, 5, 8, 10].map((m) => m * power).find((m) => m >= n);
}

const short = (n) => (n >= 1e6 ? `${+(n / 1e6).toFixed(1)}M` : n >= 1e4 ? `${+(n / 1e3).toFixed(1)}k` : count(n));

/* Round hours and days of the reader's clock between two moments, at most so many: [ms, text]. */
function ticks(from, to, most) {
    const step = STEPS.find((s) => (to - from) / s <= most) || STEPS.at(-1);
    const shift = new Date(from).getTimezoneOffset() * MINUTE, found = [];
    for (let at = Math.ceil((from - shift) / step) * step + shift; at <= to; at += step) {
        const text = clock(at);
        found.push([at, step >= DAY ? text.slice(5, 10) : text.slice(11, 16)]);
    }
    return found;
}

export function chart(overview) {
    const box = el("figure", { class: "chart" });
    const note = el("figcaption", { class: "readout" });
    const points = overview.points;
    const total = points.reduce((sum, p) => sum + p.came, 0);
    const rest = [el("span", { class: "key line" }, "unfinished"), el("span", { class: "key bar" }, "came"),
        el("span", { class: "dim" }, `${count(total)} came in this time`)];
    const read = (p) => note.replaceChildren(...(p ? [el("span", {}, clock(p.at)), el("span", { class: "key line" }, `${count(p.unfinished)} unfinished`),
        el("span", { class: "key bar" }, `${count(p.came)} came`), el("span", {}, `${count(p.finished)} finished`)] : rest));

    read(null);
    let drawn = 0;
    const draw = () => {
        const width = Math.max(320, Math.floor(box.clientWidth - 24)); // its padding
        if (!points.length || width === drawn) return;
        drawn = width;
        box.replaceChildren(picture(overview, width, total, read), note);
    };
    new ResizeObserver(draw).observe(box);
    box.append(note);
    requestAnimationFrame(draw);
    return box;
}

function grid(root, right, top, most, y) {
    for (let i = 0; i <= 4; i++) {
        const v = (top * i) / 4;
        root.append(svg("line", { class: i ? "grid" : "axis", x1: LEFT, x2: right, y1: y(v), y2: y(v) }),
            svg("text", { class: "tick", x: LEFT - 8, y: y(v) + 3.5, "text-anchor": "end" }, short(v)));
    }
    root.append(svg("line", { class: "axis", x1: LEFT, x2: right, y1: BAR_BOTTOM, y2: BAR_BOTTOM }),
        svg("text", { class: "tick", x: LEFT - 8, y: BAR_TOP + 7, "text-anchor": "end" }, short(most)));
}

function picture(overview, width, total, read) {
    const points = overview.points, n = points.length, right = width - RIGHT;
    const from = Date.parse(overview.from), to = Date.parse(overview.to);
    const slot = (right - LEFT) / n, top = round(Math.max(...points.map((p) => p.unfinished))), most = Math.max(1, ...points.map((p) => p.came));
    const x = (i) => LEFT + (i + 0.5) * slot, y = (v) => LINE_BOTTOM - (v / top) * (LINE_BOTTOM - TOP);
    const root = svg("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: "img",
        "aria-label": `Unfinished letters over time: ${count(points[0].unfinished)} at the start, ${count(points[n - 1].unfinished)} now; ${count(total)} came, at most ${count(most)} at a time.` });
    grid(root, right, top, most, y);
    for (const [at, text] of ticks(from, to, Math.floor((right - LEFT) / LABEL_WIDTH))) {
        const place = LEFT + ((at - from) / (to - from)) * (right - LEFT);
        if (place < LEFT + 12 || place > right - 12) continue;
        root.append(svg("line", { class: "axis", x1: place, x2: place, y1: BAR_BOTTOM, y2: BAR_BOTTOM + 4 }),
            svg("text", { class: "tick", x: place, y: HEIGHT - 5, "text-anchor": "middle" }, text));
    }
    points.forEach((p, i) => {
        const h = Math.max(1.5, (p.came / most) * (BAR_BOTTOM - BAR_TOP));
        if (p.came) root.append(svg("rect", { class: "came", x: x(i) - slot * 0.35, y: BAR_BOTTOM - h, width: Math.max(1, slot * 0.7), height: h }));
    });
    const line = points.map((p, i) => `${i ? "L" : "M"}${x(i).toFixed(1)} ${y(p.unfinished).toFixed(1)}`).join("");
    const cross = svg("line", { class: "cross", y1: TOP, y2: BAR_BOTTOM, x1: -9, x2: -9 });
    root.append(svg("path", { class: "area", d: `${line}L${x(n - 1)} ${LINE_BOTTOM}L${x(0)} ${LINE_BOTTOM}Z` }), svg("path", { class: "unfinished", d: line }), cross);
    root.addEventListener("pointermove", (e) => {
        const i = Math.min(n - 1, Math.max(0, Math.floor((e.offsetX - LEFT) / slot)));
        cross.setAttribute("x1", x(i));
        cross.setAttribute("x2", x(i));
        read(points[i]);
    });
    root.addEventListener("pointerleave", () => {
        cross.setAttribute("x1", -9);
        cross.setAttribute("x2", -9);
        read(null);
    });
    return root;
}

/* Names with counts as bars; each leads to its letters. */
export function bars(items, linkOf, limit = 8) {
    const most = Math.max(1, ...items.map((item) => item.n));
    return el("ul", { class: "bars" }, items.slice(0, limit).map((item) => {
        const fill = el("i", { "aria-hidden": "true" });
        fill.style.width = `${Math.max(0.5, (item.n / most) * 90)}%`;
        return el("li", {}, el("a", { href: linkOf(item.name) }, el("span", { class: "name", title: item.name }, item.name), el("span", { class: "n" }, count(item.n)), fill));
    }), items.length > limit && el("li", { class: "dim more" }, `and ${count(items.length - limit)} more`));
}

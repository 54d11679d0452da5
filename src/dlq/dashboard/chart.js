/* A chart of letters over time as inline SVG: the line is what is unfinished, the bars are what came. */
import { clock, count, el, svg } from "./dom.js";

const LEFT = 46, RIGHT = 10, TOP = 10, BOTTOM = 20, HEIGHT = 190;

/* The next round number at or above n: 1, 2, 5 times a power of ten. */
function round(n) {
    if (n <= 4) return 4;
    const power = 10 ** Math.floor(Math.log10(n));
    return [1, 2, 4, 5, 8, 10].map((m) => m * power).find((m) => m >= n);
}

const short = (n) => (n >= 1e6 ? `${+(n / 1e6).toFixed(1)}M` : n >= 1e4 ? `${+(n / 1e3).toFixed(1)}k` : count(n));

function timeLabel(at, seconds) {
    const text = clock(at);
    return seconds > 2 * 86400 ? text.slice(5, 10) : text.slice(11, 16);
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
        const width = Math.max(320, Math.floor(box.clientWidth));
        if (!points.length || width === drawn) return;
        drawn = width;
        box.replaceChildren(picture(overview, width, total, read), note);
    };
    new ResizeObserver(draw).observe(box);
    box.append(note);
    requestAnimationFrame(draw);
    return box;
}

function picture(overview, width, total, read) {
    const points = overview.points, n = points.length, right = width - RIGHT, bottom = HEIGHT - BOTTOM;
    const slot = (right - LEFT) / n;
    const top = round(Math.max(...points.map((p) => p.unfinished)));
    const most = round(Math.max(...points.map((p) => p.came)));
    const x = (i) => LEFT + (i + 0.5) * slot;
    const y = (v) => bottom - (v / top) * (bottom - TOP);
    const root = svg("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: "img",
        "aria-label": `Unfinished letters over time: ${count(points[0].unfinished)} at the start, ${count(points[n - 1].unfinished)} now; ${count(total)} came.` });
    for (let i = 0; i <= 4; i++) {
        const v = (top * i) / 4;
        root.append(svg("line", { class: i ? "grid" : "axis", x1: LEFT, x2: right, y1: y(v), y2: y(v) }),
            svg("text", { class: "tick", x: LEFT - 8, y: y(v) + 3.5, "text-anchor": "end" }, short(v)));
    }
    const seconds = (Date.parse(overview.to) - Date.parse(overview.from)) / 1000;
    const every = Math.max(1, Math.ceil(n / Math.max(2, Math.floor((right - LEFT) / 110))));
    for (let i = Math.floor(every / 2); i < n; i += every)
        root.append(svg("text", { class: "tick", x: x(i), y: HEIGHT - 5, "text-anchor": "middle" }, timeLabel(points[i].at, seconds)));
    points.forEach((p, i) => {
        const h = (p.came / most) * (bottom - TOP) * 0.45;
        if (p.came) root.append(svg("rect", { class: "came", x: x(i) - slot * 0.35, y: bottom - Math.max(1.5, h), width: Math.max(1, slot * 0.7), height: Math.max(1.5, h) }));
    });
    const line = points.map((p, i) => `${i ? "L" : "M"}${x(i).toFixed(1)} ${y(p.unfinished).toFixed(1)}`).join("");
    const cross = svg("line", { class: "cross", y1: TOP, y2: bottom, x1: -9, x2: -9 });
    root.append(svg("path", { class: "area", d: `${line}L${x(n - 1)} ${bottom}L${x(0)} ${bottom}Z` }), svg("path", { class: "unfinished", d: line }), cross);
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

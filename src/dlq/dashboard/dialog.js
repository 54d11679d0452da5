/* A dialog with a title, a body, and one thing it can do. Esc closes it; the focus goes back to where it was. */
import { button, el, show } from "./dom.js";

/* act() may throw: what it says is shown and the dialog stays. keep: the caller closes it. */
export function dialog({ title, body, verb, danger, act, keep, closed }) {
    const before = document.activeElement;
    const id = `d${Math.random().toString(36).slice(2)}`;
    const error = el("p", { class: "bad", role: "alert" });
    const does = act && el("button", { type: "submit", class: `main${danger ? " danger" : ""}` }, verb);
    const leave = button(act ? "Cancel" : "Close", () => node.close());
    const footer = el("footer", {}, leave, does);
    const content = el("div", { class: "body" }, body, error);
    const form = el("form", { method: "dialog", onsubmit: submit }, el("h2", { id }, title), content, footer);
    const node = el("dialog", { "aria-labelledby": id }, form);
    const box = { node, content, footer, does, leave, error, close: () => node.close(), replace: (...parts) => show(content, ...parts, error) };

    async function submit(e) {
        e.preventDefault();
        if (!act || does.disabled) return;
        does.disabled = true;
        error.textContent = "";
        try {
            await act(box);
            if (!keep) node.close();
        } catch (problem) {
            error.textContent = problem.message;
            if (problem.status === 401) dispatchEvent(new CustomEvent("unauthorized", { detail: problem }));
        } finally {
            does.disabled = false;
        }
    }
    node.addEventListener("close", () => {
        node.remove();
        if (closed) closed();
        if (before && before.isConnected) before.focus();
    });
    document.body.append(node);
    node.showModal();
    return box;
}

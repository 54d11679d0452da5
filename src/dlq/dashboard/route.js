/* The state of a view in the URL's fragment: #/letters?class=tool&status=open. */

export function parse(hash) {
    const [path, search] = hash.replace(/^#\/?/, "").split(/\?(.*)/s);
    const parts = path.split("/").filter(Boolean).map((part) => {
        try {
            return decodeURIComponent(part);
        } catch {
            return part;
        }
    });
    const state = {};
    for (const [name, value] of new URLSearchParams(search || ""))
        state[name] = name in state ? [state[name], value].flat() : value;
    return { parts: parts.length ? parts : ["overview"], state };
}

export function link(parts, state) {
    const all = new URLSearchParams();
    for (const [name, value] of Object.entries(state || {}))
        for (const one of [value].flat()) if (one !== "" && one !== null && one !== undefined && one !== false) all.append(name, one);
    const search = all.toString();
    return `#/${[parts].flat().map(encodeURIComponent).join("/")}${search ? `?${search}` : ""}`;
}

export const here = () => parse(location.hash);

let asked = null;
export function go(parts, state) { location.hash = asked = link(parts, state); }
/* Whether the view that is to be shown was asked for by go(), and not by Back, a link or the address bar. */
export function ours() {
    if (location.hash !== asked) asked = null;
    return asked !== null;
}
export const list = (value) => (value === undefined || value === "" ? [] : [value].flat());

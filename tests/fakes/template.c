/* Filling the holes of answers. */
#include "template.h"

#include <stdlib.h>
#include <string.h>

/* `made` holds the value when it had to be written. False: no such name. */
static bool look_up(struct span name, const struct template_values *v, struct text *made, struct span *value)
{
    const struct {
        const char *name;
        struct span value;
    } known[] = {{"user", v->user}, {"tool_result", v->tool_result}, {"model", v->model}, {"tool", v->tool}, {"key", v->key},
                 {"task", v->task}};

    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (span_is(name, known[i].name)) {
            *value = known[i].value;
            return true;
        }
    }
    if (name.len == 1 && name.at[0] >= '0' && name.at[0] <= '9') {
        *value = v->capture[name.at[0] - '0'];
        return true;
    }
    if (span_is(name, "step")) {
        text_printf(made, "%zu", v->step);
    } else if (span_is(name, "hash")) {
        text_printf(made, "%08x", (unsigned)hash_bytes(7, v->key.at, v->key.len));
    } else if (span_has_prefix(name, "param.")) {
        const json_t *param = json_object_getn(v->params, name.at + 6, name.len - 6);
        char *dump = json_is_string(param) || !param ? NULL : json_dumps(param, JSON_COMPACT | JSON_ENCODE_ANY);

        text_add(made, json_string_value(param), json_string_length(param));
        if (dump)
            text_put(made, dump);
        free(dump);
    } else {
        return false;
    }
    *value = span_text(made);
    return true;
}

static bool is_json_number(struct span s)
{
    char copy[64];
    json_t *read;
    bool is;

    if (!s.len || s.len >= sizeof copy)
        return false;
    memcpy(copy, s.at, s.len);
    read = json_loadb(copy, s.len, JSON_DECODE_ANY, NULL);
    is = json_is_number(read);
    json_decref(read);
    return is;
}

void template_fill(struct text *out, struct span t, const struct template_values *v, bool in_json)
{
    const char *at = t.at, *end = t.at + t.len, *open, *close;

    while (at < end && (open = memmem(at, (size_t)(end - at), "{{", 2)) &&
           (close = memmem(open, (size_t)(end - open), "}}", 2))) {
        struct span name = {open + 2, (size_t)(close - open - 2)}, value = {0};
        struct text made = {0};
        bool number = name.len > 7 && memcmp(close - 7, ":number", 7) == 0;
        bool unquote = number && in_json && open > at && open[-1] == '"' && close + 2 < end && close[2] == '"';

        name.len -= number ? 7 : 0;
        if (!look_up(name, v, &made, &value)) { /* JSON itself may hold "{{": go on behind its first brace */
            text_add(out, at, (size_t)(open + 1 - at));
            at = open + 1;
            continue;
        }
        text_add(out, at, (size_t)(open - at) - unquote);
        if (number && !is_json_number(value))
            value = span_of("0");
        if (in_json)
            text_json(out, value);
        else
            text_add(out, value.at, value.len);
        at = close + 2 + unquote;
        text_free(&made);
    }
    text_add(out, at, (size_t)(end - at));
}

/* Whether a rule fits a call. */
#include <stdio.h>
#include <string.h>

#include "fakes.h"

void view_decode(struct view *v)
{
    if (!v->chat || v->user.at)
        return;
    text_reserve(&v->user, v->chat->user.len);
    v->user.at[0] = '\0';
    scan_text(v->chat->user, &v->user);
    scan_text(v->chat->tool_result, &v->tool_result);
    scan_text(v->chat->system, &v->system);
    v->values.user = span_text(&v->user);
    v->values.tool_result = span_text(&v->tool_result);
}

void view_free(struct view *v)
{
    text_free(&v->user);
    text_free(&v->tool_result);
    text_free(&v->system);
}

struct span view_scope(const struct view *v, enum rule_scope per)
{
    if (per == PER_ALL)
        return (struct span){0};
    if (per == PER_KEY && v->values.key.len)
        return v->values.key;
    return v->values.task.len ? v->values.task : span_of(v->scope);
}

/* Every member asked for is among the params and equal. */
static bool params_fit(json_t *wanted, const json_t *params)
{
    const char *key;
    json_t *value;

    json_object_foreach(wanted, key, value) if (!json_equal(value, json_object_get(params, key))) return false;
    return true;
}

static bool header_fits(const struct rule_match *m, const struct http_request *r)
{
    struct span value;

    return !m->header_name || (http_header(r, m->header_name, &value) && (!m->header_value || span_is(value, m->header_value)));
}

static bool regex_fits(const struct rule_match *m, struct view *v)
{
    if (!m->has_regex)
        return true;
    if (regexec(&m->regex, v->user.at ? v->user.at : "", 10, v->found, 0) != 0)
        return false;
    for (size_t i = 0; i < 10; i++) {
        regmatch_t g = v->found[i];

        v->values.capture[i] = g.rm_so < 0 ? (struct span){0} : (struct span){v->user.at + g.rm_so, (size_t)(g.rm_eo - g.rm_so)};
    }
    return true;
}

static bool fits(const struct rule_match *m, struct view *v)
{
    if (v->chat) {
        if ((m->step >= 0 && (size_t)m->step != v->chat->step) ||
            (m->tool_messages >= 0 && (size_t)m->tool_messages != v->chat->tool_messages))
            return false;
        view_decode(v);
    }
    return (!m->model || span_is(v->values.model, m->model)) && (!m->tool || span_is(v->values.tool, m->tool)) &&
           (!m->user || span_has(span_text(&v->user), m->user)) && (!m->system || span_has(span_text(&v->system), m->system)) &&
           (!m->tool_result || span_has(span_text(&v->tool_result), m->tool_result)) && params_fit(m->params, v->values.params) &&
           header_fits(m, v->request) && regex_fits(m, v);
}

/* True while the rule's times last; one is taken. */
static bool take_turn(struct fakes *f, const struct rule *r, const struct view *v)
{
    struct text name = {0};
    bool taken;

    if (!r->times)
        return true;
    text_printf(&name, "rule-%s-%u", r->name, r->version);
    taken = calls_within(f->shared, span_text(&name), view_scope(v, r->per), (uint64_t)r->times);
    text_free(&name);
    return taken;
}

const struct rule *view_rule(struct fakes *f, const struct rule *list, struct view *v)
{
    for (const struct rule *r = list; r; r = r->next) {
        if (r->on_tool != !v->chat || (r->until_us && clock_us() >= r->until_us) || !fits(&r->match, v) ||
            !fakes_lucky(f, r->chance))
            continue;
        if (take_turn(f, r, v))
            return r;
    }
    return NULL;
}

/* Bodies of requests: JSON objects whose members are known, each checked before it is used. */
#include <stdio.h>

#include "api_parts.h"
#include "stepmill/utf8.h"

enum { LETTERS_MAX = 500 };

static bool refuse(struct api_call *c, const char *name, const char *why)
{
    char text[256];

    snprintf(text, sizeof text, "Member %.60s %s.", name, why);
    api_problem(c, 400, "bad_body", text);
    return false;
}

static bool is_among(const char *name, const char *const *names)
{
    for (; *names; names++)
        if (!strcmp(*names, name))
            return true;
    return false;
}

json_t *api_read_body(struct api_call *c, struct http_server_call *http, const char *const *names)
{
    struct slice text = http_server_body(http);
    json_error_t why = {.text = ""};
    json_t *body = json_loadb(text.at, text.len, JSON_REJECT_DUPLICATES, &why);
    char said[300];
    json_t *member;
    const char *name;

    if (!json_is_object(body)) {
        snprintf(said, sizeof said, "The body must be a JSON object, each of its members once%s%.150s.", body ? "" : ": ",
                 utf8_valid(slice_of(why.text)) ? why.text : "it is no UTF-8");
        json_decref(body);
        api_problem(c, 400, "bad_body", said);
        return NULL;
    }
    json_object_foreach(body, name, member)
    {
        if (!is_among(name, names)) {
            refuse(c, name, "is not known here");
            json_decref(body);
            return NULL;
        }
    }
    return body;
}

/* Characters, as JSON Schema counts. */
static size_t characters(struct slice s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.len; i++)
        n += ((unsigned char)s.at[i] & 0xc0) != 0x80;
    return n;
}

bool api_body_text(struct api_call *c, const json_t *body, const char *name, size_t max, bool needed, struct slice *to)
{
    const json_t *member = json_object_get(body, name);
    struct slice s;

    if (!member)
        return needed ? refuse(c, name, "is missing") : true;
    if (!json_is_string(member))
        return refuse(c, name, "must be text");
    s = (struct slice){json_string_value(member), json_string_length(member)};
    if (!s.len)
        return refuse(c, name, "must not be empty");
    if (characters(s) > max)
        return refuse(c, name, "is too long");
    *to = arena_copy(c->arena, s);
    return to->at ? true : refuse(c, name, "is too long");
}

bool api_body_int(struct api_call *c, const json_t *body, const char *name, int64_t min, int64_t max, int64_t *to)
{
    const json_t *member = json_object_get(body, name);
    double real = json_number_value(member);

    if (!member)
        return true;
    /* 10.0 is an integer to JSON Schema */
    if (!json_is_number(member) || !(real >= (double)min && real <= (double)max) || (double)(int64_t)real < real)
        return refuse(c, name, "must be an integer in its range");
    *to = (int64_t)real;
    return true;
}

bool api_body_flag(struct api_call *c, const json_t *body, const char *name, bool *to)
{
    const json_t *member = json_object_get(body, name);

    if (member && !json_is_boolean(member))
        return refuse(c, name, "must be true or false");
    *to = json_is_true(member);
    return true;
}

static bool read_letters(struct api_call *c, const json_t *list, struct api_selection *s)
{
    size_t n = json_array_size(list);
    struct slice *ids = n && n <= LETTERS_MAX ? arena_alloc(c->arena, n * sizeof *ids) : NULL;

    if (!ids)
        return refuse(c, "letters", "must be a list of 1 to 500 ids");
    for (size_t i = 0; i < n; i++) {
        const json_t *id = json_array_get(list, i);
        size_t len = json_string_length(id);

        if (!json_is_string(id) || !len || len > LETTER_ID_MAX)
            return refuse(c, "letters", "holds something that is no id");
        ids[i] = arena_copy(c->arena, (struct slice){json_string_value(id), len});
        for (size_t k = 0; k < i; k++)
            if (slice_equal(ids[k], ids[i]))
                return refuse(c, "letters", "names a letter twice");
    }
    s->letters = ids;
    s->nletters = n;
    return true;
}

static bool read_statuses(struct api_call *c, const struct api_param *p, const json_t *list)
{
    const char *why = json_is_array(list) && json_array_size(list) <= LETTER_STATUSES ? NULL : "must be a list of statuses";

    for (size_t i = 0; !why && i < json_array_size(list); i++) {
        unsigned before = c->filter.statuses;
        const json_t *one = json_array_get(list, i);

        why = json_is_string(one) ? api_read_value(c, p, slice_of(json_string_value(one))) : "must be a list of statuses";
        if (!why && before == c->filter.statuses)
            why = "names a status twice";
    }
    return why ? refuse(c, p->name, why) : true;
}

bool api_body_filter(struct api_call *c, const json_t *filter)
{
    const struct api_param *p;
    size_t known = 0;

    if (!json_is_object(filter))
        return refuse(c, "filter", "must be an object");
    for (p = api_filter_params; p->name; p++) {
        const json_t *member = json_object_get(filter, p->name);
        const char *why;

        if (!member)
            continue;
        known++;
        if (p->kind == API_STATUS) {
            if (!read_statuses(c, p, member))
                return false;
            continue;
        }
        why = json_is_string(member) ? api_read_value(c, p, (struct slice){json_string_value(member), json_string_length(member)})
                                     : "must be text";
        if (why)
            return refuse(c, p->name, why);
    }
    return known == json_object_size(filter) ? true : refuse(c, "filter", "holds a member that is not known");
}

bool api_body_selection(struct api_call *c, const json_t *body, unsigned what, struct api_selection *s)
{
    const json_t *letters = json_object_get(body, "letters"), *filter = json_object_get(body, "filter");
    bool group = json_object_get(body, "group") != NULL;
    struct slice fingerprint = {NULL, 0};

    *s = (struct api_selection){.kind = (letters ? API_LETTERS : 0U) | (group ? API_GROUP : 0U) | (filter ? API_FILTER : 0U)};
    if (!s->kind || (s->kind & (s->kind - 1)) || (s->kind & ~what)) {
        api_problem(c, 400, "bad_body",
                    what & API_FILTER ? "Exactly one of letters, group and filter must be there."
                                      : "Exactly one of letters and group must be there.");
        return false;
    }
    if (letters)
        return read_letters(c, letters, s);
    if (filter)
        return api_body_filter(c, filter);
    if (!api_body_text(c, body, "group", 64, true, &fingerprint))
        return false;
    c->filter.group = fingerprint;
    c->filter.statuses = LETTER_UNFINISHED;
    return true;
}

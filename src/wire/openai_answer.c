/* The answer of the OpenAI chat.completions API, read in one pass. */
#include <stdio.h>

#include "openai_error.h"
#include "stepmill/json.h"
#include "stepmill/openai.h"

enum { MODEL_NAME_MAX = 256 };

/* A value seen on the way: strings raw, anything else as its whole text. It becomes memory only if it is the one that counts. */
struct piece {
    enum json_token token; /* JSON_TOKEN_END: not there */
    struct slice raw;
};

struct call_piece {
    struct piece id, name, arguments;
};

struct message {
    struct piece content, refusal, finish;
    struct call_piece calls[EVENT_TOOL_CALLS_MAX];
    size_t ncalls;
    int32_t refused;
};

struct usage {
    int64_t prompt, completion, total; /* -1: not there */
};

struct reading {
    struct message message;
    struct usage usage;
    struct piece model, error;
};

static bool take(struct json *j, struct piece *p)
{
    if (!json_next(j))
        return false;
    p->token = j->token;
    if (j->token != JSON_TOKEN_STRING)
        return json_value_text(j, &p->raw);
    p->raw = j->raw;
    return true;
}

/* After a key: whether its value is an object or array of that kind, now entered; else it has been stepped over. */
static bool enter(struct json *j, enum json_token token)
{
    if (!json_next(j))
        return false;
    if (j->token == token)
        return true;
    (void)json_skip(j); /* an error stays in j */
    return false;
}

static bool next_key(struct json *j) { return json_next(j) && j->token == JSON_TOKEN_KEY; }

static void read_function(struct json *j, struct call_piece *call)
{
    if (!enter(j, JSON_TOKEN_OBJECT))
        return;
    while (next_key(j)) {
        if (json_key_is(j, "name"))
            take(j, &call->name);
        else if (json_key_is(j, "arguments"))
            take(j, &call->arguments);
        else
            json_skip(j);
    }
}

/* Inside an object of tool_calls. */
static void read_call(struct json *j, struct call_piece *call)
{
    while (next_key(j)) {
        if (json_key_is(j, "id"))
            take(j, &call->id);
        else if (json_key_is(j, "function"))
            read_function(j, call);
        else
            json_skip(j);
    }
}

static void read_calls(struct json *j, struct message *m)
{
    m->ncalls = 0;
    m->refused = 0;
    if (!enter(j, JSON_TOKEN_ARRAY))
        return;
    while (json_next(j) && j->token != JSON_TOKEN_ARRAY_END) {
        if (j->token == JSON_TOKEN_OBJECT && m->ncalls < EVENT_TOOL_CALLS_MAX) {
            m->calls[m->ncalls] = (struct call_piece){0};
            read_call(j, &m->calls[m->ncalls++]);
        } else {
            m->refused += j->token == JSON_TOKEN_OBJECT;
            json_skip(j);
        }
    }
}

static void read_message(struct json *j, struct message *m)
{
    if (!enter(j, JSON_TOKEN_OBJECT))
        return;
    while (next_key(j)) {
        if (json_key_is(j, "content")) {
            take(j, &m->content);
        } else if (json_key_is(j, "refusal")) {
            take(j, &m->refusal);
        } else if (json_key_is(j, "tool_calls")) {
            read_calls(j, m);
        } else if (json_key_is(j, "function_call") && !m->ncalls) {
            m->calls[0] = (struct call_piece){0};
            read_function(j, &m->calls[0]);
            m->ncalls = m->calls[0].name.token == JSON_TOKEN_STRING;
        } else {
            json_skip(j);
        }
    }
}

static void read_choices(struct json *j, struct message *m)
{
    m->ncalls = 0;
    m->refused = 0;
    m->content = m->refusal = m->finish = (struct piece){0};
    if (!enter(j, JSON_TOKEN_ARRAY))
        return;
    for (bool first = true; json_next(j) && j->token != JSON_TOKEN_ARRAY_END; first = false) {
        if (!first || j->token != JSON_TOKEN_OBJECT) {
            json_skip(j);
            continue;
        }
        while (next_key(j)) {
            if (json_key_is(j, "message"))
                read_message(j, m);
            else if (json_key_is(j, "finish_reason"))
                take(j, &m->finish);
            else
                json_skip(j);
        }
    }
}

static void read_usage(struct json *j, struct usage *u)
{
    *u = (struct usage){-1, -1, -1};
    if (!enter(j, JSON_TOKEN_OBJECT))
        return;
    while (next_key(j)) {
        int64_t *to = json_key_is(j, "prompt_tokens")       ? &u->prompt
                      : json_key_is(j, "completion_tokens") ? &u->completion
                      : json_key_is(j, "total_tokens")      ? &u->total
                                                            : NULL;

        if (!json_next(j))
            return;
        if (to && !json_int(j, 0, INT32_MAX, to))
            *to = -1;
        json_skip(j);
    }
}

static bool read_body(struct slice body, struct reading *r)
{
    struct json j = json_start(body);

    if (!json_next(&j) || j.token != JSON_TOKEN_OBJECT)
        return false;
    while (next_key(&j)) {
        if (json_key_is(&j, "choices"))
            read_choices(&j, &r->message);
        else if (json_key_is(&j, "usage"))
            read_usage(&j, &r->usage);
        else if (json_key_is(&j, "model"))
            take(&j, &r->model);
        else if (json_key_is(&j, "error"))
            take(&j, &r->error);
        else
            json_skip(&j);
    }
    return !json_next(&j) && !j.error; /* nothing may follow, or the text was cut */
}

/* The string as memory; absent for anything but a string, `*ok` false when there is no memory. */
static struct slice text_of(const struct piece *p, struct arena *arena, bool *ok)
{
    char *at;

    if (p->token != JSON_TOKEN_STRING)
        return (struct slice){NULL, 0};
    at = arena_alloc(arena, p->raw.len + 1);
    if (!at) {
        *ok = false;
        return (struct slice){NULL, 0};
    }
    return (struct slice){at, json_unescape_raw(p->raw, at)};
}

/* The texts of an array of parts, joined: [{"type":"text","text":"…"}, …]. Absent: it holds none. */
static struct slice joined_parts(const struct piece *p, struct arena *arena, bool *ok)
{
    struct json j = json_start(p->raw);
    char *at = arena_alloc(arena, p->raw.len + 1);
    struct slice text = {NULL, 0};

    if (!at) {
        *ok = false;
        return text;
    }
    json_next(&j);
    while (json_next(&j)) {
        if (j.depth != 2 || j.token != JSON_TOKEN_KEY || !json_key_is(&j, "text"))
            continue;
        if (json_next(&j) && j.token == JSON_TOKEN_STRING)
            text = (struct slice){at, text.len + json_unescape_raw(j.raw, at + text.len)};
    }
    return text;
}

static bool is_blank(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.at[i] != ' ' && s.at[i] != '\t' && s.at[i] != '\n' && s.at[i] != '\r')
            return false;
    return true;
}

/* Most servers give arguments as a string that holds JSON; some give the JSON itself, or nothing where there are none. */
static struct slice arguments_of(const struct piece *p, struct arena *arena, bool *ok)
{
    struct slice text = {NULL, 0};

    if (p->token == JSON_TOKEN_STRING)
        text = text_of(p, arena, ok);
    else if (p->token != JSON_TOKEN_END && p->token != JSON_TOKEN_NULL) {
        text = arena_copy(arena, p->raw);
        *ok &= text.at != NULL;
    }
    return is_blank(text) ? SLICE("{}") : text;
}

static bool id_is_taken(const struct tool_call *calls, size_t n, size_t but, struct slice id)
{
    for (size_t i = 0; i < n; i++)
        if (i != but && slice_equal(calls[i].id, id))
            return true;
    return false;
}

/* An answer to a call is found again by its id. Of equal ids the first keeps it. */
static bool make_ids_unique(struct tool_call *calls, size_t n, struct arena *arena)
{
    for (size_t i = 0; i < n; i++) {
        char id[32];

        if (calls[i].id.len && !id_is_taken(calls, i, i, calls[i].id))
            continue;
        for (size_t number = i;; number++) {
            snprintf(id, sizeof id, "call_%zu", number);
            if (!id_is_taken(calls, n, i, slice_of(id)))
                break;
        }
        calls[i].id = arena_copy(arena, slice_of(id));
        if (!calls[i].id.at)
            return false;
    }
    return true;
}

static bool take_calls(const struct message *m, struct arena *arena, struct openai_answer *answer)
{
    struct tool_call *calls;
    bool ok = true;

    answer->ncalls = m->ncalls;
    answer->calls_refused = m->refused;
    if (!m->ncalls)
        return true;
    calls = arena_alloc(arena, m->ncalls * sizeof *calls);
    if (!calls)
        return false;
    for (size_t i = 0; i < m->ncalls; i++) {
        calls[i].id = text_of(&m->calls[i].id, arena, &ok);
        calls[i].name = text_of(&m->calls[i].name, arena, &ok);
        calls[i].arguments = arguments_of(&m->calls[i].arguments, arena, &ok);
        if (!calls[i].name.at)
            calls[i].name = SLICE(""); /* no tool has this name: the model will be told */
    }
    answer->calls = calls;
    return ok && make_ids_unique(calls, m->ncalls, arena);
}

static enum finish_reason finish_of(const struct message *m)
{
    static const struct {
        const char *word;
        enum finish_reason finish;
    } words[] = {
        {"stop", FINISH_STOP},
        {"length", FINISH_LENGTH},
        {"tool_calls", FINISH_TOOL_CALLS},
        {"function_call", FINISH_TOOL_CALLS},
        {"content_filter", FINISH_CONTENT_FILTER},
        {"refusal", FINISH_REFUSAL},
        {"end_turn", FINISH_STOP},
        {"stop_sequence", FINISH_STOP},
        {"eos", FINISH_STOP},
        {"max_tokens", FINISH_LENGTH},
        {"tool_use", FINISH_TOOL_CALLS},
    };

    for (size_t i = 0; m->finish.token == JSON_TOKEN_STRING && i < sizeof words / sizeof *words; i++)
        if (slice_is(m->finish.raw, words[i].word))
            return words[i].finish == FINISH_STOP && m->ncalls ? FINISH_TOOL_CALLS : words[i].finish;
    return m->ncalls ? FINISH_TOOL_CALLS : FINISH_OTHER;
}

static void take_usage(struct usage u, struct openai_answer *answer)
{
    if (u.prompt < 0 && u.completion >= 0 && u.total >= u.completion)
        u.prompt = u.total - u.completion;
    if (u.completion < 0 && u.prompt >= 0 && u.total >= u.prompt)
        u.completion = u.total - u.prompt;
    answer->has_usage = u.prompt >= 0 && u.completion >= 0;
    if (answer->has_usage) {
        answer->prompt_tokens = u.prompt;
        answer->completion_tokens = u.completion;
    }
}

static bool take_texts(const struct reading *r, struct arena *arena, struct openai_answer *answer)
{
    struct slice refusal;
    bool ok = true;

    answer->model = utf8_cut(text_of(&r->model, arena, &ok), MODEL_NAME_MAX);
    if (!answer->model.len)
        answer->model.at = NULL;
    answer->content = r->message.content.token == JSON_TOKEN_ARRAY ? joined_parts(&r->message.content, arena, &ok)
                                                                   : text_of(&r->message.content, arena, &ok);
    refusal = text_of(&r->message.refusal, arena, &ok);
    if (refusal.len && !answer->ncalls) {
        answer->finish = FINISH_REFUSAL;
        if (!answer->content.len)
            answer->content = refusal;
    }
    return ok;
}

static bool says_nothing(const struct openai_answer *a)
{
    return !a->content.len && !a->ncalls && a->finish != FINISH_LENGTH && a->finish != FINISH_CONTENT_FILTER &&
           a->finish != FINISH_REFUSAL;
}

struct error openai_parse(struct slice body, struct arena *arena, struct openai_answer *answer)
{
    struct reading r;

    /* Not the calls: 3 KB that are cleared one by one as they come. */
    r.message.ncalls = 0;
    r.message.refused = 0;
    r.message.content = r.message.refusal = r.message.finish = r.model = r.error = (struct piece){0};
    r.usage = (struct usage){-1, -1, -1};
    *answer = (struct openai_answer){0};
    if (!read_body(body, &r))
        return error_make(CLASS_AGAIN, "model_answer_not_json", "the model's answer is not a JSON object, or was cut off");
    answer->finish = finish_of(&r.message);
    if (!take_calls(&r.message, arena, answer) || !take_texts(&r, arena, answer))
        return error_make(CLASS_INTERNAL, "out_of_memory",
                          "no memory left for the model's answer: it is larger than the task may hold");
    take_usage(r.usage, answer);
    if (!says_nothing(answer))
        return error_none();
    if (r.error.token != JSON_TOKEN_END && r.error.token != JSON_TOKEN_NULL)
        return openai_error_in_answer(body);
    return error_make(CLASS_AGAIN, "model_answer_empty", "the model's answer has no text, tool call or refusal");
}

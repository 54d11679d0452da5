/* AgentTaskEvent from JSON. */
#include "stepmill/task_json.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>

#include "stepmill/json.h"
#include "stepmill/nearest.h"
#include "stepmill/time_text.h"

static const char *const names[] = {"task_id",    "source_agent", "target_agent", "session_id",  "prompt",        "context",
                                    "created_at", "max_steps",    "token_budget", "deadline_at", "parent_task_id"};
enum { NAMES = sizeof names / sizeof *names, SHOWN = 60 };

struct reader {
    const json_t *object;
    int64_t now_ms;
    struct arena *arena;
    struct detail *detail;
};

__attribute__((format(printf, 3, 4))) static struct error refuse(const struct reader *r, const char *code, const char *format,
                                                                 ...)
{
    va_list args;

    if (r->detail) {
        va_start(args, format);
        vsnprintf(r->detail->text, sizeof r->detail->text, format, args);
        va_end(args);
    }
    return error_make(CLASS_REJECTED, code, "the JSON is not a task");
}

static struct error no_memory(void) { return error_make(CLASS_INTERNAL, "out_of_memory", "no memory left for the task"); }

/* NULL: left out, or null. */
static const json_t *member(const struct reader *r, const char *name)
{
    const json_t *v = json_object_get(r->object, name);

    return json_is_null(v) ? NULL : v;
}

static struct error check_names(const struct reader *r)
{
    for (void *i = json_object_iter((json_t *)(uintptr_t)r->object); i;
         i = json_object_iter_next((json_t *)(uintptr_t)r->object, i)) {
        const char *name = json_object_iter_key(i);
        struct nearest near = nearest_to(slice_of(name));
        size_t k = 0;

        while (k < NAMES && strcmp(names[k], name) != 0)
            nearest_offer(&near, names[k++]);
        if (k == NAMES)
            return refuse(r, "unknown_member", "the member \"%.*s\" is unknown%s%s%s", SHOWN, name,
                          near.name ? ": did you mean \"" : "; context is the place for more", near.name ? near.name : "",
                          near.name ? "\"?" : "");
    }
    return error_none();
}

static struct error copy_text(const struct reader *r, const json_t *v, struct slice *to)
{
    *to = arena_copy(r->arena, (struct slice){json_string_value(v), json_string_length(v)});
    return to->at ? error_none() : no_memory();
}

static struct error read_text(const struct reader *r, const char *name, struct slice *to)
{
    const json_t *v = member(r, name);

    if (!v)
        return error_none();
    return json_is_string(v) ? copy_text(r, v, to) : refuse(r, "wrong_type", "%s must be a string", name);
}

static struct error read_int(const struct reader *r, const char *name, int32_t least, int32_t most, int32_t *to)
{
    const json_t *v = member(r, name);

    if (!v)
        return error_none();
    if (!json_is_integer(v))
        return refuse(r, "wrong_type", "%s must be a whole number", name);
    if (json_integer_value(v) < least || json_integer_value(v) > most)
        return refuse(r, "out_of_range", "%s must be %d to %d", name, (int)least, (int)most);
    *to = (int32_t)json_integer_value(v);
    return error_none();
}

static struct error read_time(const struct reader *r, const char *name, bool ahead, int64_t *to)
{
    const json_t *v = member(r, name);

    if (!v)
        return error_none();
    if (json_is_integer(v))
        *to = json_integer_value(v);
    else if (!json_is_string(v) || !time_read((struct slice){json_string_value(v), json_string_length(v)}, ahead, r->now_ms, to))
        return refuse(r, "wrong_type", "%s must be Unix ms, an RFC 3339 time or a duration (\"10m\")", name);
    return *to < 0 ? refuse(r, "out_of_range", "%s lies before 1970", name) : error_none();
}

static struct error read_context(const struct reader *r, struct task_input *task)
{
    json_t *v = (json_t *)(uintptr_t)member(r, "context");
    struct context_entry *entries;
    struct error error = error_none();
    size_t n = 0;

    if (!v)
        return error_none();
    if (!json_is_object(v))
        return refuse(r, "wrong_type", "context must be an object of strings");
    if (json_object_size(v) > EVENT_CONTEXT_MAX)
        return refuse(r, "too_many_elements", "context holds more than %d entries", EVENT_CONTEXT_MAX);
    entries = arena_alloc(r->arena, (json_object_size(v) + 1) * sizeof *entries);
    if (!entries)
        return no_memory();
    for (void *i = json_object_iter(v); i && !failed(error); i = json_object_iter_next(v, i)) {
        const char *key = json_object_iter_key(i);

        if (!json_is_string(json_object_iter_value(i)))
            return refuse(r, "wrong_type", "context: \"%.*s\" must be a string", SHOWN, key);
        entries[n].key = arena_copy(r->arena, slice_of(key));
        error = entries[n].key.at ? copy_text(r, json_object_iter_value(i), &entries[n].value) : no_memory();
        n++;
    }
    task->context = entries;
    task->ncontext = n;
    return error;
}

static struct error read_members(const struct reader *r, struct task_input *task)
{
    const struct {
        const char *name;
        struct slice *to;
    } texts[] = {{"task_id", &task->task_id},
                 {"source_agent", &task->source_agent},
                 {"target_agent", &task->target_agent},
                 {"session_id", &task->session_id},
                 {"prompt", &task->prompt},
                 {"parent_task_id", &task->parent_task_id}};
    struct error error = check_names(r);

    for (size_t i = 0; i < sizeof texts / sizeof *texts && !failed(error); i++)
        error = read_text(r, texts[i].name, texts[i].to);
    if (!failed(error))
        error = read_context(r, task);
    if (!failed(error))
        error = read_int(r, "max_steps", MAX_STEPS_LEAST, MAX_STEPS_MOST, &task->max_steps);
    if (!failed(error))
        error = read_int(r, "token_budget", TOKEN_BUDGET_LEAST, TOKEN_BUDGET_MOST, &task->token_budget);
    if (!failed(error))
        error = read_time(r, "created_at", false, &task->created_at_ms);
    return failed(error) ? error : read_time(r, "deadline_at", true, &task->deadline_at_ms);
}

/* jansson does not tell: without memory it says nothing, or blames the syntax. */
static bool says_no_memory(const json_error_t *problem, struct slice text)
{
    return !problem->text[0] || (json_error_code(problem) == json_error_invalid_syntax && json_valid(text));
}

struct error task_json_read(struct slice text, int64_t now_ms, struct arena *arena, struct task_input *task,
                            struct detail *detail)
{
    json_error_t problem;
    json_t *object = json_loadb(text.at ? text.at : "", text.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &problem);
    struct reader r = {object, now_ms, arena, detail};
    struct error error;

    if (!object && says_no_memory(&problem, text))
        error = no_memory();
    else if (!object)
        error = refuse(&r, "not_json", "not JSON: %.150s, at byte %d", problem.text, problem.position);
    else if (!json_is_object(object))
        error = refuse(&r, "not_json", "not a JSON object: one task is {\"prompt\": …, \"session_id\": …}");
    else
        error = read_members(&r, task);
    json_decref(object);
    return error;
}

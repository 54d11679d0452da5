/* Fuzzes what is sent: model requests and tool requests made of hostile texts are JSON for everybody, and say what they were
 * given.
 *
 * Peer: jansson reads what we wrote.
 */
#include <jansson.h>

#include "fuzz_input.h"
#include "stepmill/json.h"
#include "stepmill/openai.h"
#include "stepmill/session_turn.h"
#include "stepmill/tool.h"

enum { MESSAGES = 12, CALLS = 4 };

/* The member is this text, as far as it is UTF-8. */
static void check_text(const json_t *object, const char *name, struct slice text)
{
    const json_t *v = json_object_get(object, name);
    struct buf clean = BUF(1 << 20);

    utf8_put(&clean, text);
    if (!json_is_string(v) || !slice_equal(buf_slice(&clean), (struct slice){json_string_value(v), json_string_length(v)}))
        bug("%s does not say what it was given", name);
    buf_free(&clean);
}

static void put_assistant(struct fuzz_input *in, struct buf *list)
{
    struct tool_call calls[CALLS];
    struct event_model_answered answer = {.content = fuzz_maybe(in, 255), .calls = calls, .ncalls = fuzz_number(in, CALLS)};

    for (size_t i = 0; i < answer.ncalls; i++)
        calls[i] = (struct tool_call){fuzz_text(in, 40), fuzz_text(in, 80), fuzz_maybe(in, 255)};
    openai_put_assistant(list, &answer);
}

static void put_message(struct fuzz_input *in, struct buf *list)
{
    struct context_entry context[2];
    struct event_tool_answered tool = {0};
    struct turn turn;

    switch (fuzz_number(in, 4)) {
    case 0:
        openai_put_system(list, fuzz_maybe(in, 255));
        break;
    case 1:
        turn = (struct turn){fuzz_text(in, 10), fuzz_maybe(in, 255)};
        openai_put_turn(list, &turn);
        break;
    case 2:
        context[0] = (struct context_entry){fuzz_text(in, 20), fuzz_text(in, 40)};
        context[1] = (struct context_entry){fuzz_text(in, 20), fuzz_text(in, 40)};
        openai_put_user(list, fuzz_maybe(in, 255), context, fuzz_number(in, 2));
        break;
    case 3:
        tool.call_id = fuzz_maybe(in, 40);
        tool.content = fuzz_maybe(in, 255);
        openai_put_tool(list, &tool);
        break;
    default:
        put_assistant(in, list);
    }
}

/* Each function's name and arguments are what the strictest server takes. */
static void check_calls(const json_t *message)
{
    const json_t *calls = json_object_get(message, "tool_calls");

    for (size_t i = 0; i < json_array_size(calls); i++) {
        const json_t *function = json_object_get(json_array_get(calls, i), "function");
        const char *name = json_string_value(json_object_get(function, "name"));
        const json_t *arguments = json_object_get(function, "arguments");

        if (!name || !*name || strlen(name) > 64 ||
            name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")])
            bug("a function name that servers refuse: %s", name ? name : "none");
        if (!json_valid_object((struct slice){json_string_value(arguments), json_string_length(arguments)}))
            bug("arguments that are no object");
    }
}

static void check_body(const struct openai_request *request, struct buf *list)
{
    struct buf body = BUF(1 << 22);
    json_t *theirs;

    openai_put_head(&body, request);
    buf_put_slice(&body, buf_slice(list));
    buf_put_slice(&body, OPENAI_TAIL);
    theirs = json_loadb(body.at, body.len, JSON_ALLOW_NUL, NULL);
    if (list->failed || body.failed || !json_valid_object(buf_slice(&body)))
        bug("a request that is no JSON");
    if (!theirs) /* numbers too large for jansson stand in `extra` */
        return buf_free(&body);
    if (!json_is_false(json_object_get(theirs, "stream")))
        bug("a stream was asked for");
    if (!request->extra.at) {
        check_text(theirs, "model", request->model);
        if (json_array_size(json_object_get(theirs, "tools")) != request->ntools)
            bug("tools are lost");
    }
    for (size_t i = 0; i < json_array_size(json_object_get(theirs, "messages")); i++)
        check_calls(json_array_get(json_object_get(theirs, "messages"), i));
    json_decref(theirs);
    buf_free(&body);
}

static void check_tool_request(struct slice arguments)
{
    struct buf body = BUF(1 << 20);
    struct arena *arena = arena_new(1 << 20);
    bool truncated;
    struct slice text;

    if (!arena)
        abort();
    if (tool_put_request(&body, arguments)) {
        if (!json_valid_object(buf_slice(&body)))
            bug("a tool request that is no JSON");
    } else if (body.len || json_valid_object(arguments)) {
        bug("an object was refused, or half of it written");
    }
    for (size_t max = 0; max < 300; max = 3 * max + 1) {
        text = tool_answer_text(arguments, max, arena, &truncated);
        if (!text.at || text.len > max || !utf8_valid(text) || (truncated && arguments.len == 0))
            bug("an answer of %zu bytes, cut to %zu", text.len, max);
    }
    arena_free(arena);
    buf_free(&body);
}

/* As Redis gives it back; jansson says what it should be. */
static void check_turn(struct slice text)
{
    struct arena *arena = arena_new(1 << 20);
    struct turn turn, back;
    struct buf again = BUF(1 << 20);
    json_t *theirs = json_loadb(text.at, text.len, JSON_ALLOW_NUL, NULL);

    if (!arena)
        abort();
    if (session_turn_read(text, arena, &turn)) {
        if (theirs) {
            check_text(theirs, "role", turn.role);
            check_text(theirs, "content", turn.content);
        }
        session_turn_put(&again, &turn);
        if (!session_turn_read(buf_slice(&again), arena, &back) || !slice_equal(turn.content, back.content) ||
            !slice_equal(turn.role, back.role))
            bug("a message of the session does not come back");
    }
    json_decref(theirs);
    buf_free(&again);
    arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = fuzz_begin(data, size);
    struct openai_tool tool = {fuzz_text(&in, 64), fuzz_text(&in, 100), SLICE("{\"type\":\"object\"}")};
    struct openai_request request = {.model = fuzz_text(&in, 40), .tools = &tool, .ntools = fuzz_number(&in, 1)};
    struct buf list = BUF(1 << 20);
    uint64_t bits = fuzz_number(&in, UINT64_MAX);
    struct slice rest;

    memcpy(&request.temperature, &bits, sizeof bits);
    request.has_temperature = bits & 1;
    request.has_seed = bits & 2;
    request.has_max_tokens = bits & 4;
    request.seed = (int64_t)bits;
    request.extra = fuzz_maybe(&in, 255);
    if (!json_valid_object(request.extra)) /* the config takes nothing else */
        request.extra = (struct slice){NULL, 0};
    for (uint64_t n = fuzz_number(&in, MESSAGES); n; n--)
        put_message(&in, &list);
    check_body(&request, &list);
    rest = fuzz_rest(&in);
    check_tool_request(rest);
    check_turn(rest);
    buf_free(&list);
    fuzz_end(&in);
    return 0;
}

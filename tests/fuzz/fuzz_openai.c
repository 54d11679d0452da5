/* Fuzzes the reading of a model's answers and errors: any bytes end in an answer that can be sent back, or in an error.
 *
 *     tools/fuzz openai [seconds]
 */
#include <jansson.h>
#include <stdlib.h>

#include "stepmill/json.h"
#include "stepmill/openai.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was understood goes into the next request: it must be JSON for everybody, with one id per call. */
static void check_answer(const struct openai_answer *a)
{
    struct event_model_answered event = {.content = a->content, .calls = a->calls, .ncalls = a->ncalls};
    struct buf list = BUF(1 << 24);
    json_t *message;

    if (a->ncalls > EVENT_TOOL_CALLS_MAX || a->prompt_tokens < 0 || a->completion_tokens < 0 ||
        (!a->has_usage && a->prompt_tokens))
        bug("an answer out of its limits");
    for (size_t i = 0; i < a->ncalls; i++)
        for (size_t k = 0; k < i; k++)
            if (slice_equal(a->calls[i].id, a->calls[k].id))
                bug("two calls with one id");
    if (!utf8_valid(a->content) || !utf8_valid(a->model))
        bug("an answer that is not UTF-8");
    openai_put_assistant(&list, &event);
    message = json_loadb(list.at, list.len, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
    if (list.failed || !message || !json_valid(buf_slice(&list)))
        bug("an answer that can't be sent back");
    json_decref(message);
    buf_free(&list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int statuses[] = {400, 401, 403, 404, 422, 429, 500, 529, 302};
    struct arena *arena = arena_new(1 << 20);
    char message[OPENAI_MESSAGE_MAX + 4], *copy = malloc(size ? size : 1);
    struct openai_answer answer;
    struct error e;

    if (!arena || !copy)
        abort();
    if (size)
        memcpy(copy, data, size);
    e = openai_parse((struct slice){copy, size}, arena, &answer);
    if (!failed(e))
        check_answer(&answer);
    else if (!e.code || !e.text)
        bug("an error without a name");
    e = openai_classify(size ? statuses[data[0] % (sizeof statuses / sizeof *statuses)] : 500, (struct slice){copy, size},
                        message);
    if (!failed(e) || strlen(message) > OPENAI_MESSAGE_MAX + 3 || !utf8_valid(slice_of(message)))
        bug("an error without a class, or a message out of its limits");
    free(copy);
    arena_free(arena);
    return 0;
}

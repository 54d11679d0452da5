/* Rendering what the model says. */
#include "reply.h"

#include <time.h>

struct reply reply_new(uint64_t seed) { return (struct reply){.prompt_tokens = -1, .completion_tokens = -1, .seed = seed}; }

void reply_free(struct reply *r)
{
    text_free(&r->content);
    text_free(&r->calls);
}

void reply_call(struct reply *r, struct span name, struct span arguments)
{
    uint64_t number = r->ids == IDS_SAME ? 0 : r->ncalls, id = hash_bytes(r->seed, &number, sizeof number);

    if (r->ncalls == REPLY_CALLS_MAX)
        return;
    text_put(&r->calls, r->ncalls ? ",{" : "{");
    text_printf(&r->calls, "\"index\":%zu,", r->ncalls++);
    if (r->ids != IDS_NONE)
        text_printf(&r->calls, "\"id\":\"call_%016llx\",", (unsigned long long)id);
    text_put(&r->calls, "\"type\":\"function\",\"function\":{\"name\":\"");
    text_json(&r->calls, name);
    text_put(&r->calls, "\",\"arguments\":\"");
    text_json(&r->calls, arguments);
    text_put(&r->calls, "\"}}");
}

/* "role", content or refusal, tool calls: the members of a message, and of a streamed delta. */
static void put_message(struct text *out, const struct reply *r)
{
    text_put(out, "{\"role\":\"assistant\",\"content\":");
    if (r->refusal || (r->ncalls && !r->content.len)) {
        text_put(out, "null");
    } else {
        text_put(out, "\"");
        text_json(out, span_text(&r->content));
        text_put(out, "\"");
    }
    if (r->ncalls) {
        text_put(out, ",\"tool_calls\":[");
        text_add(out, r->calls.at, r->calls.len);
        text_put(out, "]");
    }
    if (r->refusal) {
        text_put(out, ",\"refusal\":\"");
        text_json(out, span_text(&r->content));
        text_put(out, "\"}");
    } else {
        text_put(out, ",\"refusal\":null}");
    }
}

static void put_usage(struct text *out, const struct reply *r, size_t request_bytes)
{
    long long in = r->prompt_tokens >= 0 ? r->prompt_tokens : (long long)(request_bytes / 4 + 1);
    long long made = r->completion_tokens >= 0 ? r->completion_tokens : (long long)((r->content.len + r->calls.len) / 4 + 1);

    text_printf(out,
                "\"usage\":{\"prompt_tokens\":%lld,\"completion_tokens\":%lld,\"total_tokens\":%lld,\"prompt_tokens_details\":{"
                "\"cached_tokens\":0},"
                "\"completion_tokens_details\":{\"reasoning_tokens\":0}}",
                in, made, in + made);
}

static void put_start(struct text *out, const struct reply *r, struct span model, const char *object)
{
    text_printf(out, "{\"id\":\"chatcmpl-%016llx\",\"object\":\"%s\",\"created\":%lld,\"model\":\"", (unsigned long long)r->seed,
                object, (long long)time(NULL));
    text_add(out, model.at, model.len);
    text_put(out, "\",\"system_fingerprint\":\"fp_stepmill_fakes\",\"choices\":[");
}

/* Two chunks: all of the message, then the end. The last one carries the usage. */
static void put_chunks(struct text *out, const struct reply *r, struct span model, size_t request_bytes, const char *finish)
{
    text_put(out, "data: ");
    put_start(out, r, model, "chat.completion.chunk");
    text_put(out, "{\"index\":0,\"delta\":");
    put_message(out, r);
    text_put(out, ",\"finish_reason\":null}]}\n\ndata: ");
    put_start(out, r, model, "chat.completion.chunk");
    text_put(out, "{\"index\":0,\"delta\":{},\"finish_reason\":\"");
    text_json(out, span_of(finish));
    text_put(out, "\"}],");
    put_usage(out, r, request_bytes);
    text_put(out, "}\n\ndata: [DONE]\n\n");
}

void reply_render(struct text *out, const struct reply *r, struct span model, size_t request_bytes, bool stream)
{
    const char *finish = r->finish[0] ? r->finish : r->ncalls ? "tool_calls" : "stop";

    text_reserve(out, r->content.len + r->calls.len + 700);
    if (stream) {
        put_chunks(out, r, model, request_bytes, finish);
        return;
    }
    put_start(out, r, model, "chat.completion");
    if (!r->no_choices) {
        text_put(out, "{\"index\":0,\"message\":");
        put_message(out, r);
        text_put(out, ",\"logprobs\":null,\"finish_reason\":\"");
        text_json(out, span_of(finish));
        text_put(out, "\"}");
    }
    text_put(out, "]");
    if (!r->no_usage) {
        text_put(out, ",");
        put_usage(out, r, request_bytes);
    }
    text_put(out, "}");
}

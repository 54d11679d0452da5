/* The words of simulated models, as OpenAI's chat completions put them. */
#include "model_script.h"

#include <stdio.h>

#include "stepmill/error.h"
#include "stepmill/random.h"

const char *const script_tool_names[SCRIPT_TOOLS + 1] = {"look", "pay", "book", NULL};

enum { ANSWER_MAX = 4096 };

static void put_calls(struct buf *to, const struct script_task *t, uint64_t *state, int32_t seq, uint32_t asked, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        uint64_t tool = t->dear ? random_below(state, SCRIPT_TOOLS) : SCRIPT_LOOK;

        buf_printf(to,
                   "%s{\"id\":\"c%llu\",\"type\":\"function\",\"function\":{\"name\":\"%s\",\"arguments\":\"{\\\"at\\\":%d,"
                   "\\\"asked\\\":%u,\\\"call\\\":%llu}\"}}",
                   i ? "," : "", (unsigned long long)i, script_tool_names[tool], seq, asked, (unsigned long long)i);
    }
}

struct slice script_answer(struct memory *m, const struct script_task *t, int32_t seq, uint32_t asked)
{
    uint64_t state = t->seed ^ (uint64_t)seq << 32 ^ (uint64_t)asked << 16;
    struct buf b = BUF(ANSWER_MAX);
    uint64_t calls = random_below(&state, (uint64_t)t->tools_most + 1);
    struct slice copy;

    if (seq >= t->last_seq)
        calls = 0;
    else if (calls == 0 && t->tools_most > 0)
        calls = 1;
    buf_printf(&b,
               "{\"id\":\"x\",\"object\":\"chat.completion\",\"model\":\"sim-1\",\"choices\":[{\"index\":0,\"message\":{"
               "\"role\":\"assistant\",\"content\":\"%.*s at %d, asked %u\"",
               SLICE_FMT(t->task_id), seq, asked);
    if (calls) {
        buf_put_text(&b, ",\"tool_calls\":[");
        put_calls(&b, t, &state, seq, asked, calls);
        buf_put_byte(&b, ']');
    }
    buf_printf(&b, "},\"finish_reason\":\"%s\"}],\"usage\":{\"prompt_tokens\":%d,\"completion_tokens\":%u,\"total_tokens\":%u}}",
               calls ? "tool_calls" : "stop", 20, 10 + asked, 30 + asked);
    if (b.failed)
        bug("a simulated model's answer is too long");
    copy = memory_copy(m, buf_slice(&b));
    buf_free(&b);
    return copy;
}

struct slice script_tool_answer(struct memory *m, struct slice key, uint32_t asked)
{
    char text[256];

    snprintf(text, sizeof text, "{\"done\":\"%.*s\",\"times\":%u}", SLICE_FMT(key), asked);
    return memory_copy(m, slice_of(text));
}

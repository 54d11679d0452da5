/* The input hash: every part with its length before it. */
#include "stepmill/input_hash.h"

#include "stepmill/error.h"

static void put(struct buf *b, struct slice s)
{
    uint64_t n = s.at ? s.len : UINT64_MAX; /* absent is not empty */
    char length[8];

    for (size_t i = 0; i < sizeof length; i++)
        length[i] = (char)(n >> 8 * i);
    buf_put(b, length, sizeof length);
    if (s.at)
        buf_put_slice(b, s);
}

static void put_number(struct buf *b, int64_t v)
{
    char text[8];

    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)((uint64_t)v >> 8 * i);
    buf_put(b, text, sizeof text);
}

struct digest input_hash(const struct task_input *t)
{
    struct buf b = BUF(SIZE_MAX);
    struct digest d;

    put(&b, t->task_id);
    put(&b, t->source_agent);
    put(&b, t->target_agent);
    put(&b, t->session_id);
    put(&b, t->prompt);
    put_number(&b, (int64_t)t->ncontext);
    for (size_t i = 0; i < t->ncontext; i++) {
        put(&b, t->context[i].key);
        put(&b, t->context[i].value);
    }
    put_number(&b, t->max_steps);
    put_number(&b, t->token_budget);
    put(&b, t->parent_task_id);
    if (b.failed) /* a wrong hash would call a duplicate a conflict */
        bug("out of memory while hashing a task's input");
    d = digest_of((struct slice[]){buf_slice(&b)}, 1);
    buf_free(&b);
    return d;
}

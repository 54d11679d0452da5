/* After a commit Redis learns that the task is done: repeated while the process lives, bounded, harmless to lose (DELIVERY §2).
 */
#include <stdlib.h>

#include "stepmill/rule.h"
#include "worker.h"

enum { UNSETTLED_MAX = 10000 };

/* Waits for Redis to take it. */
struct unsettled {
    struct list_node node;
    uint32_t attempt; /* of the call under way; 0: to be sent again */
    struct cells_settle settle;
    char texts[]; /* task_id, topic */
};

static void send(struct worker *w, struct unsettled *u)
{
    u->attempt = ++w->done_attempts ? w->done_attempts : ++w->done_attempts;
    cells_settle(w->cells, (struct ticket){0, u->attempt}, &u->settle);
}

void worker_mark_done(struct worker *w, const struct cells_settle *settle)
{
    struct slice id = settle->task_id, topic = settle->done.origin.topic;
    struct unsettled *u;

    if (w->unsettled.count >= UNSETTLED_MAX) {
        struct list_node *oldest = list_take_first(&w->unsettled);

        free(list_entry(oldest, struct unsettled, node));
    }
    u = calloc(1, sizeof *u + id.len + topic.len);
    if (!u)
        return; /* the cells say the same */
    memcpy(u->texts, id.at, id.len);
    memcpy(u->texts + id.len, topic.at, topic.len);
    u->settle = *settle;
    u->settle.task_id = (struct slice){u->texts, id.len};
    u->settle.done.origin.topic = (struct slice){u->texts + id.len, topic.len};
    list_append(&w->unsettled, &u->node);
    send(w, u);
}

/* Answers come in the order of the calls, so the one looked for is near the front. */
void worker_done_answered(struct worker *w, struct ticket t, const struct cells_answer *a)
{
    for (struct list_node *n = w->unsettled.first; n; n = n->next) {
        struct unsettled *u = list_entry(n, struct unsettled, node);

        if (u->attempt != t.attempt)
            continue;
        if (RULE(done_again) && failed(a->error)) {
            u->attempt = 0;
        } else {
            list_remove(n);
            free(u);
        }
        return;
    }
}

void worker_done_retry(struct worker *w)
{
    if (!redis_is_up(w->redis))
        return;
    for (struct list_node *n = w->unsettled.first; n; n = n->next) {
        struct unsettled *u = list_entry(n, struct unsettled, node);

        if (u->attempt == 0)
            send(w, u);
    }
}

void worker_done_free(struct worker *w)
{
    struct list_node *n;

    while ((n = list_take_first(&w->unsettled)))
        free(list_entry(n, struct unsettled, node));
}

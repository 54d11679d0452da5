/* What people decide: actions that wait to be written, and are told when the index shows them. */
#include <stdlib.h>

#include "redrive_parts.h"

enum { ACTS_WAITING_MAX = 20000, ACT_ARENA_MAX = 64 * 1024 * 1024 };

static void act_free(struct act *a)
{
    list_remove(&a->in_queue);
    loop_timer_cancel(&a->timer);
    arena_free(a->arena);
    free(a);
}

static void tell(struct act *a, struct error error)
{
    redrives_done *done = a->done;

    a->done = NULL;
    if (done)
        done(a->ctx, a->ticket, error);
}

/* Time is over. What may be in the topic must be written out; what was never sent is forgotten. */
static void out_of_time(void *ctx)
{
    struct act *a = ctx;

    if (!failed(a->error) && a->submitted) {
        tell(a, error_make(CLASS_WAIT, "not_folded", "It is written, but the index does not show it yet."));
        return;
    }
    list_remove(&a->in_queue);
    a->redrives->status.waiting -= a->n;
    tell(a, failed(a->error)
                ? a->error
                : error_make(CLASS_WAIT, "not_ready", "Kafka takes no records at the moment: nothing was done, try again."));
    act_free(a);
}

static struct error copy(struct redrives *r, struct act *a, const struct action *actions, size_t n)
{
    a->records = arena_alloc(a->arena, n * sizeof *a->records);
    for (size_t i = 0; a->records && i < n; i++) {
        struct act_record *to = &a->records[i];

        if (!redrives_encode(r, &actions[i]))
            return r->scratch.failed
                       ? error_make(CLASS_REJECTED, "action_too_large", "The action is too large for a record.")
                       : error_make(CLASS_WAIT, "not_ready", "The schema of actions is not known: is it registered?");
        to->key = arena_copy(a->arena, action_key(&actions[i]));
        to->value = arena_copy(a->arena, buf_slice(&r->scratch));
        a->bytes += to->value.len;
    }
    a->n = n;
    return arena_failed(a->arena) ? error_make(CLASS_INTERNAL, "out_of_memory", "no memory left for an action") : error_none();
}

uint64_t redrives_act(struct redrives *r, const struct action *actions, size_t n, redrives_done *done, void *ctx)
{
    struct act *a = calloc(1, sizeof *a);

    if (!a || !(a->arena = arena_new(ACT_ARENA_MAX)))
        bug("out of memory: a decision must not be lost silently");
    a->redrives = r;
    a->ticket = ++r->last_ticket;
    a->done = done;
    a->ctx = ctx;
    loop_timer_init(&a->timer, r->o.loop, out_of_time, a);
    a->error = r->stopping || r->status.waiting + n > ACTS_WAITING_MAX
                   ? error_make(CLASS_WAIT, "not_ready", "The processor takes no more decisions at the moment: try again.")
                   : copy(r, a, actions, n);
    list_append(&r->acts, &a->in_queue);
    r->status.waiting += a->n;
    loop_timer_set(&a->timer, failed(a->error) ? 0 : REDRIVES_ACT_MS);
    if (!failed(a->error))
        redrives_wake(r);
    return a->ticket;
}

static struct act *find(struct list *l, uint64_t ticket)
{
    for (struct list_node *n = l->first; n; n = n->next) {
        struct act *a = list_entry(n, struct act, in_queue);

        if (a->ticket == ticket)
            return a;
    }
    return NULL;
}

void acts_forget(struct redrives *r, uint64_t ticket)
{
    struct act *a = find(&r->acts, ticket);

    if (!a)
        a = find(&r->written, ticket);
    if (a)
        a->done = NULL;
}

bool acts_fill(struct redrives *r, struct kafka_batch *batch)
{
    for (struct list_node *n = r->acts.first, *next; n; n = next) {
        struct act *a = list_entry(n, struct act, in_queue);

        next = n->next;
        if (failed(a->error))
            continue; /* its timer tells it */
        if (kafka_batch_records(batch) &&
            (kafka_batch_records(batch) + a->n > REDRIVES_ACT_MAX || kafka_batch_bytes(batch) + a->bytes > BYTES_AT_ONCE))
            break;
        for (size_t i = 0; i < a->n; i++)
            if (!kafka_batch_add_record(batch, &(struct kafka_output){.topic = r->config->topics.dlq_actions,
                                                                      .key = a->records[i].key,
                                                                      .value = a->records[i].value,
                                                                      .tag = a->ticket}))
                bug("out of memory: a decision must be written whole");
        a->submitted = true;
        list_remove(n);
        list_append(&r->written, n);
    }
    return kafka_batch_records(batch) > 0;
}

/* `refused`: the one that Kafka alone refuses is told so; the others go again, in their order. */
void acts_settle(struct redrives *r, bool committed, uint64_t refused)
{
    struct list_node *n;

    while ((n = r->written.last)) {
        struct act *a = list_entry(n, struct act, in_queue);

        list_remove(n);
        if (committed || a->ticket == refused) {
            r->status.waiting -= a->n;
            tell(a, committed ? error_none()
                              : error_make(CLASS_REJECTED, "action_too_large", "Kafka does not take a record of its size."));
            act_free(a);
        } else {
            list_prepend(&r->acts, n);
        }
    }
}

/* What was said to be written, or may be taken for it, does not vanish without a word. */
static void drop(struct redrives *r, struct act *a)
{
    if (a->submitted && !failed(a->error))
        log_error(r->o.log, "dlq.decision_open", LOG_INT("actions", a->n),
                  LOG_TEXT("reason", "the processor stops before Kafka has said whether they are written"),
                  LOG_TEXT("action", "look at the history of what was decided last, and decide again what is missing"));
    act_free(a);
}

void acts_drop(struct redrives *r)
{
    while (r->written.first)
        drop(r, list_entry(r->written.first, struct act, in_queue));
    while (r->acts.first)
        drop(r, list_entry(r->acts.first, struct act, in_queue));
}

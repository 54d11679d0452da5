/* The collector: one thread that reads dead letters and actions (read_committed) and folds them into the index.
 *
 * It is the only writer of the index. Each batch is one SQLite transaction together with the places where reading goes on, so the
 * index is always the fold of exactly the records before those places. All functions here belong to the loop thread; callbacks
 * run on the loop.
 */
#ifndef DLQ_COLLECT_H
#define DLQ_COLLECT_H

#include "stepmill/config.h"
#include "stepmill/log.h"
#include "stepmill/loop.h"
#include "store.h"

struct collect;

/* What a batch brought; valid during the callback. Several batches may be told as one. */
struct collect_news {
    const struct collect_action {
        struct slice id, letter, group, job; /* absent where it has none */
    } * actions;                             /* in the order of the fold */
    size_t nactions;
    bool more_actions;          /* too many to list: look into the index */
    uint64_t letters;           /* new ones */
    struct slice newest_letter; /* id; absent when letters is 0 */
};

struct collect_events {
    /* After the commit: reading connections see it. */
    void (*folded)(void *ctx, const struct collect_news *news);
    /* The index file exists: reading connections may open it. Once. */
    void (*made)(void *ctx);
    /* It cannot go on (disk full, folder not writable, damaged file …): waited out by trying again if class is wait or again,
     * else the process should exit 1. `detail` names the file. */
    void (*trouble)(void *ctx, struct error why, const char *detail);
};

struct collect_options {
    struct loop *loop;
    const struct config *config;
    const struct log *log;
    struct store_options store;
    struct collect_events events;
    void *ctx;
};

MUST_CHECK struct error collect_start(const struct collect_options *options, struct collect **out);
/* Ends after the batch under way is committed. NULL is fine. */
void collect_free(struct collect *c);

/* Calls `reached` once: everything that was committed to agent.dlq.actions before this call is folded. It asks the brokers for
 * the topic's end (stable, after the call), so the answer may take as long as an outage. For the start and after every outcome
 * that is not COMMITTED. A second call before the answer replaces the first one. */
void collect_reach(struct collect *c, void (*reached)(void *ctx), void *ctx);

/* Calls `done` once: when the action of this id was folded (also if it was folded before the call), or after `timeout_ms`.
 * Several may wait for one id. Returns a ticket, never 0. */
uint64_t collect_wait(struct collect *c, struct slice action_id, int64_t timeout_ms,
                      void (*done)(void *ctx, uint64_t ticket, bool folded), void *ctx);
void collect_forget(struct collect *c, uint64_t ticket);

struct collect_status {
    bool connected;                                 /* a broker answered lately */
    bool caught_up;                                 /* all partitions were read to their end, as far as known */
    bool was_caught_up;                             /* since the start: letters that keep coming may leave it behind again */
    uint64_t letters, actions, foreign, unreadable; /* folded since start; foreign: of other families; unreadable actions */
    uint64_t batches;
    int64_t lag;         /* records behind the end, of all partitions; -1: not known */
    int64_t folded_ms;   /* when the last batch was committed (clock_mono_ms); 0: none */
    const char *trouble; /* static name; NULL: none */
    bool waiting;        /* some actions cannot be read before the schema registry answers; letters go on */
};
struct collect_status collect_status(const struct collect *c);

#endif

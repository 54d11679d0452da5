/* Questions to the index: run on reader threads, answered on the loop.
 *
 *     struct shown { struct slice id; … };                                                      a question: plain data, copied
 *     static struct error run(struct ask_place *p, void *question, struct answer *a) {…}        on a reader thread
 *     static void done(void *ctx, uint64_t ticket, void *question, struct answer *a) {…}        on the loop
 *
 *     ticket = ask(asks, ASK_INDEX, run, done, ctx, &question, sizeof question);
 *
 * `run` may call any store_… and tasks_… reading function and may print what it found into answer.body: then the loop only sends
 * it. It touches nothing but its arguments. Texts in the question must be copied by the asker into its own memory, or with
 * ask_copy.
 *
 * Who goes away calls ask_forget(ticket): `done` is not called any more, the answer falls away quietly. Tickets are never used
 * twice, so a late forget does no harm.
 */
#ifndef DLQ_ASK_H
#define DLQ_ASK_H

#include "stepmill/log.h"
#include "stepmill/loop.h"
#include "store.h"
#include "tasks.h"

struct asks;

/* ASK_INDEX: queries, ≤ 10 s each (database_interrupted, class again, after that). ASK_SLOW: what waits for Kafka; its own
 * thread. */
enum ask_lane { ASK_INDEX, ASK_SLOW, ASK_LANES };

/* What `run` may use. */
struct ask_place {
    struct store *store; /* NULL: no index yet (the answer is then wait index_not_ready, without run) */
    struct tasks *tasks; /* NULL: no tasks index */
    void *shared;        /* asks_options.shared: read-only for run, thread-safe by whoever set it */
    struct asks *asks;
};

/* From run: asks_free waits for it, so what waits for Kafka should end. */
bool ask_stopped(const struct ask_place *place);

struct answer {
    struct error error;  /* what run returned */
    struct arena *arena; /* for results; gone after `done` */
    struct buf body;     /* free for run: e.g. the JSON of an answer; taken over by `done` if it zeroes it, else freed */
    void *result;        /* free for run: in the arena */
    char detail[256];    /* sentence for the log */
};

typedef struct error ask_run(struct ask_place *place, void *question, struct answer *answer);
typedef void ask_done(void *ctx, uint64_t ticket, void *question, struct answer *answer);

struct asks_options {
    struct loop *loop;
    const struct log *log;
    struct store_options store;
    struct tasks_options tasks;
    size_t threads;     /* of ASK_INDEX; 0: 2 */
    size_t waiting_max; /* 0: 1,000 */
    size_t answer_max;  /* of the arena; 0: 64 MiB */
    void *shared;
};

MUST_CHECK struct error asks_start(const struct asks_options *options, struct asks **out);
/* Interrupts what runs, waits for the threads; `done` is not called for what was open. NULL is fine. */
void asks_free(struct asks *a);
/* The index can be read now (the collector has made it). Before, answers are wait index_not_ready. */
void asks_ready(struct asks *a);

/* Never 0. `done` is always called once unless forgotten, never inside this call; too many waiting: with again
 * too_many_questions. `question` (size bytes) is copied. Loop thread. */
uint64_t ask(struct asks *a, enum ask_lane lane, ask_run *run, ask_done *done, void *ctx, const void *question, size_t size);
void ask_forget(struct asks *a, uint64_t ticket);

struct asks_stats {
    uint64_t asked, failed, interrupted;
    size_t waiting, running;
    int64_t longest_us; /* of a run, since asks_restart_longest */
};
struct asks_stats asks_stats(const struct asks *a);
void asks_restart_longest(struct asks *a);

#endif

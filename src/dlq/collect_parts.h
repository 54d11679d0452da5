/* The collector's two halves: what the loop sees, and the thread. */
#ifndef DLQ_COLLECT_PARTS_H
#define DLQ_COLLECT_PARTS_H

#include <pthread.h>
#include <stdatomic.h>

#include "collect.h"
#include "stepmill/list.h"

enum { NEWS_ACTIONS_MAX = 10000, ACTION_ID_MAX = 64 };

/* What batches brought, until the loop takes it. */
struct news {
    struct arena *arena;
    struct collect_action *actions;
    size_t nactions, room;
    bool more_actions;
    uint64_t letters;
    struct slice newest;
};

/* Somebody waits for an action. */
struct wait {
    struct list_node node;
    uint64_t ticket;
    char id[ACTION_ID_MAX];
    size_t id_length;
    int64_t until_ms;
    bool checked; /* whether the thread was asked about what came before */
    void (*done)(void *ctx, uint64_t ticket, bool folded);
    void *ctx;
};

/* An id that the thread shall look up: folded before the wait began? */
struct check {
    struct check *next;
    uint64_t ticket;
    char id[ACTION_ID_MAX];
    size_t id_length;
    bool found;
};

struct collect {
    struct collect_options options;
    struct loop_notifier *notifier;
    struct loop_timer timer; /* the first wait to end */
    pthread_t thread;
    bool started;
    const char **topics;
    size_t ntopics;
    atomic_bool stop;

    /* loop only */
    struct list waits;
    uint64_t tickets;
    void (*reached)(void *ctx);
    void *reached_ctx;

    pthread_mutex_t lock; /* below: both */
    struct news news;
    uint64_t reach_wanted, reach_done; /* numbers of requests */
    struct check *to_check, *checked;
    struct collect_status status;
    bool made, made_told;
    struct error trouble;
    char trouble_detail[512];
    bool trouble_told;
};

/* collect_thread.c */
void *collect_thread(void *collect);

#endif

/* What the collector's thread holds while it reads; private to collect_*.c. */
#ifndef DLQ_COLLECT_READING_H
#define DLQ_COLLECT_READING_H

#include "collect_parts.h"
#include "effect.h"
#include "plans.h"
#include "stepmill/kafka_follow.h"

enum { NEWS_MEMORY = 32 * 1024 * 1024 };

/* Where the actions must be read to. */
struct reading {
    struct collect *c;
    struct store *store;
    struct kafka_follow *follow;
    struct plans *plans;
    const char *actions_topic;
    const char *remade; /* a topic that is another one than the index was folded from; NULL: none */
    bool open;          /* a batch is */
    bool behind;        /* when it began, not all was read to its end */
    size_t records, bytes;
    int64_t began_ms, status_ms, forget_ms, ask_ms;
    struct news news; /* of the open batch */
    uint64_t letters, actions, foreign, unreadable;
    uint64_t asked;   /* number of the reach request that `targets` belong to */
    int64_t *targets; /* by partition of the actions: the end that must be reached */
    size_t ntargets;
    bool waiting;     /* as in collect_status */
    bool held;        /* since they were tried last, some had to wait again */
    int64_t retry_ms; /* then the actions that wait are tried again */
    int64_t *oldest;  /* by place of kafka_follow_part: what was forgotten up to */
    size_t noldest;
    bool forgetting, forgot;   /* under way; something went */
    size_t forget_part;        /* whose turn it is */
    int64_t forget_to, cursor; /* its oldest offset, -1: not asked yet; where store_forget_… goes on */
};

/* collect_news.c */
void news_drop(struct news *n);
/* False: no room for more. */
bool news_add(struct news *n, const struct effect *e);
/* Into what the loop has not taken yet, if there is any; `n` is empty afterwards. */
void news_join(struct news *all, struct news *n);

/* collect_actions.c */
/* An error: the batch must be given up. */
MUST_CHECK struct error reading_action(struct reading *r, const struct kafka_record *record);
/* Whether it is time to try again those that wait. */
void reading_retry(struct reading *r);

/* collect_between.c: with no batch open */
MUST_CHECK struct error reading_between(struct reading *r);
/* With the lock held. */
void reading_status(struct reading *r);

#endif

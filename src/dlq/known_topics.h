/* Which topics there are to send letters back to. A transaction with a record for a topic that is not there waits in vain, and
 * all decisions behind it: so each topic is asked for before the first letter goes there, and again after a transaction has
 * failed.
 *
 * Any thread.
 */
#ifndef DLQ_KNOWN_TOPICS_H
#define DLQ_KNOWN_TOPICS_H

#include "stepmill/config.h"
#include "stepmill/error.h"

struct known_topics;

enum topic_state { TOPIC_UNKNOWN, TOPIC_THERE, TOPIC_GONE };

struct known_topics *known_topics_new(void); /* NULL: out of memory */
/* NULL is fine. */
void known_topics_free(struct known_topics *k);

/* As it was ten minutes ago at most; gone: half a minute. */
enum topic_state known_topics_state(struct known_topics *k, struct slice name);
/* The same, but asks Kafka about one that is not known: blocks, up to 10 s. A topic that we may not see counts as gone. Errors:
 * again kafka_unreachable, with a detail. */
MUST_CHECK struct error known_topics_ask(struct known_topics *k, const struct config_kafka *kafka, struct slice name,
                                         enum topic_state *state, char *detail, size_t room);
/* A transaction failed: nothing is known any more. */
void known_topics_doubt(struct known_topics *k);
/* Kafka lets us not write to it: as good as gone, for ten minutes, whatever is doubted. */
void known_topics_refuse(struct known_topics *k, const char *name);

#endif

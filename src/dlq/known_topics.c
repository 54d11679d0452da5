/* Which topics there are: what Kafka said lately, kept for the threads that load letters. */
#include "known_topics.h"

#include <pthread.h>
#include <stdlib.h>

#include "stepmill/clock.h"
#include "stepmill/kafka_admin.h"

enum { TOPICS_MAX = 256, NAME_MAX_BYTES = 249, THERE_MS = 600000, GONE_MS = 30000, REFUSED_MS = 600000, ASK_MS = 10000 };

struct known_topic {
    char name[NAME_MAX_BYTES + 1];
    enum topic_state state;
    bool refused;
    int64_t until_ms;
};

struct known_topics {
    pthread_mutex_t lock;
    struct known_topic topics[TOPICS_MAX]; /* a ring: the oldest makes room */
    size_t n;
};

struct known_topics *known_topics_new(void)
{
    struct known_topics *k = calloc(1, sizeof *k);

    if (k)
        pthread_mutex_init(&k->lock, NULL);
    return k;
}

void known_topics_free(struct known_topics *k)
{
    if (!k)
        return;
    pthread_mutex_destroy(&k->lock);
    free(k);
}

/* With the lock. */
static struct known_topic *find(struct known_topics *k, struct slice name)
{
    int64_t now = clock_mono_ms();

    for (size_t i = 0; i < TOPICS_MAX; i++)
        if (now < k->topics[i].until_ms && slice_is(name, k->topics[i].name))
            return &k->topics[i];
    return NULL;
}

static void keep(struct known_topics *k, struct slice name, enum topic_state state, bool refused, int64_t ms)
{
    struct known_topic *t;

    pthread_mutex_lock(&k->lock);
    t = find(k, name);
    if (!t)
        t = &k->topics[k->n++ % TOPICS_MAX];
    *t = (struct known_topic){.state = state, .refused = refused, .until_ms = clock_mono_ms() + ms};
    memcpy(t->name, name.at, name.len);
    pthread_mutex_unlock(&k->lock);
}

enum topic_state known_topics_state(struct known_topics *k, struct slice name)
{
    const struct known_topic *t;
    enum topic_state state;

    if (!name.len || name.len > NAME_MAX_BYTES)
        return TOPIC_GONE; /* no topic has such a name */
    pthread_mutex_lock(&k->lock);
    t = find(k, name);
    state = t ? t->state : TOPIC_UNKNOWN;
    pthread_mutex_unlock(&k->lock);
    return state;
}

static struct error look(const struct config_kafka *kafka, const char *name, bool *there, char *detail, size_t room)
{
    const struct kafka_options options = {.at = kafka->options, .count = kafka->noptions, .client_id = "stepmill-dlq-topics"};
    struct kafka_topics *found = NULL;
    struct kafka_admin *admin = NULL;
    struct error e = kafka_admin_open(&admin, &options, ASK_MS, detail, room);

    if (failed(e))
        return e;
    e = kafka_admin_topics(admin, &name, 1, false, &found);
    if (!failed(e)) {
        *there = found->count == 1 && found->at[0].exists && !found->at[0].error;
        kafka_topics_free(found);
    }
    kafka_admin_close(admin);
    return e;
}

struct error known_topics_ask(struct known_topics *k, const struct config_kafka *kafka, struct slice name,
                              enum topic_state *state, char *detail, size_t room)
{
    char text[NAME_MAX_BYTES + 1];
    bool there = false;

    *state = known_topics_state(k, name);
    if (*state != TOPIC_UNKNOWN)
        return error_none();
    memcpy(text, name.at, name.len);
    text[name.len] = '\0';
    if (failed(look(kafka, text, &there, detail, room)))
        return error_make(CLASS_AGAIN, "kafka_unreachable", "Kafka did not say whether a letter's topic is there: try again.");
    *state = there ? TOPIC_THERE : TOPIC_GONE;
    keep(k, name, *state, false, there ? THERE_MS : GONE_MS);
    return error_none();
}

void known_topics_doubt(struct known_topics *k)
{
    pthread_mutex_lock(&k->lock);
    for (size_t i = 0; i < TOPICS_MAX; i++)
        if (!k->topics[i].refused)
            k->topics[i].until_ms = 0;
    pthread_mutex_unlock(&k->lock);
}

void known_topics_refuse(struct known_topics *k, const char *name)
{
    struct slice s = slice_of(name);

    if (s.len && s.len <= NAME_MAX_BYTES)
        keep(k, s, TOPIC_GONE, true, REFUSED_MS);
}

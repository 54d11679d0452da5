/* The headers of a record that goes back to its topic: those of its sender, without what was added on the way. */
#include "redrive_parts.h"

enum { HEADERS_OF_OURS = 7 };

/* What the letter's writer, a replicator or an earlier redrive added. A copied replicator's header stops replication; a copied
 * trace id hangs today's work under a trace that ended long ago. */
static bool is_dropped(struct slice name)
{
    static const char *const prefixes[] = {"stepmill.",
                                           "__dlq.",
                                           "__connect.errors.",
                                           "__streams.errors.",
                                           "kafka_dlt-",
                                           "kafka_original",
                                           "retry_topic-",
                                           "kafka_deliveryAttempt",
                                           "kafka_exception-",
                                           "__replicator",
                                           "__cluster_link",
                                           "mm2-",
                                           "x-datadog-",
                                           "X-B3-",
                                           "x-b3-",
                                           "springDeserializerException",
                                           "ot-tracer-",
                                           "uber-trace-id"};
    static const char *const names[] = {"traceparent", "tracestate", "trace-id", "b3", "baggage"};

    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (slice_starts_with(name, prefixes[i]))
            return true;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (slice_is(name, names[i]))
            return true;
    return false;
}

static void put(struct kafka_header *headers, size_t *n, const char *name, struct slice value)
{
    if (value.len)
        headers[(*n)++] = (struct kafka_header){slice_of(name), value};
}

bool redrive_headers_make(const struct redrive_headers *h, struct arena *arena, const struct kafka_header **headers, size_t *n)
{
    struct kafka_header *to = arena_alloc(arena, (h->noriginal + HEADERS_OF_OURS) * sizeof *to);
    struct slice first_failed_at = {NULL, 0}, number;
    char room[16];
    struct buf text = BUF_IN(room);

    buf_put_int(&text, h->redrives);
    number = arena_copy(arena, buf_slice(&text));
    if (!to || !number.at)
        return false;
    *n = 0;
    for (size_t i = 0; i < h->noriginal; i++) {
        if (slice_is(h->original[i].name, "stepmill.first_failed_at"))
            first_failed_at = h->original[i].value;
        if (!is_dropped(h->original[i].name))
            to[(*n)++] = h->original[i];
    }
    if (!h->edited) { /* an edited one is another task: nobody has redriven that */
        put(to, n, "stepmill.redrives", number);
        put(to, n, "stepmill.first_failed_at", first_failed_at);
        put(to, n, "stepmill.from_start", h->from_start ? SLICE("true") : SLICE(""));
    }
    put(to, n, "stepmill.letter", h->letter);
    put(to, n, "stepmill.job", h->job);
    put(to, n, "stepmill.redriven_by", h->by);
    put(to, n, "stepmill.redrive_reason", h->reason);
    *headers = to;
    return true;
}

/* What an alert says, and to whom: pure parts of the alerts. */
#ifndef DLQ_ALERT_H
#define DLQ_ALERT_H

#include "stepmill/config.h"
#include "store.h"

enum alert_kind { ALERT_NONE, ALERT_NEW, ALERT_RETURNED, ALERT_SPIKE, ALERT_RESOLVED };
const char *alert_kind_name(enum alert_kind kind); /* "new", "returned", "spike", "resolved" */

enum alert_sink { SINK_PAGERDUTY, SINK_SLACK, SINK_WEBHOOK, ALERT_SINKS };
const char *alert_sink_name(enum alert_sink sink); /* "pagerduty", "slack", "webhook" */

/* What decides over one group and one sink. */
struct alert_facts {
    const struct group_row *group;
    int64_t last_ms;          /* of the last alert to this sink; -1: never */
    enum alert_kind last;     /* its kind; ALERT_NONE: never */
    int64_t lately;           /* its letters of the last five minutes */
    int64_t per_five_minutes; /* usual, over the day before, in hundredths */
    bool was_silent;          /* no letter in dlq.alerts.new_after before the last hour */
};

enum { ALERT_SPIKE_MS = 5 * 60 * 1000, ALERT_FRESH_MS = 60 * 60 * 1000 };

/* What to tell now. A group is new when nobody was told about it and it has letters of the last hour (an index that is made over
 * old letters fires nothing), or when it was silent for new_after. At most one per `interval`; RESOLVED is not held back. */
enum alert_kind alert_decide(const struct alert_facts *f, const struct config *config, int64_t now_ms);

struct alert_text {
    enum alert_kind kind;
    const struct group_row *group;
    const char *instance;   /* dlq.name */
    const char *public_url; /* NULL: no link */
    int64_t lately, at_ms;
};
/* The body for a sink, JSON. `key`: PagerDuty's routing key. */
void alert_body(enum alert_sink sink, const struct alert_text *t, const char *key, struct buf *to);
/* "sha256=<hex>" of an HMAC over "<timestamp>.<body>". */
enum { ALERT_SIGNATURE_SIZE = 72 };
void alert_signature(char room[ALERT_SIGNATURE_SIZE], const char *secret, const char *timestamp, struct slice body);

#endif

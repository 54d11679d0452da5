/* What the registry's files share: one way to ask, one way to read an answer. */
#ifndef REGISTRY_PRIVATE_H
#define REGISTRY_PRIVATE_H

#include <jansson.h>

#include "stepmill/list.h"
#include "stepmill/registry.h"

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

/* An answer, read: `body` is NULL when there is none or it is no JSON. Valid during the callback. */
struct registry_reply {
    struct error error; /* none: status 200 and JSON */
    int status;
    json_t *body;
    bool too_large;   /* the registry's own answer, but longer than any schema may be; `error` is as for no answer */
    const char *text; /* what was asked and what came, for people */
};
typedef void registry_reply_fn(void *ctx, const struct registry_reply *reply);

struct subject {
    struct registry *registry;
    char *name;
    enum own_schema which;
    bool known;
    uint32_t id;
    int32_t attempts;
    struct loop_timer timer;
};

enum { PLANS_MAX = 4 }; /* readers of one schema: task, event, result */

struct entry {
    uint32_t id;
    UT_hash_handle hh;
    struct registry *registry;
    enum { ENTRY_PENDING, ENTRY_HERE, ENTRY_REFUSED } state;
    struct schema *schema;
    struct {
        const struct avro_record *reader;
        struct avro_plan *plan;
        struct error error;
        struct detail detail;
    } plans[PLANS_MAX];
    size_t nplans;
    struct error error; /* REFUSED */
    struct detail detail;
    int64_t refused_ms, used_ms;
    int32_t attempts;
    struct loop_timer timer;
    struct list waiters;
};

struct waiter {
    struct list_node node;
    uint64_t number;
    struct ticket ticket;
    registry_done *done;
    void *ctx;
};

struct registry {
    struct loop *loop;
    struct http_client *client;
    const struct log *log;
    struct http_endpoint *endpoint;
    char *authorization; /* NULL: none */
    int64_t timeout_ms;
    struct schema_limits limits;
    size_t longest_answer; /* in bytes; what is longer holds no schema that we take, and would be long to parse */
    struct subject *subjects[REGISTRY_SUBJECTS_MAX];
    size_t nsubjects;
    struct entry *entries;
    size_t waiting;
    uint64_t last_waiter, seed;
    struct error error;
    char detail[512];
    struct list requests; /* under way */
};

/* Sends; `body` NULL for GET. The callback comes once, later; not after registry_free. */
void registry_ask(struct registry *r, const char *method, struct buf *path, struct buf *body, registry_reply_fn *done, void *ctx);
/* No callback comes any more. */
void registry_forget_requests(struct registry *r);
/* "/subjects/<name>" and what follows, percent-encoded. */
void registry_put_subject(struct buf *path, const char *subject, const char *rest);
/* {"schema":"<text>"} */
void registry_put_schema(struct buf *body, struct slice text);

#endif

/* Inside the admin client: what kafka_admin*.c share. */
#ifndef STEPMILL_IO_KAFKA_ADMIN_PARTS_H
#define STEPMILL_IO_KAFKA_ADMIN_PARTS_H

#include "kafka_client.h"
#include "stepmill/arena.h"
#include "stepmill/kafka_admin.h"

struct kafka_admin {
    struct kafka_opaque opaque;
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;
    int timeout_ms;
    struct kafka_option *pairs; /* a copy of the user's: clients for groups are made later */
    struct kafka_options options;
    char detail[512];
};

enum { ANSWER_MAX = 256 * 1024 * 1024 }; /* bytes of one answer; a cluster's description is far smaller */

/* Keeps the sentence and says the class. */
struct error admin_fail(struct kafka_admin *a, rd_kafka_resp_err_t code, const char *detail);
struct error admin_no_memory(struct kafka_admin *a);
/* Options with the call's time-out; free with rd_kafka_AdminOptions_destroy. */
rd_kafka_AdminOptions_t *admin_options(struct kafka_admin *a, rd_kafka_admin_op_t op);
/* The answer to the request just sent; NULL: `*error` says why. Destroy it. */
rd_kafka_event_t *admin_answer(struct kafka_admin *a, rd_kafka_event_type_t type, struct error *error);
/* A consumer of that group that never joins it; NULL: `*error` says why. Destroy it. */
rd_kafka_t *admin_group_client(struct kafka_admin *a, const char *group, struct error *error);
/* A terminated copy; NULL stays NULL, and is also "no memory". */
const char *admin_text(struct arena *arena, const char *text);

#endif

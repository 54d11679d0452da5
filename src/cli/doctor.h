/* Between the parts of `stepmill doctor`: one finding per thing tried. */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

#include "admin.h"
#include "stepmill/http_client.h"
#include "stepmill/loop.h"

enum { DOCTOR_TIMEOUT_MS = 10000 };

enum verdict { DOCTOR_FINE, DOCTOR_WARNING, DOCTOR_PROBLEM };

struct finding {
    enum verdict verdict;
    const char *area; /* "kafka", "redis", …: static */
    char what[600];
    char todo[400]; /* "" when there is nothing to do */
};

struct doctor {
    struct cli *cli;
    struct config *config;
    struct loop *loop;
    struct http_client *http;
    struct finding *findings;
    size_t count, room;
    bool no_memory;
};

/* Adds a finding. */
__attribute__((format(printf, 4, 5))) void doctor_say(struct doctor *d, enum verdict verdict, const char *area,
                                                      const char *format, ...);
/* What to do about the last finding. */
__attribute__((format(printf, 2, 3))) void doctor_todo(struct doctor *d, const char *format, ...);

/* Each tries its part and blocks until it has its answers or the time is over. */
void doctor_kafka(struct doctor *d);
void doctor_transactions(struct doctor *d);
void doctor_registry(struct doctor *d);
void doctor_redis(struct doctor *d);
void doctor_http(struct doctor *d);

#endif

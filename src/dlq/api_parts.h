/* What the files of the review API share: one call from its route to its answer.
 *
 *     guard (api_guard.c: who, from where, may they) → begin (parse what was asked) → ask the index, or act → answer, once
 *
 * A call lives until it is answered, or until its client has gone and nothing outside holds it any more: a question to the index
 * reads the call's own memory on another thread, so the call waits for it.
 */
#ifndef DLQ_API_PARTS_H
#define DLQ_API_PARTS_H

#include <jansson.h>

#include "access.h"
#include "api.h"
#include "redrive.h"
#include "stepmill/list.h"

enum { API_REFUSALS = 32, API_LIMIT_DEFAULT = 50, API_LIMIT_MAX = 200, API_TEXT_MAX = 512, API_JSON_MAX = 48 * 1024 * 1024 };

struct api_call;
struct api_param;

struct api_route {
    const char *method, *path;      /* below /api/v1 */
    enum config_role role;          /* at least; CONFIG_ROLE_NONE: anybody, without a token */
    bool acts;                      /* not in read-only mode */
    const struct api_param *params; /* of the query; NULL-terminated by name */
    void (*begin)(struct api_call *c, struct http_server_call *http);
};

struct api_bound {
    struct api *api;
    const struct api_route *route;
};

struct api {
    struct loop *loop;
    const struct config *config;
    const struct log *log;
    struct asks *asks;
    struct collect *collect;
    struct registry *registry;
    struct redrives *redrives;
    struct access *access;
    struct http_server *server;
    struct arena *arena; /* paths of the dashboard's files */
    struct api_bound *bound;
    struct list calls, arrivals;
    uint64_t last_number;
    struct list watchers; /* calls that watch /events */
    struct loop_timer beat;
    struct api_stats stats;
    int64_t refusals_ms; /* when the minute of the recorded refusals began */
    struct {
        const char *why;
        int n;
    } refusals[API_REFUSALS]; /* recorded in it */
};

struct api_call {
    struct list_node node, watcher;
    struct api *api;
    const struct api_route *route;
    uint64_t number;
    uint64_t http;   /* ticket; 0: the client has gone */
    uint64_t acting; /* ticket of redrives_…; 0: none */
    uint64_t waiter; /* of the registry; 0: none */
    bool asking;     /* a question is out */
    bool streaming;  /* the head of its answer is sent */
    bool masked;     /* payloads are not for this caller */
    int tries;       /* of the same question, while a schema is being fetched */
    int64_t began_ms;
    struct loop_timer patience;
    struct arena *arena;
    struct who who;
    ask_run *run;
    void (*done)(struct api_call *c, struct answer *a);
    enum ask_lane lane;
    void (*drained)(struct api_call *c, struct http_server_call *http); /* of a stream; may be NULL */

    /* what is asked for */
    struct slice id;      /* of the path */
    struct slice key;     /* Idempotency-Key, or one that was made */
    struct slice request; /* "<key>/<digest of what is asked for>", or the key that was made */
    bool chosen, again;   /* the caller brought the key; it has come with this request before */
    struct letter_filter filter;
    struct group_filter groups;
    struct action_filter actions;
    struct task_filter tasks;
    enum store_order order;
    int64_t cursor, limit, count, from_ms, to_ms, step, cap;
    bool flag;  /* unfinished, unended, unsent */
    void *more; /* of the route's own, in the arena */
};

/* ---- api_guard.c */

enum door { DOOR_OPEN, DOOR_SHUT, DOOR_LATER };

/* Whether a call may come in, and who makes it. DOOR_SHUT: answered. DOOR_LATER: keys are being fetched; never for one that has
 * `waited`. */
enum door api_guard(struct api *api, const struct api_route *route, struct http_server_call *http, bool waited, struct who *who);
/* Answers a problem and says DOOR_SHUT. */
enum door api_refuse(struct api *api, struct http_server_call *http, int status, const char *code, const char *text);

/* ---- api_key.c */

/* Begins a call that may carry an Idempotency-Key. */
void api_begin_keyed(struct api_call *c, struct http_server_call *http);

/* ---- api_answer.c: each ends the call */

void api_answer_json(struct api_call *c, int status, struct slice body);
/* RFC 9457. `detail`: what happened and what to do. */
void api_problem(struct api_call *c, int status, const char *code, const char *detail);
/* By the error's class. */
void api_fail(struct api_call *c, struct error e);
/* Before there is a call, and for what no route takes. */
void api_problem_now(struct http_server_call *http, int status, const char *code, const char *detail);
void api_safe_headers(const struct api *api, struct http_server_call *http);
void api_end(struct api_call *c);

/* ---- api_ask.c */

/* Asks the index; `done` gets the answer on the loop, unless the client has gone. `run` gets the call by api_asker. */
void api_ask(struct api_call *c, enum ask_lane lane, ask_run *run, void (*done)(struct api_call *c, struct answer *a));
static inline struct api_call *api_asker(void *question) { return *(struct api_call **)question; }
/* A `done` that sends the answer's body as it is; an empty body: 404. */
void api_send_body(struct api_call *c, struct answer *a);
/* Asks the same question again when the schema is there, or nearly 3 s after the first time. False: it is too late for that. */
bool api_wait_schema(struct api_call *c, uint32_t schema_id);

/* ---- api_query.c */

enum api_kind {
    API_TEXT, /* up to `max` bytes */
    API_TIME,
    API_INT, /* `min` … `max` */
    API_FLAG,
    API_CURSOR,
    API_ORDER,
    API_GROUP_ORDER,
    API_FAMILY,
    API_STATUS, /* several; bits */
    API_TASK_STATUS,
};
struct api_param {
    const char *name; /* NULL: the end */
    enum api_kind kind;
    size_t at; /* in struct api_call */
    int64_t min, max;
};
extern const struct api_param api_letter_params[], api_filter_params[];
/* Reads the query by the route's params. False: answered with 400. */
bool api_read_query(struct api_call *c, struct http_server_call *http);
/* One value, copied. NULL, or what is wrong with it. */
const char *api_read_value(struct api_call *c, const struct api_param *p, struct slice value);
/* Value of "{name}" in the path, copied. False: answered. */
bool api_read_id(struct api_call *c, struct http_server_call *http, const char *name, size_t max);

/* ---- api_body.c */

/* The body as a JSON object whose members are all among `names` (NULL-terminated); NULL: answered. */
json_t *api_read_body(struct api_call *c, struct http_server_call *http, const char *const *names);
/* Text member, copied. False: answered. Absent and not needed: *to stays. */
bool api_body_text(struct api_call *c, const json_t *body, const char *name, size_t max, bool needed, struct slice *to);
bool api_body_int(struct api_call *c, const json_t *body, const char *name, int64_t min, int64_t max, int64_t *to);
bool api_body_flag(struct api_call *c, const json_t *body, const char *name, bool *to);
/* letters, group or filter: exactly one. `what`: which of them this route takes. */
enum { API_LETTERS = 1, API_GROUP = 2, API_FILTER = 4 };
struct api_selection {
    unsigned kind;
    const struct slice *letters;
    size_t nletters;
};
bool api_body_selection(struct api_call *c, const json_t *body, unsigned what, struct api_selection *s);
bool api_body_filter(struct api_call *c, const json_t *filter);

/* ---- api_put.c: JSON. Each member puts its own comma. */

void put_name(struct buf *b, const char *name);
void put_text(struct buf *b, const char *name, struct slice s);   /* absent: null */
void put_word(struct buf *b, const char *name, const char *word); /* NULL: null */
void put_int(struct buf *b, const char *name, int64_t v);
void put_known(struct buf *b, const char *name, int64_t v); /* negative: null */
void put_flag(struct buf *b, const char *name, bool v);
void put_time(struct buf *b, const char *name, int64_t ms); /* negative: null */
void put_next(struct buf *b, int64_t cursor);               /* 0: null */
void put_begin(struct buf *b, char bracket);                /* with a comma where one is due */
void put_letter(struct buf *b, const struct letter_row *row);
void put_group(struct buf *b, const struct group_row *g);
void put_by_status(struct buf *b, const char *name, const int64_t by_status[LETTER_STATUSES]);
void put_tallies(struct buf *b, const char *name, const struct tally *t, size_t n);
void put_trace_url(struct buf *b, const struct api *api, struct slice trace_id);
/* For bytes that are no UTF-8. */
void put_base64(struct buf *b, const char *name, struct slice bytes);

/* ---- Routes: api_read.c, api_letter.c, api_history.c, api_tasks.c, api_act.c, api_job.c, api_export.c, api_events.c */

void begin_overview(struct api_call *c, struct http_server_call *http);
void begin_letters(struct api_call *c, struct http_server_call *http);
void begin_letter(struct api_call *c, struct http_server_call *http);
void begin_value(struct api_call *c, struct http_server_call *http);
void begin_edit(struct api_call *c, struct http_server_call *http);
void begin_groups(struct api_call *c, struct http_server_call *http);
void begin_group(struct api_call *c, struct http_server_call *http);
void begin_actions(struct api_call *c, struct http_server_call *http);
void begin_act(struct api_call *c, struct http_server_call *http);
void begin_jobs(struct api_call *c, struct http_server_call *http);
void begin_redrive(struct api_call *c, struct http_server_call *http);
void begin_dry_run(struct api_call *c, struct http_server_call *http);
void begin_job(struct api_call *c, struct http_server_call *http);
void begin_job_letters(struct api_call *c, struct http_server_call *http);
void begin_pause(struct api_call *c, struct http_server_call *http);
void begin_resume(struct api_call *c, struct http_server_call *http);
void begin_cancel(struct api_call *c, struct http_server_call *http);
void begin_export(struct api_call *c, struct http_server_call *http);
void begin_tasks(struct api_call *c, struct http_server_call *http);
void begin_task(struct api_call *c, struct http_server_call *http);
void begin_events(struct api_call *c, struct http_server_call *http);
void begin_me(struct api_call *c, struct http_server_call *http);
void begin_openapi(struct api_call *c, struct http_server_call *http);
extern const struct api_route api_routes[];
extern const size_t api_route_count;

/* api_history.c: `run` for the job c->id names (result: its row, or NULL), and the answer of what changed it. */
ask_run api_run_job;
void api_send_job(struct api_call *c, bool folded);
/* api_events.c: the streams. */
void api_beat(void *api);
/* api_act.c: the action's members that every action has; `id` of the Idempotency-Key, or new. `what` tells apart the actions of
 * one request. */
struct action api_action(struct api_call *c, enum action_kind kind, struct slice what);
/* Writes that somebody was refused, unless too many were lately for this reason (a static text). */
void api_record_refusal(struct api *api, const struct who *who, struct http_server_call *http, const char *why);
/* api_files.c: the dashboard's files and "/". */
size_t api_file_routes(struct api *api, struct http_server_route *routes, size_t room);

#endif

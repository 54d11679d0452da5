/* The commands under `stepmill dlq` as clients of the review API: where it is, who asks, filters, calls and their errors. */
#ifndef CLI_DLQ_CLIENT_H
#define CLI_DLQ_CLIENT_H

#include <jansson.h>

#include "cli.h"
#include "stepmill/http_client.h"

/* What all these commands take. */
struct dlq_arguments {
    const char *url, *token, *ca_file, *certificate_file, *key_file;
    const char *topic, *dlq_topic, *agent, *class, *code, *stage, *group, *task, *session, *assigned, *job, *text, *family, *from,
        *to;
    struct cli_list status;
    const char *reason;
};

/* Rows for cli_usage: those of the connection, and those of a filter. `to`: room for DLQ_ARGUMENTS_MAX. Returns how many. */
enum { DLQ_CONNECTION_ARGUMENTS = 5, DLQ_FILTER_ARGUMENTS = 15, DLQ_ARGUMENTS_MAX = 32 };
size_t dlq_connection_arguments(struct dlq_arguments *a, struct cli_argument *to);
size_t dlq_filter_arguments(struct dlq_arguments *a, struct cli_argument *to);

struct dlq_client {
    struct cli *cli;
    struct config *config;
    struct loop *loop;
    struct http_client *http;
    struct http_endpoint *endpoint;
    const char *token;
    int status;   /* of the last answer */
    json_t *body; /* of the last answer; NULL: none, or no JSON */
    struct buf bytes;
    struct error error; /* why there was none */
    char failure[512];  /* the same in the words of who found it; "" */
    bool answered;
};

/* False: said why on stderr; nothing is left open. */
bool dlq_client_open(struct cli *cli, const struct dlq_arguments *a, struct dlq_client *c);
void dlq_client_close(struct dlq_client *c);

/* One call; `path` behind /api/v1, `body` is taken over, NULL: none. An Idempotency-Key goes with every POST, so it is tried
 * again when nobody knows whether it arrived. False: said why on stderr (the API's own words where it gave some). The answer is
 * in c->body (JSON) or c->bytes. */
bool dlq_client_call(struct dlq_client *c, const char *method, const char *path, json_t *body);
/* Its two halves, for who looks at the status first. */
void dlq_client_ask(struct dlq_client *c, const char *method, const char *path, json_t *body);
bool dlq_client_tell(struct dlq_client *c);

/* "a=b&c=d" of the filter, encoded; appended. */
void dlq_filter_query(const struct dlq_arguments *a, struct buf *to);
/* The same as the API's Filter; never NULL. */
json_t *dlq_filter_json(const struct dlq_arguments *a);
void dlq_put_encoded(struct buf *to, const char *text);

/* Ids from the plain words; "-": from stdin, one a line. NULL: said why on stderr. */
enum { DLQ_IDS_MAX = 500 };
json_t *dlq_read_ids(struct cli *cli);

/* A member's text, "" where it is null or of another type. */
const char *dlq_text(const json_t *object, const char *name);
int64_t dlq_number(const json_t *object, const char *name);
/* The last answer to stdout, as JSON. Returns an exit code. */
int dlq_print_json(struct dlq_client *c);

/* The subcommands. */
int cli_dlq_list(struct cli *cli, int argc, char **argv);
int cli_dlq_groups(struct cli *cli, int argc, char **argv);
int cli_dlq_show(struct cli *cli, int argc, char **argv);
int cli_dlq_act(struct cli *cli, int argc, char **argv); /* acknowledge, assign, note, park, unpark, discard, reopen */
int cli_dlq_redrive(struct cli *cli, int argc, char **argv);
int cli_dlq_edit(struct cli *cli, int argc, char **argv);
int cli_dlq_jobs(struct cli *cli, int argc, char **argv); /* jobs, pause, resume, cancel */
int cli_dlq_export(struct cli *cli, int argc, char **argv);

#endif

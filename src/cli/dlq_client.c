/* Calls of the review API for the commands under `stepmill dlq`. */
#include "dlq_client.h"

#include <stdlib.h>
#include <unistd.h>

#include "stepmill/clock.h"
#include "stepmill/random.h"

enum { CALL_MS = 30000, TRIES = 3, PAUSE_US = 500000, ANSWER_MAX = 256 * 1024 * 1024 };

/* ---- Arguments */

size_t dlq_connection_arguments(struct dlq_arguments *a, struct cli_argument *to)
{
    size_t n = 0;

    to[n++] = (struct cli_argument){
        "url", 0, CLI_TEXT, &a->url, "URL", "of the processor (default: dlq.public_url, or dlq.listen)", 0, 0};
    to[n++] = (struct cli_argument){
        "token", 0, CLI_TEXT, &a->token, "TOKEN", "who you are; better in the environment as STEPMILL_DLQ_TOKEN", 0, 0};
    to[n++] = (struct cli_argument){
        "ca-file", 0, CLI_TEXT, &a->ca_file, "FILE", "authorities of the processor's certificate (default: the system's)", 0, 0};
    to[n++] = (struct cli_argument){"certificate-file",
                                    0,
                                    CLI_TEXT,
                                    &a->certificate_file,
                                    "FILE",
                                    "client certificate, where dlq.tls.ca_file wants one",
                                    0,
                                    0};
    to[n++] = (struct cli_argument){"key-file", 0, CLI_TEXT, &a->key_file, "FILE", "its key (default: in the certificate's file)",
                                    0,          0};
    return n;
}

static const struct {
    const char *name, *query, *value, *help;
    size_t at;
} filters[] = {
    {"topic", "topic", "TOPIC", "that the record failed in", offsetof(struct dlq_arguments, topic)},
    {"dlq-topic", "dlq_topic", "TOPIC", "that the letter lies in", offsetof(struct dlq_arguments, dlq_topic)},
    {"agent", "agent", "AGENT", "whose task it was", offsetof(struct dlq_arguments, agent)},
    {"class", "class", "CLASS", "of the error", offsetof(struct dlq_arguments, class)},
    {"code", "code", "CODE", "of the error", offsetof(struct dlq_arguments, code)},
    {"stage", "stage", "STAGE", "where it failed", offsetof(struct dlq_arguments, stage)},
    {"group", "group", "FINGERPRINT", "letters of one cause", offsetof(struct dlq_arguments, group)},
    {"task", "task_id", "ID", "letters of a task", offsetof(struct dlq_arguments, task)},
    {"session", "session_id", "ID", "letters of a session", offsetof(struct dlq_arguments, session)},
    {"assigned", "assigned", "NAME", "to whom", offsetof(struct dlq_arguments, assigned)},
    {"job", "job", "ID", "letters of a redrive job", offsetof(struct dlq_arguments, job)},
    {"text", "text", "WORDS", "that all occur in message, ids or names", offsetof(struct dlq_arguments, text)},
    {"family", "family", "NAME", "who wrote it: stepmill, kafka, connect, spring, streams, plain",
     offsetof(struct dlq_arguments, family)},
    {"from", "from", "TIME", "failed at or after: RFC 3339, or a duration ago such as 2h", offsetof(struct dlq_arguments, from)},
    {"to", "to", "TIME", "failed before", offsetof(struct dlq_arguments, to)},
};
enum { FILTERS = sizeof filters / sizeof *filters };

size_t dlq_filter_arguments(struct dlq_arguments *a, struct cli_argument *to)
{
    size_t n = 0;

    for (; n < FILTERS; n++)
        to[n] = (struct cli_argument){filters[n].name, 0, CLI_TEXT, (char *)a + filters[n].at, filters[n].value,
                                      filters[n].help, 0, 0};
    to[n++] = (struct cli_argument){
        "status", 0, CLI_LIST, &a->status, "STATUS", "open, acknowledged, parked, …; may be given several times", 0, 0};
    return n;
}

static const char *filter_value(const struct dlq_arguments *a, size_t i)
{
    return *(const char *const *)(const void *)((const char *)a + filters[i].at);
}

void dlq_put_encoded(struct buf *to, const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || strchr("-._~", c))
            buf_put_byte(to, (char)c);
        else
            buf_printf(to, "%%%02X", c);
    }
}

void dlq_filter_query(const struct dlq_arguments *a, struct buf *to)
{
    for (size_t i = 0; i < FILTERS; i++)
        if (filter_value(a, i)) {
            buf_printf(to, "&%s=", filters[i].query);
            dlq_put_encoded(to, filter_value(a, i));
        }
    for (size_t i = 0; i < a->status.count; i++) {
        buf_put_text(to, "&status=");
        dlq_put_encoded(to, a->status.items[i]);
    }
}

json_t *dlq_filter_json(const struct dlq_arguments *a)
{
    json_t *filter = json_object(), *statuses = json_array();

    for (size_t i = 0; i < FILTERS; i++)
        if (filter_value(a, i))
            json_object_set_new(filter, filters[i].query, json_string(filter_value(a, i)));
    for (size_t i = 0; i < a->status.count; i++)
        json_array_append_new(statuses, json_string(a->status.items[i]));
    if (a->status.count)
        json_object_set(filter, "status", statuses);
    json_decref(statuses);
    return filter;
}

json_t *dlq_read_ids(struct cli *cli)
{
    json_t *ids = json_array();
    char line[1024];

    if (cli->nrest == 1 && !strcmp(cli->rest[0], "-")) {
        while (fgets(line, sizeof line, stdin)) {
            line[strcspn(line, "\r\n")] = '\0';
            if (line[0])
                json_array_append_new(ids, json_string(line));
        }
    } else {
        for (int i = 0; i < cli->nrest; i++)
            json_array_append_new(ids, json_string(cli->rest[i]));
    }
    if (json_array_size(ids) <= DLQ_IDS_MAX)
        return ids;
    json_decref(ids);
    (void)cli_misuse(cli, "at most %d letters at once; for more use a filter", DLQ_IDS_MAX);
    return NULL;
}

/* ---- The link */

static void base_url(const struct config *config, const struct dlq_arguments *a, struct buf *to)
{
    const char *listen = config->dlq.listen;
    struct slice host = slice_of(listen);

    if (a->url || config->dlq.public_url) {
        buf_put_text(to, a->url ? a->url : config->dlq.public_url);
        while (to->len && to->at[to->len - 1] == '/')
            to->len--;
    } else {
        buf_put_text(to, config->dlq.tls.certificate_file ? "https://" : "http://");
        buf_put_text(to, host.len && host.at[0] == ':' ? "127.0.0.1" : "");
        buf_put_text(to, listen);
    }
    buf_put_text(to, "/api/v1");
}

static struct error make_endpoint(struct dlq_client *c, const struct dlq_arguments *a, const char *url)
{
    if ((a->ca_file || a->certificate_file || a->key_file) && strncmp(url, "https://", strlen("https://")) != 0)
        return error_make(CLASS_CONFIG, "no_tls", "files of certificates have no effect unless the URL begins with https://");
    if (a->key_file && !a->certificate_file)
        return error_make(CLASS_CONFIG, "no_certificate", "--key-file needs --certificate-file");
    return http_endpoint_new(c->http,
                             &(struct http_endpoint_options){
                                 .url = url, .ca_file = a->ca_file, .cert_file = a->certificate_file, .key_file = a->key_file},
                             &c->endpoint);
}

bool dlq_client_open(struct cli *cli, const struct dlq_arguments *a, struct dlq_client *c)
{
    struct buf url = BUF(4096);
    struct error error;

    *c = (struct dlq_client){.cli = cli, .config = cli_config_load(cli, 0), .bytes = BUF(ANSWER_MAX)};
    if (!c->config)
        return false;
    if (cli->log.level < LOG_LEVEL_WARN)
        cli->log.level = LOG_LEVEL_WARN;
    c->token = a->token ? a->token : getenv("STEPMILL_DLQ_TOKEN");
    c->loop = loop_new();
    base_url(c->config, a, &url);
    error = c->loop ? http_client_new(c->loop, &cli->log, &(struct http_client_options){0}, &c->http)
                    : error_make(CLASS_INTERNAL, "no_loop", "no event loop: out of memory or file descriptors");
    if (!failed(error))
        error = make_endpoint(c, a, buf_text(&url));
    if (failed(error)) {
        cli_fail(cli, "%s: %s (%s)", buf_text(&url), error.text, error.code);
        dlq_client_close(c);
    }
    buf_free(&url);
    return !failed(error);
}

void dlq_client_close(struct dlq_client *c)
{
    json_decref(c->body);
    http_client_free(c->http);
    loop_free(c->loop);
    config_free(c->config);
    buf_free(&c->bytes);
    *c = (struct dlq_client){.cli = c->cli};
}

/* ---- Calls */

static void on_answer(void *ctx, const struct http_answer *answer)
{
    struct dlq_client *c = ctx;

    c->answered = true;
    c->error = answer->error;
    c->status = failed(answer->error) ? 0 : answer->status;
    snprintf(c->failure, sizeof c->failure, "%s", failed(answer->error) ? answer->detail : "");
    buf_put_slice(&c->bytes, answer->body);
    c->body = json_loadb(answer->body.at ? answer->body.at : "", answer->body.len, JSON_REJECT_DUPLICATES, NULL);
}

static void call_once(struct dlq_client *c, const char *method, const char *path, struct slice body, const char *key)
{
    char bearer[8300];
    struct http_header headers[4];
    size_t n = 0;

    json_decref(c->body);
    c->body = NULL;
    buf_clear(&c->bytes);
    c->answered = false;
    if (c->token && strlen(c->token) < sizeof bearer - 8) {
        snprintf(bearer, sizeof bearer, "Bearer %s", c->token);
        headers[n++] = (struct http_header){SLICE("Authorization"), slice_of(bearer)};
    }
    if (body.at) {
        headers[n++] = (struct http_header){SLICE("Content-Type"), SLICE("application/json")};
        headers[n++] = (struct http_header){SLICE("Idempotency-Key"), slice_of(key)};
    }
    (void)http_send(c->endpoint, &(struct http_request){.method = method,
                                                        .path = slice_of(path),
                                                        .headers = headers,
                                                        .header_count = n,
                                                        .body = &body,
                                                        .body_parts = body.at ? 1 : 0,
                                                        .timeout_ms = CALL_MS,
                                                        .max_body = ANSWER_MAX,
                                                        .done = on_answer,
                                                        .ctx = c});
    while (!c->answered)
        loop_turn(c->loop, true);
}

/* It runs, and one side does not trust the other. That a client certificate is missing comes as an alert behind the handshake. */
static bool is_mistrust(const struct dlq_client *c)
{
    return !strncmp(c->error.code, "tls_", 4) || strstr(c->failure, " alert ");
}

bool dlq_client_tell(struct dlq_client *c)
{
    if (c->status >= 200 && c->status < 300)
        return true;
    if (!c->status && is_mistrust(c))
        cli_fail(c->cli, "no trust between us and the processor: %s; --ca-file, --certificate-file and --key-file name the files",
                 c->failure);
    else if (!c->status)
        cli_fail(c->cli, "the processor does not answer: %s; is `stepmill dlq serve` running, and --url right?", c->failure);
    else if (c->status == 401)
        cli_fail(c->cli, "%s (set STEPMILL_DLQ_TOKEN)", c->body ? dlq_text(c->body, "detail") : "who are you?");
    else
        cli_fail(c->cli, "%s (%s, status %d)", c->body ? dlq_text(c->body, "detail") : "no reason given",
                 c->body ? dlq_text(c->body, "code") : "?", c->status);
    return false;
}

/* Nobody knows whether it was done, or it is being done: the same key tells. Mistrust is the same a moment later. */
static bool is_open(const struct dlq_client *c)
{
    return (!c->status && !is_mistrust(c)) || c->status == 502 || c->status == 503 || c->status == 504 ||
           (c->status == 409 && c->body && !strcmp(dlq_text(c->body, "code"), "key_in_use"));
}

void dlq_client_ask(struct dlq_client *c, const char *method, const char *path, json_t *body)
{
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    char key[37];

    random_uuid7(key, clock_wall_ms());
    for (int i = 0; i < TRIES; i++) {
        if (i)
            usleep(PAUSE_US);
        call_once(c, method, path, text ? slice_of(text) : (struct slice){NULL, 0}, key);
        if (!is_open(c))
            break;
    }
    free(text);
    json_decref(body);
}

bool dlq_client_call(struct dlq_client *c, const char *method, const char *path, json_t *body)
{
    dlq_client_ask(c, method, path, body);
    return dlq_client_tell(c);
}

/* ---- What came */

const char *dlq_text(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text ? text : "";
}

int64_t dlq_number(const json_t *object, const char *name) { return json_integer_value(json_object_get(object, name)); }

int dlq_print_json(struct dlq_client *c)
{
    bool fine = fwrite(c->bytes.at ? c->bytes.at : "", 1, c->bytes.len, stdout) == c->bytes.len && putchar('\n') == '\n' &&
                !fflush(stdout);

    return fine ? CLI_OK : cli_fail(c->cli, "cannot write the output");
}

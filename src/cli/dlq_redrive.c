/* stepmill dlq redrive, edit: sending letters back. */
#include <stdlib.h>
#include <unistd.h>

#include "dlq_client.h"

enum { WATCH_US = 500000, UNSEEN_MAX = 240, FILE_MAX = 16 * 1024 * 1024 };

/* ---- Redrive */

struct redrive_arguments {
    struct dlq_arguments a;
    int64_t cap, rate, canary;
    bool from_start, dry_run, all, wait;
};

/* What is asked for, without reason and pace: the body of a dry run. NULL: said why. */
static json_t *selection(struct cli *cli, struct redrive_arguments *r)
{
    json_t *filter = dlq_filter_json(&r->a), *body = json_object(), *ids;
    bool by_filter = json_object_size(filter) > 0;

    if ((cli->nrest > 0) + by_filter + r->all != 1) {
        json_decref(filter);
        json_decref(body);
        (void)cli_misuse(cli, "which letters? Name ids, or a filter, or --all");
        return NULL;
    }
    if (cli->nrest) {
        ids = dlq_read_ids(cli);
        json_object_set_new(body, "letters", ids ? ids : json_null());
        if (!ids) {
            json_decref(body);
            body = NULL;
        }
    } else {
        json_object_set(body, "filter", filter);
    }
    json_decref(filter);
    if (body && r->cap)
        json_object_set_new(body, "cap", json_integer(r->cap));
    return body;
}

static void tell_dry_run(const json_t *found)
{
    const json_t *reasons = json_object_get(found, "ineligible");

    fprintf(stderr, "%lld of %lld letters can be sent back%s\n", (long long)dlq_number(found, "eligible"),
            (long long)dlq_number(found, "selected"),
            json_is_true(json_object_get(found, "more")) ? " (the cap ends it there)" : "");
    for (size_t i = 0; i < json_array_size(reasons); i++) {
        const json_t *x = json_array_get(reasons, i);

        fprintf(stderr, "  %lld not: %s  e.g. %s\n", (long long)dlq_number(x, "n"), dlq_text(x, "text"), dlq_text(x, "example"));
    }
}

static bool has_ended(const json_t *job)
{
    const char *state = dlq_text(job, "state");

    return !strcmp(state, "finished") || !strcmp(state, "cancelled");
}

/* The job as it is now. Written with 202 it may not be seen for a while: the processor reads its own record first. */
static bool look_at(struct dlq_client *c, const char *path)
{
    for (int unseen = 0;; unseen++) {
        usleep(WATCH_US);
        dlq_client_ask(c, "GET", path, NULL);
        if (c->status != 404 || unseen == UNSEEN_MAX)
            return dlq_client_tell(c);
    }
}

/* Until all is sent; a job that pauses itself (canary) ends the wait too. */
static int watch(struct dlq_client *c, const char *id)
{
    struct cli_progress p = cli_progress_start("sent", -1);
    struct buf path = BUF(256);
    const json_t *job;
    bool paused;

    buf_printf(&path, "/redrives/%s", id);
    do {
        if (!look_at(c, buf_text(&path))) {
            buf_free(&path);
            return CLI_FAILED;
        }
        job = c->body;
        paused = !strcmp(dlq_text(job, "state"), "paused");
        p.total = dlq_number(job, "selected");
        cli_progress_show(&p, dlq_number(job, "sent"));
    } while (!has_ended(job) && !paused);
    cli_progress_end(&p, dlq_number(job, "sent"));
    buf_free(&path);
    if (c->cli->json && dlq_print_json(c) != CLI_OK)
        return CLI_FAILED;
    if (!c->cli->json)
        printf("%s: %s, %lld of %lld sent, %lld completed, %lld failed again\n", id, dlq_text(job, "state"),
               (long long)dlq_number(job, "sent"), (long long)dlq_number(job, "selected"),
               (long long)dlq_number(job, "completed"), (long long)dlq_number(job, "failed_again"));
    return paused || dlq_number(job, "sent") < dlq_number(job, "selected") ? CLI_FOUND : CLI_OK;
}

static int start_job(struct dlq_client *c, const struct redrive_arguments *r, json_t *body)
{
    char id[64];

    json_object_set_new(body, "reason", json_string(r->a.reason));
    if (r->from_start)
        json_object_set_new(body, "from_start", json_true());
    if (r->rate)
        json_object_set_new(body, "rate", json_integer(r->rate));
    if (r->canary)
        json_object_set_new(body, "canary", json_integer(r->canary));
    if (!dlq_client_call(c, "POST", "/redrives", body))
        return CLI_FAILED;
    snprintf(id, sizeof id, "%s", dlq_text(c->body, "id"));
    if (c->cli->json && !r->wait)
        return dlq_print_json(c);
    if (r->wait)
        return watch(c, id);
    printf("%s\n", id);
    return CLI_OK;
}

static int redrive(struct dlq_client *c, const struct redrive_arguments *r, json_t *body)
{
    if (!dlq_client_call(c, "POST", "/redrives/dry-run", json_incref(body))) {
        json_decref(body);
        return CLI_FAILED;
    }
    if (!c->cli->json)
        tell_dry_run(c->body);
    if (r->dry_run || !dlq_number(c->body, "eligible")) {
        json_decref(body);
        if (c->cli->json && dlq_print_json(c) != CLI_OK)
            return CLI_FAILED;
        return r->dry_run ? CLI_OK : CLI_FOUND;
    }
    return start_job(c, r, body);
}

int cli_dlq_redrive(struct cli *cli, int argc, char **argv)
{
    struct redrive_arguments r = {0};
    struct cli_argument arguments[DLQ_ARGUMENTS_MAX];
    size_t n = dlq_connection_arguments(&r.a, arguments);
    struct cli_usage usage = {
        .synopsis = "dlq redrive ID… | - | FILTER | --all --reason TEXT [--dry-run]",
        .about =
            "Sends letters back to the topics they came from: first says how many can go and why not the others, then starts "
            "a job and prints its id. Steps that a task has paid for are not paid again, unless --from-start.\n"
            "Exit 3: no letter can go, or (--wait) not all went.\n"
            "--json prints the job (with --wait as it ended), or what the dry run found where no job was started.",
        .arguments = arguments,
        .words_max = DLQ_IDS_MAX,
        .examples = "stepmill dlq redrive --group 0123456789abcdef --reason 'model is back' --canary 5 --wait\n"
                    "stepmill dlq redrive --agent search --status open --dry-run\n"};
    struct dlq_client c;
    json_t *body;
    int code;

    n += dlq_filter_arguments(&r.a, arguments + n);
    arguments[n++] = (struct cli_argument){"all", 0, CLI_FLAG, &r.all, NULL, "every letter", 0, 0};
    arguments[n++] = (struct cli_argument){"reason", 0, CLI_TEXT, &r.a.reason, "TEXT", "why; kept with the job", 0, 0};
    arguments[n++] = (struct cli_argument){"dry-run", 'n', CLI_FLAG, &r.dry_run, NULL, "only say what would go", 0, 0};
    arguments[n++] = (struct cli_argument){"cap", 0, CLI_INT, &r.cap, "N", "at most so many letters", 1, 10000000};
    arguments[n++] = (struct cli_argument){"rate", 0, CLI_INT, &r.rate, "N", "letters a second", 1, 100000};
    arguments[n++] = (struct cli_argument){
        "canary", 0, CLI_INT, &r.canary, "N", "so many first; the rest when all of them completed", 0, 1000};
    arguments[n++] =
        (struct cli_argument){"from-start", 0, CLI_FLAG, &r.from_start, NULL, "forget the steps that are paid for", 0, 0};
    arguments[n++] = (struct cli_argument){"wait", 0, CLI_FLAG, &r.wait, NULL, "until the job has ended", 0, 0};
    usage.narguments = n;
    if (!cli_parse(cli, &usage, argc, argv, &code))
        return code;
    if (!r.a.reason && !r.dry_run)
        return cli_misuse(cli, "why? --reason is kept with the job");
    body = selection(cli, &r);
    if (!body)
        return CLI_USAGE;
    if (!dlq_client_open(cli, &r.a, &c)) {
        json_decref(body);
        return CLI_FAILED;
    }
    code = redrive(&c, &r, body);
    dlq_client_close(&c);
    return code;
}

/* ---- Edit */

static bool read_all(const char *path, struct buf *to)
{
    FILE *f = strcmp(path, "-") ? fopen(path, "rb") : stdin;
    char piece[65536];
    size_t n;
    bool fine;

    if (!f)
        return false;
    while ((n = fread(piece, 1, sizeof piece, f)) > 0)
        buf_put(to, piece, n);
    fine = !ferror(f) && !to->failed;
    if (f != stdin)
        fclose(f);
    return fine;
}

int cli_dlq_edit(struct cli *cli, int argc, char **argv)
{
    struct dlq_arguments a = {0};
    struct cli_argument arguments[DLQ_ARGUMENTS_MAX];
    const char *file = "-";
    size_t n = dlq_connection_arguments(&a, arguments);
    struct cli_usage usage = {.synopsis = "dlq edit ID --file TASK.json --reason TEXT",
                              .about =
                                  "Sends a changed copy of a letter's task as a new task (the whole task as JSON); the letter "
                                  "keeps its record. Prints the new task_id.",
                              .arguments = arguments,
                              .words_min = 1,
                              .words_max = 1};
    struct buf text = BUF(FILE_MAX), path = BUF(4096);
    struct dlq_client c;
    json_t *value;
    int code;

    arguments[n++] = (struct cli_argument){"file", 'f', CLI_TEXT, &file, "FILE", "the task; - is stdin", 0, 0};
    arguments[n++] = (struct cli_argument){"reason", 0, CLI_TEXT, &a.reason, "TEXT", "why; kept with the action", 0, 0};
    usage.narguments = n;
    if (!cli_parse(cli, &usage, argc, argv, &code))
        return code;
    if (!a.reason)
        return cli_misuse(cli, "why? --reason is kept with the action");
    value = read_all(file, &text) ? json_loadb(text.at ? text.at : "", text.len, JSON_REJECT_DUPLICATES, NULL) : NULL;
    buf_free(&text);
    if (!json_is_object(value)) {
        json_decref(value);
        return cli_fail(cli, "%s is no JSON object, or cannot be read", file);
    }
    if (!dlq_client_open(cli, &a, &c)) {
        json_decref(value);
        return CLI_FAILED;
    }
    buf_put_text(&path, "/letters/");
    dlq_put_encoded(&path, cli->rest[0]);
    buf_put_text(&path, "/edit");
    code = dlq_client_call(&c, "POST", buf_text(&path), json_pack("{s:o, s:s}", "value", value, "reason", a.reason)) ? CLI_OK
                                                                                                                     : CLI_FAILED;
    buf_free(&path);
    if (code == CLI_OK && cli->json)
        code = dlq_print_json(&c);
    else if (code == CLI_OK)
        printf("%s\n", dlq_text(c.body, "task_id"));
    dlq_client_close(&c);
    return code;
}

/* stepmill dlq acknowledge, assign, note, park, unpark, discard, reopen; jobs, pause, resume, cancel: deciding. */
#include "dlq_client.h"

/* ---- One decision about letters or a group */

static const struct {
    const char *word, *kind;
} decisions[] = {
    {"acknowledge", "acknowledged"}, {"assign", "assigned"},   {"note", "noted"},      {"park", "parked"},
    {"unpark", "unparked"},          {"discard", "discarded"}, {"reopen", "reopened"},
};

static const char *kind_of(const char *word)
{
    for (size_t i = 0; i < sizeof decisions / sizeof *decisions; i++)
        if (!strcmp(word, decisions[i].word))
            return decisions[i].kind;
    return "";
}

static int tell_decision(struct dlq_client *c, const char *kind)
{
    if (c->cli->json)
        return dlq_print_json(c);
    printf("%zu %s%s\n", json_array_size(json_object_get(c->body, "actions")), kind,
           json_is_true(json_object_get(c->body, "folded")) ? "" : "; written, the index shows it soon");
    return CLI_OK;
}

int cli_dlq_act(struct cli *cli, int argc, char **argv)
{
    struct dlq_arguments a = {0};
    struct cli_argument arguments[DLQ_ARGUMENTS_MAX];
    const char *to = NULL, *text = NULL, *kind = kind_of(argv[0]);
    size_t n = dlq_connection_arguments(&a, arguments);
    struct cli_usage usage = {.synopsis = "dlq acknowledge|assign|note|park|unpark|discard|reopen ID… | - | --group FINGERPRINT",
                              .about =
                                  "Records what you decide about letters: those named, those named on stdin (-), or all "
                                  "unfinished ones of a group. discard needs --reason; assign takes --to, note takes --text.",
                              .arguments = arguments,
                              .words_max = DLQ_IDS_MAX,
                              .examples = "stepmill dlq discard agent.tasks.search:3:17 --reason 'test data'\n"
                                          "stepmill dlq assign --to ann --group 0123456789abcdef\n"};
    struct dlq_client c;
    json_t *ids, *body;
    int code;

    arguments[n++] =
        (struct cli_argument){"group", 0, CLI_TEXT, &a.group, "FINGERPRINT", "all unfinished letters of a cause", 0, 0};
    arguments[n++] = (struct cli_argument){"reason", 0, CLI_TEXT, &a.reason, "TEXT", "why; kept with the action", 0, 0};
    arguments[n++] = (struct cli_argument){"to", 0, CLI_TEXT, &to, "NAME", "assign: to whom; empty: to nobody", 0, 0};
    arguments[n++] = (struct cli_argument){"text", 0, CLI_TEXT, &text, "TEXT", "note: what it says", 0, 0};
    usage.narguments = n;
    if (!cli_parse(cli, &usage, argc, argv, &code))
        return code;
    if (!a.group == !cli->nrest)
        return cli_misuse(cli, "which letters? Name ids, or a group");
    ids = a.group ? json_null() : dlq_read_ids(cli);
    if (!ids)
        return CLI_USAGE;
    if (!dlq_client_open(cli, &a, &c)) {
        json_decref(ids);
        return CLI_FAILED;
    }
    body = json_pack("{s:s}", "kind", kind);
    if (a.group)
        json_object_set_new(body, "group", json_string(a.group));
    else
        json_object_set(body, "letters", ids);
    if (a.reason)
        json_object_set_new(body, "reason", json_string(a.reason));
    if (text)
        json_object_set_new(body, "note", json_string(text));
    if (to || !strcmp(kind, "assigned"))
        json_object_set_new(body, "assignee", json_string(to ? to : ""));
    json_decref(ids);
    code = dlq_client_call(&c, "POST", "/actions", body) ? tell_decision(&c, kind) : CLI_FAILED;
    dlq_client_close(&c);
    return code;
}

/* ---- Jobs */

static void put_job(const json_t *j)
{
    printf("%s  %-9s  %.19s  %lld of %lld sent, %lld completed, %lld failed again  %s: %s\n", dlq_text(j, "id"),
           dlq_text(j, "state"), dlq_text(j, "requested_at"), (long long)dlq_number(j, "sent"),
           (long long)dlq_number(j, "selected"), (long long)dlq_number(j, "completed"), (long long)dlq_number(j, "failed_again"),
           dlq_text(j, "actor"), dlq_text(j, "reason"));
}

static int look_at_jobs(struct dlq_client *c, const char *id)
{
    struct buf path = BUF(512);
    const json_t *items;
    bool fine;

    buf_put_text(&path, id ? "/redrives/" : "/redrives?limit=50");
    if (id)
        dlq_put_encoded(&path, id);
    fine = dlq_client_call(c, "GET", buf_text(&path), NULL);
    buf_free(&path);
    if (!fine)
        return CLI_FAILED;
    if (c->cli->json)
        return dlq_print_json(c);
    items = json_object_get(c->body, "items");
    if (id)
        put_job(c->body);
    for (size_t i = 0; !id && i < json_array_size(items); i++)
        put_job(json_array_get(items, i));
    return CLI_OK;
}

static int change_job(struct dlq_client *c, const char *word, const char *id, const char *reason)
{
    struct buf path = BUF(512);
    json_t *body = json_object();
    bool fine;

    if (reason)
        json_object_set_new(body, "reason", json_string(reason));
    buf_put_text(&path, "/redrives/");
    dlq_put_encoded(&path, id);
    buf_printf(&path, "/%s", word);
    fine = dlq_client_call(c, "POST", buf_text(&path), body);
    buf_free(&path);
    if (!fine)
        return CLI_FAILED;
    if (c->cli->json)
        return dlq_print_json(c);
    if (json_is_object(json_object_get(c->body, "job")))
        put_job(json_object_get(c->body, "job"));
    return CLI_OK;
}

int cli_dlq_jobs(struct cli *cli, int argc, char **argv)
{
    bool look = !strcmp(argv[0], "jobs");
    const char *word = argv[0];
    struct dlq_arguments a = {0};
    struct cli_argument arguments[DLQ_ARGUMENTS_MAX];
    size_t n = dlq_connection_arguments(&a, arguments);
    struct cli_usage usage = {.synopsis = "dlq jobs [ID] | pause ID | resume ID | cancel ID",
                              .about =
                                  "Redrive jobs: how far they are; pause one, let it go on, end it. What was sent stays sent.",
                              .arguments = arguments,
                              .words_min = look ? 0 : 1,
                              .words_max = 1};
    struct dlq_client c;
    int code;

    arguments[n++] = (struct cli_argument){"reason", 0, CLI_TEXT, &a.reason, "TEXT", "why; kept with the action", 0, 0};
    usage.narguments = n;
    if (!cli_parse(cli, &usage, argc, argv, &code))
        return code;
    if (!dlq_client_open(cli, &a, &c))
        return CLI_FAILED;
    code = look ? look_at_jobs(&c, cli->nrest ? cli->rest[0] : NULL) : change_job(&c, word, cli->rest[0], a.reason);
    dlq_client_close(&c);
    return code;
}

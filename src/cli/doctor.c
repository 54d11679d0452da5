/* stepmill doctor: the frame, and what this process is allowed. */
#include "doctor.h"

#include <stdarg.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "stepmill/json.h"

enum { OUTPUT_MAX = 16 * 1024 * 1024, FILES_RESERVED = 128 };

static const char *const verdicts[] = {"ok", "warning", "problem"};

/* ---- Findings */

void doctor_say(struct doctor *d, enum verdict verdict, const char *area, const char *format, ...)
{
    struct finding *f;
    va_list args;

    if (d->count == d->room) {
        size_t room = d->room ? d->room * 2 : 64;

        f = realloc(d->findings, room * sizeof *f);
        if (!f) {
            d->no_memory = true;
            return;
        }
        d->findings = f;
        d->room = room;
    }
    f = &d->findings[d->count++];
    *f = (struct finding){.verdict = verdict, .area = area};
    va_start(args, format);
    vsnprintf(f->what, sizeof f->what, format, args);
    va_end(args);
}

void doctor_todo(struct doctor *d, const char *format, ...)
{
    va_list args;

    if (!d->count)
        return;
    va_start(args, format);
    vsnprintf(d->findings[d->count - 1].todo, sizeof d->findings[0].todo, format, args);
    va_end(args);
}

/* ---- This machine */

static void try_limits(struct doctor *d)
{
    int64_t wanted = FILES_RESERVED;
    struct rlimit files;

    for (size_t i = 0; i < d->config->nagents; i++)
        wanted += d->config->agents[i].max_in_flight;
    wanted = wanted * 4 / 3;
    if (getrlimit(RLIMIT_NOFILE, &files))
        return;
    if (files.rlim_max == RLIM_INFINITY || (int64_t)files.rlim_max >= wanted) {
        doctor_say(d, DOCTOR_FINE, "limits", "open files: enough for max_in_flight of all agents");
        return;
    }
    doctor_say(d, DOCTOR_WARNING, "limits",
               "open files: at most %lld, all agents' max_in_flight needs %lld; workers run fewer tasks",
               (long long)files.rlim_max, (long long)wanted);
    doctor_todo(d, "raise it (ulimit -Hn, LimitNOFILE= of systemd), or lower max_in_flight");
}

/* ---- Output */

static size_t count_of(const struct doctor *d, enum verdict verdict)
{
    size_t n = 0;

    for (size_t i = 0; i < d->count; i++)
        n += d->findings[i].verdict == verdict;
    return n;
}

static void put_json(const struct doctor *d, struct buf *out)
{
    buf_printf(out, "{\"problems\": %zu, \"warnings\": %zu, \"checks\": [", count_of(d, DOCTOR_PROBLEM),
               count_of(d, DOCTOR_WARNING));
    for (size_t i = 0; i < d->count; i++) {
        const struct finding *f = &d->findings[i];

        buf_printf(out, "%s\n {\"area\": \"%s\", \"verdict\": \"%s\", \"what\": ", i ? "," : "", f->area, verdicts[f->verdict]);
        json_put_string(out, slice_of(f->what));
        buf_put_text(out, ", \"todo\": ");
        json_put_string(out, slice_of(f->todo));
        buf_put_byte(out, '}');
    }
    buf_put_text(out, "]}\n");
}

/* Findings can quote a server: nothing of that may steer the terminal. */
static void put_plain(const char *text, struct buf *out)
{
    for (; *text; text++)
        buf_put_byte(out, (unsigned char)*text < ' ' || *text == 127 ? ' ' : *text);
}

static void put_text(const struct doctor *d, struct buf *out)
{
    for (size_t i = 0; i < d->count; i++) {
        const struct finding *f = &d->findings[i];

        buf_printf(out, "%-8s %-9s ", f->verdict == DOCTOR_PROBLEM ? "PROBLEM" : verdicts[f->verdict], f->area);
        put_plain(f->what, out);
        buf_put_byte(out, '\n');
        if (!f->todo[0])
            continue;
        buf_printf(out, "%-18s to do: ", "");
        put_plain(f->todo, out);
        buf_put_byte(out, '\n');
    }
    buf_printf(out, "%zu checks, %zu warnings, %zu problems\n", d->count, count_of(d, DOCTOR_WARNING),
               count_of(d, DOCTOR_PROBLEM));
}

static int finish(struct doctor *d)
{
    struct buf out = BUF(OUTPUT_MAX);
    bool written;

    if (d->cli->json)
        put_json(d, &out);
    else
        put_text(d, &out);
    written = !out.failed && fwrite(out.at, 1, out.len, stdout) == out.len && !fflush(stdout);
    buf_free(&out);
    if (!written || d->no_memory)
        return cli_fail(d->cli, "%s", written ? "no memory left" : "cannot write the output");
    return count_of(d, DOCTOR_PROBLEM) ? CLI_FOUND : CLI_OK;
}

static int run(struct doctor *d)
{
    void (*const parts[])(struct doctor *) = {doctor_kafka, doctor_transactions, doctor_registry,
                                              doctor_redis, doctor_http,         try_limits};
    enum { PARTS = sizeof parts / sizeof *parts };
    struct cli_progress progress = cli_progress_start("parts tried", PARTS);
    struct error error;

    d->loop = loop_new();
    if (!d->loop)
        return cli_fail(d->cli, "no event loop: out of memory or file descriptors");
    error = http_client_new(d->loop, &d->cli->log, &(struct http_client_options){0}, &d->http);
    if (failed(error))
        return cli_fail(d->cli, "%s", error.text);
    d->cli->log.level = LOG_LEVEL_ERROR; /* what goes wrong becomes a finding */
    for (int i = 0; i < PARTS; i++) {
        cli_progress_show(&progress, i);
        parts[i](d);
    }
    cli_progress_end(&progress, PARTS);
    return finish(d);
}

int cli_doctor(struct cli *cli, int argc, char **argv)
{
    static const struct cli_usage usage = {
        .synopsis = "doctor [--json]",
        .about =
            "Tries everything a worker with this config needs: brokers, topics and their settings, the group, transactions,\n"
            "the schema registry and our schemas in it, Redis and how safe its data is, models and their keys, tools, open\n"
            "files. Says for each whether it works and what to do. Runs no task, calls no tool, spends no token.\n"
            "Exit code 3 when there are problems; warnings alone are 0.",
        .examples =
            "stepmill doctor --config stepmill.yaml\nstepmill doctor --json | jq '.checks[] | select(.verdict != \"ok\")'\n",
    };
    struct doctor d = {.cli = cli};
    int code;

    if (!cli_parse(cli, &usage, argc, argv, &code))
        return code;
    d.config = cli_config_load(cli, CONFIG_NEED_ALL);
    code = d.config ? run(&d) : CLI_FAILED;
    http_client_free(d.http);
    loop_free(d.loop);
    config_free(d.config);
    free(d.findings);
    return code;
}

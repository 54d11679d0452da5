/* Actions on letters and groups: which letters they fit, and the records that are written for them. */
#include <stdio.h>

#include "api_parts.h"
#include "stepmill/clock.h"
#include "stepmill/utf8.h"

enum { REFUSALS_A_MINUTE = 10, MINUTE_MS = 60000 };

struct acting {
    enum action_kind kind;
    struct slice note, assignee, reason;
    struct api_selection selection;
    bool of_group; /* the group itself, not its letters */
    struct slice *ids;
    size_t n;
};

/* ---- Making actions */

struct action api_action(struct api_call *c, enum action_kind kind, struct slice what)
{
    char id[37];
    struct slice room;

    action_id_of(id, slice_of(c->who.name), c->key, what);
    room = arena_copy(c->arena, (struct slice){id, 36});
    return (struct action){.id = room,
                           .at_ms = clock_wall_ms(),
                           .kind = slice_of(action_kind_name(kind)),
                           .actor = slice_of(c->who.name),
                           .actor_kind = slice_of(c->who.kind == WHO_TOKEN ? "token" : "user"),
                           .request = c->request,
                           .due_at_ms = -1};
}

/* What tells one action of a request from the others: the same in whatever order they are asked for again. */
static struct slice what_of(struct arena *arena, enum action_kind kind, struct slice of)
{
    struct buf b = BUF(LETTER_ID_MAX + 64);
    struct slice what;

    buf_printf(&b, "%s %.*s", action_kind_name(kind), SLICE_FMT(of));
    what = arena_copy(arena, buf_slice(&b));
    buf_free(&b);
    return what;
}

static void nothing(void *ctx, uint64_t ticket, struct error e) { (void)ctx, (void)ticket, (void)e; }

/* A flood of one kind hides no other. */
static bool may_record(struct api *api, const char *why, int64_t now)
{
    size_t i = 0;

    if (now - api->refusals_ms >= MINUTE_MS || now < api->refusals_ms) {
        api->refusals_ms = now;
        memset(api->refusals, 0, sizeof api->refusals);
    }
    while (i < API_REFUSALS && api->refusals[i].why && strcmp(api->refusals[i].why, why) != 0)
        i++;
    if (i == API_REFUSALS)
        return false;
    api->refusals[i].why = why;
    return api->refusals[i].n++ < REFUSALS_A_MINUTE;
}

void api_record_refusal(struct api *api, const struct who *who, struct http_server_call *http, const char *why)
{
    int64_t now = clock_wall_ms();
    struct action action;
    char id[37], what[256];
    struct buf text = BUF_IN(what);

    buf_printf(&text, "%s ", http_server_method(http));
    utf8_put(&text, utf8_cut(http_server_path(http), 80)); /* each byte that is no UTF-8 becomes three */
    log_warn(api->log, "dlq.api.refused", LOG_TEXT("who", who->name), LOG_TEXT("peer", http_server_peer(http)),
             LOG_TEXT("what", buf_text(&text)), LOG_TEXT("code", why));
    if (!may_record(api, why, now))
        return;
    action_new_id(id, now);
    action = (struct action){.id = slice_of(id),
                             .at_ms = now,
                             .kind = slice_of(action_kind_name(ACTION_ACCESS_REFUSED)),
                             .actor = slice_of(who->name),
                             .actor_kind = slice_of(who->kind == WHO_TOKEN ? "token" : "user"),
                             .name = buf_slice(&text),
                             .detail = slice_of(why),
                             .due_at_ms = -1};
    (void)redrives_act(api->redrives, &action, 1, nothing, NULL);
}

/* ---- Which letters */

static unsigned fits(enum action_kind kind)
{
    enum { UNSENT = 1U << LETTER_OPEN | 1U << LETTER_ACKNOWLEDGED | 1U << LETTER_RETRY_WAITING };

    switch (kind) {
    case ACTION_ACKNOWLEDGED:
        return UNSENT;
    case ACTION_PARKED:
        return UNSENT | 1U << LETTER_PARKED;
    case ACTION_UNPARKED:
        return 1U << LETTER_PARKED;
    case ACTION_DISCARDED:
        return UNSENT | 1U << LETTER_PARKED | 1U << LETTER_DISCARDED;
    case ACTION_REOPENED: /* redriven: nobody may ever hear how that ends. failed_again: the newer letter is the one to act on */
        return 1U << LETTER_ACKNOWLEDGED | 1U << LETTER_PARKED | 1U << LETTER_DISCARDED | 1U << LETTER_RESOLVED |
               1U << LETTER_REDRIVEN;
    default:
        return ~0U;
    }
}

struct misfit {
    int status;
    const char *code, *text;
};

static struct misfit wrong_status(enum letter_status status)
{
    return (struct misfit){409, "wrong_status",
                           status == LETTER_FAILED_AGAIN
                               ? "One of the letters has failed again: act on its newer letter (newer_id). Nothing was done."
                               : "The status of one of the letters does not allow this; nothing was done."};
}

static struct error out_of_memory(void) { return error_make(CLASS_INTERNAL, "out_of_memory", "No memory for the actions."); }

/* The action of a repeated request has changed the letter already: that is no reason to refuse it. */
static struct error check_letter(struct ask_place *place, struct api_call *c, struct slice id, struct answer *a,
                                 struct misfit *misfit)
{
    const struct acting *x = c->more;
    struct letter_row row;
    bool found = false, written = false;
    char action_id[37];
    struct error e = store_letter_row(place->store, id, a->arena, &row, &found);

    if (failed(e))
        return e;
    if (!found) {
        *misfit = (struct misfit){404, "unknown_letter", "One of the letters is not known; nothing was done."};
        return e;
    }
    if (fits(x->kind) & 1U << row.status)
        return e;
    action_id_of(action_id, slice_of(c->who.name), c->key, what_of(a->arena, x->kind, id));
    e = store_has_action(place->store, (struct slice){action_id, 36}, &written);
    if (!failed(e) && !written)
        *misfit = wrong_status(row.status);
    return e;
}

static struct error letters_of_group(struct ask_place *place, struct api_call *c, struct answer *a)
{
    struct acting *x = c->more;
    struct letter_page page;
    struct error e;

    if (c->again)
        return store_request_letters(place->store, slice_of(c->who.name), c->request, c->arena, &x->ids, &x->n);
    c->filter.statuses &= fits(x->kind);
    e = store_letters(place->store, &c->filter, STORE_NEWEST_FIRST, 0, REDRIVES_ACT_MAX, a->arena, &page);
    x->ids = failed(e) ? NULL : arena_alloc(c->arena, (page.n + 1) * sizeof *x->ids);
    if (failed(e) || !x->ids)
        return failed(e) ? e : out_of_memory();
    for (x->n = 0; x->n < page.n; x->n++)
        x->ids[x->n] = arena_copy(c->arena, page.rows[x->n].letter.id);
    return e;
}

static struct error run_act(struct ask_place *place, void *question, struct answer *a)
{
    struct api_call *c = api_asker(question);
    struct acting *x = c->more;
    struct misfit *misfit = arena_alloc(a->arena, sizeof *misfit);
    struct error e = misfit ? error_none() : out_of_memory();
    struct group_row group;
    bool found = true;

    a->result = misfit;
    if (!failed(e) && x->selection.kind == API_GROUP)
        e = store_group(place->store, c->filter.group, a->arena, &group, &found);
    if (failed(e))
        return e;
    if (!found) {
        *misfit = (struct misfit){404, "unknown_group", "There is no group of this fingerprint."};
        return e;
    }
    if (x->selection.kind == API_GROUP)
        return x->of_group ? e : letters_of_group(place, c, a);
    for (size_t i = 0; i < x->selection.nletters && !misfit->status && !failed(e); i++)
        e = check_letter(place, c, x->selection.letters[i], a, misfit);
    return e;
}

/* ---- Writing them */

static void on_acted(void *ctx, uint64_t ticket, struct error e)
{
    struct api_call *c = ctx;
    const struct acting *x = c->more;
    bool folded = !failed(e);
    struct buf b = BUF(API_JSON_MAX);
    size_t n = x->of_group ? 1 : x->n;

    (void)ticket;
    c->acting = 0;
    if (!redrives_written(e)) {
        api_fail(c, e);
        return;
    }
    put_begin(&b, '{');
    put_text(&b, "id", c->key);
    put_name(&b, "actions");
    buf_put_byte(&b, '[');
    for (size_t i = 0; i < n; i++) {
        struct slice of = x->of_group ? c->filter.group : x->ids[i];
        char id[37];

        action_id_of(id, slice_of(c->who.name), c->key, what_of(c->arena, x->kind, of));
        put_begin(&b, '{');
        put_word(&b, "id", id);
        put_text(&b, "letter", x->of_group ? (struct slice){NULL, 0} : of);
        put_text(&b, "group", x->of_group ? of : (struct slice){NULL, 0});
        buf_put_byte(&b, '}');
    }
    buf_put_byte(&b, ']');
    put_flag(&b, "folded", folded);
    buf_put_byte(&b, '}');
    api_answer_json(c, folded ? 200 : 202, buf_slice(&b));
    buf_free(&b);
}

static void write_actions(struct api_call *c, struct answer *a)
{
    const struct misfit *misfit = a->result;
    struct acting *x = c->more;
    size_t n = x->of_group ? 1 : x->n;
    struct action *actions;

    if (misfit->status) {
        api_problem(c, misfit->status, misfit->code, misfit->text);
        return;
    }
    if (!n) {
        on_acted(c, 0, error_none()); /* a group without letters that this fits: done */
        return;
    }
    actions = arena_alloc(c->arena, n * sizeof *actions);
    for (size_t i = 0; actions && i < n; i++) {
        struct slice of = x->of_group ? c->filter.group : x->ids[i];

        actions[i] = api_action(c, x->kind, what_of(c->arena, x->kind, of));
        actions[i].reason = x->reason;
        actions[i].detail = x->note;
        actions[i].name = x->assignee;
        *(x->of_group ? &actions[i].group : &actions[i].letter) = of;
    }
    if (!actions || arena_failed(c->arena))
        api_fail(c, out_of_memory());
    else
        c->acting = redrives_act(c->api->redrives, actions, n, on_acted, c);
}

/* ---- The request */

static bool read_kind(struct api_call *c, struct slice name, struct acting *x)
{
    x->kind = action_kind_of(name);
    switch (x->kind) {
    case ACTION_ACKNOWLEDGED:
    case ACTION_ASSIGNED:
    case ACTION_NOTED:
    case ACTION_PARKED:
    case ACTION_UNPARKED:
    case ACTION_DISCARDED:
    case ACTION_REOPENED:
    case ACTION_GROUP_RESOLVED:
    case ACTION_GROUP_REOPENED:
        return true;
    default:
        api_problem(c, 400, "bad_body", "Member kind is none of the kinds of actions that can be asked for.");
        return false;
    }
}

static bool read_assignee(struct api_call *c, const json_t *body, struct acting *x)
{
    const json_t *to = json_object_get(body, "assignee");

    if (json_is_null(to) || (json_is_string(to) && !json_string_length(to)))
        return true;
    return api_body_text(c, body, "assignee", 256, false, &x->assignee);
}

static bool is_whole(struct api_call *c, const json_t *body, const struct acting *x)
{
    const char *why = NULL;

    if (x->kind == ACTION_DISCARDED && !x->reason.len)
        why = "A letter is discarded with a reason only.";
    else if ((x->kind == ACTION_NOTED) != (x->note.len > 0))
        why = "Member note goes with kind noted, and only with it.";
    else if ((x->kind == ACTION_ASSIGNED) != (json_object_get(body, "assignee") != NULL))
        why = "Member assignee goes with kind assigned, and only with it.";
    else if ((x->kind == ACTION_GROUP_RESOLVED || x->kind == ACTION_GROUP_REOPENED) && x->selection.kind != API_GROUP)
        why = "This kind is of a group.";
    if (why)
        api_problem(c, 422, "bad_action", why);
    return !why;
}

static bool read_acting(struct api_call *c, const json_t *body, struct acting *x)
{
    struct slice kind = {NULL, 0};

    if (!api_body_text(c, body, "kind", 40, true, &kind) || !read_kind(c, kind, x) ||
        !api_body_text(c, body, "reason", 500, false, &x->reason) || !api_body_text(c, body, "note", 2000, false, &x->note) ||
        !read_assignee(c, body, x) || !api_body_selection(c, body, API_LETTERS | API_GROUP, &x->selection) ||
        !is_whole(c, body, x))
        return false;
    x->of_group = x->kind == ACTION_GROUP_RESOLVED || x->kind == ACTION_GROUP_REOPENED ||
                  (x->kind == ACTION_ASSIGNED && x->selection.kind == API_GROUP);
    if (x->of_group && x->kind == ACTION_ASSIGNED)
        x->kind = ACTION_GROUP_ASSIGNED;
    x->ids = arena_alloc(c->arena, (x->selection.nletters + 1) * sizeof *x->ids);
    x->n = x->ids ? x->selection.nletters : 0;
    if (x->n)
        memcpy(x->ids, x->selection.letters, x->n * sizeof *x->ids);
    return true;
}

void begin_act(struct api_call *c, struct http_server_call *http)
{
    static const char *const names[] = {"kind", "letters", "group", "reason", "note", "assignee", NULL};
    struct acting *x = arena_alloc(c->arena, sizeof *x);
    json_t *body;
    bool fine;

    if (!x || !api_read_query(c, http) || !(body = api_read_body(c, http, names)))
        return;
    c->more = x;
    fine = read_acting(c, body, x);
    json_decref(body);
    if (!fine)
        return;
    if (x->kind == ACTION_DISCARDED && c->who.role < CONFIG_ROLE_DISCARD) {
        c->api->stats.refused_role++;
        api_record_refusal(c->api, &c->who, http, "role");
        api_problem(c, 403, "role", "Discarding needs the role discard.");
        return;
    }
    api_ask(c, ASK_INDEX, run_act, write_actions);
}

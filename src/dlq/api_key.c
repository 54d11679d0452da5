/* Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): a key stands for one request of one caller. The same again is
 * answered as the first time, another one is refused, and so is one that comes while the first is being answered. What a key
 * stands for lies in the actions that the request made: whoever makes the index anew knows it too. */
#include "api_parts.h"
#include "stepmill/clock.h"
#include "stepmill/digest.h"

/* "<key>/<digest of what is asked for>": "/" is in no key. */
static struct slice name_request(struct api_call *c, struct http_server_call *http)
{
    const struct slice blank = SLICE("\n"), path = http_server_path(http), query = http_server_query(http);
    const struct slice parts[] = {slice_of(c->route->path), blank, path, blank, query, blank, http_server_body(http)};
    const struct digest digest = digest_of(parts, sizeof parts / sizeof *parts);
    char hex[2 * DIGEST_SIZE + 1];
    struct buf name = BUF(256);
    struct slice kept;

    digest_text(hex, &digest);
    buf_printf(&name, "%.*s/%s", SLICE_FMT(c->key), hex);
    kept = arena_copy(c->arena, buf_slice(&name));
    buf_free(&name);
    return kept;
}

/* The key that the caller chose, or a new one: what names the actions of this request. */
static bool take_key(struct api_call *c, struct http_server_call *http)
{
    struct slice key = http_server_header(http, "Idempotency-Key");
    char own[37];

    if (!key.at) {
        action_new_id(own, clock_wall_ms());
        c->key = c->request = arena_copy(c->arena, (struct slice){own, 36});
        return true;
    }
    if (key.len < 8 || key.len > 64 ||
        strspn(key.at, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") < key.len) {
        api_problem(c, 400, "bad_key", "Idempotency-Key must be 8 to 64 letters, digits, '.', '_' or '-'.");
        return false;
    }
    c->chosen = true;
    c->key = arena_copy(c->arena, key);
    c->request = name_request(c, http);
    return true;
}

static bool is_being_answered(const struct api_call *c)
{
    for (const struct list_node *n = c->api->calls.first; n; n = n->next) {
        const struct api_call *other = list_entry(n, struct api_call, node);

        if (other != c && other->chosen && other->http && !other->streaming && slice_equal(other->key, c->key) &&
            !strcmp(other->who.name, c->who.name))
            return true;
    }
    return false;
}

static struct error run_request(struct ask_place *place, void *question, struct answer *a)
{
    struct api_call *c = api_asker(question);
    struct slice *before = arena_alloc(a->arena, sizeof *before);

    a->result = before;
    return before ? store_request(place->store, slice_of(c->who.name), c->key, a->arena, before)
                  : error_make(CLASS_INTERNAL, "out_of_memory", "No memory for the request.");
}

static void on_request(struct api_call *c, struct answer *a)
{
    const struct slice *before = a->result;

    if (before->at && !slice_equal(*before, c->request)) {
        api_problem(c, 422, "key_reused", "This Idempotency-Key stands for another request: take a new key.");
        return;
    }
    c->again = before->at != NULL;
    c->route->begin(c, http_server_held(c->api->server, c->http));
}

void api_begin_keyed(struct api_call *c, struct http_server_call *http)
{
    if (!take_key(c, http))
        return;
    if (!c->chosen)
        c->route->begin(c, http);
    else if (is_being_answered(c))
        api_problem(c, 409, "key_in_use", "A request of this Idempotency-Key is being answered: wait for its answer.");
    else
        api_ask(c, ASK_INDEX, run_request, on_request);
}

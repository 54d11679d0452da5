/* A map of the file as JSON text: what a model's `extra` becomes in the request's body. */
#include "reader.h"
#include "stepmill/json.h"

static bool plain_json(struct slice text)
{
    if (slice_is(text, "true") || slice_is(text, "false") || slice_is(text, "null"))
        return true;
    return text.len && (text.at[0] == '-' || (text.at[0] >= '0' && text.at[0] <= '9')) && json_valid(text);
}

static bool put_scalar(struct reader *r, const struct node *n, const char *path, struct buf *to)
{
    struct secret_use use;
    struct slice text = scalar_text(r, n, path, &use);

    if (!text.at)
        return false;
    if (node_is_null(n))
        buf_put_text(to, "null");
    else if (n->plain && plain_json(text))
        buf_put_slice(to, text);
    else
        json_put_string(to, text);
    return true;
}

/* Depth is bounded by the document's. */
bool node_to_json(struct reader *r, const struct node *n, const char *path, struct buf *to)
{
    bool good = true;

    if (n->kind == NODE_SCALAR)
        return put_scalar(r, n, path, to);
    buf_put_byte(to, n->kind == NODE_MAP ? '{' : '[');
    for (const struct node *child = n->first; child; child = child->next) {
        if (child != n->first)
            buf_put_byte(to, ',');
        if (n->kind == NODE_MAP) {
            json_put_string(to, child->name);
            buf_put_byte(to, ':');
        }
        good = node_to_json(r, child, path, to) && good;
    }
    buf_put_byte(to, n->kind == NODE_MAP ? '}' : ']');
    return good;
}

/* What batches brought, gathered until the loop takes it. */
#include <stdlib.h>

#include "collect_reading.h"

void news_drop(struct news *n)
{
    free(n->actions);
    arena_free(n->arena);
    *n = (struct news){0};
}

bool news_add(struct news *n, const struct effect *e)
{
    if (!n->arena && !(n->arena = arena_new(NEWS_MEMORY)))
        return false;
    if (n->nactions == n->room) {
        size_t room = n->room ? 2 * n->room : 64;
        struct collect_action *grown = room <= NEWS_ACTIONS_MAX * 2 ? realloc(n->actions, room * sizeof *grown) : NULL;

        if (!grown)
            return false;
        n->actions = grown;
        n->room = room;
    }
    n->actions[n->nactions++] = (struct collect_action){.id = arena_copy(n->arena, e->id),
                                                        .letter = arena_copy(n->arena, e->letter),
                                                        .group = arena_copy(n->arena, e->group),
                                                        .job = arena_copy(n->arena, e->job)};
    return n->nactions < NEWS_ACTIONS_MAX && !arena_failed(n->arena);
}

void news_join(struct news *all, struct news *n)
{
    if (!all->arena && !all->nactions && !all->letters && !all->more_actions) {
        *all = *n;
        *n = (struct news){0};
        return;
    }
    all->letters += n->letters;
    all->more_actions |= n->more_actions;
    if (n->newest.at && (all->arena || (all->arena = arena_new(NEWS_MEMORY))))
        all->newest = arena_copy(all->arena, n->newest);
    for (size_t i = 0; i < n->nactions; i++) {
        const struct collect_action *a = &n->actions[i];

        if (!news_add(all, &(struct effect){.id = a->id, .letter = a->letter, .group = a->group, .job = a->job}))
            all->more_actions = true;
    }
    news_drop(n);
}

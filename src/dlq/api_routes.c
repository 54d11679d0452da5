/* The table of the review API: path, role, parameters. It says the same as openapi.json. */
#include <stddef.h>

#include "api_parts.h"

#define TEXT(name, member, most)                                                                                                 \
    {                                                                                                                            \
        name, API_TEXT, offsetof(struct api_call, member), 1, most                                                               \
    }
#define OTHER(name, kind, member)                                                                                                \
    {                                                                                                                            \
        name, kind, offsetof(struct api_call, member), 0, 0                                                                      \
    }
#define LIMIT                                                                                                                    \
    {                                                                                                                            \
        "limit", API_INT, offsetof(struct api_call, limit), 1, API_LIMIT_MAX                                                     \
    }
#define CURSOR  OTHER("cursor", API_CURSOR, cursor)
#define ORDER   OTHER("order", API_ORDER, order)
#define FROM_TO OTHER("from", API_TIME, from_ms), OTHER("to", API_TIME, to_ms)

static const struct api_param none[] = {{0}};
static const struct api_param overview[] = {FROM_TO, {"step", API_INT, offsetof(struct api_call, step), 60, 604800}, {0}};
static const struct api_param groups[] = {TEXT("text", groups.text, API_TEXT_MAX),
                                          TEXT("agent", groups.agent, API_TEXT_MAX),
                                          TEXT("topic", groups.topic, API_TEXT_MAX),
                                          TEXT("class", groups.class, API_TEXT_MAX),
                                          OTHER("unfinished", API_FLAG, flag),
                                          OTHER("order", API_GROUP_ORDER, groups.order),
                                          OTHER("seen_after", API_TIME, groups.seen_after_ms),
                                          CURSOR,
                                          LIMIT,
                                          {0}};
static const struct api_param actions[] = {TEXT("letter", actions.letter, API_TEXT_MAX),
                                           TEXT("group", actions.group, 64),
                                           TEXT("job", actions.job, 64),
                                           TEXT("kind", actions.kind, 40),
                                           TEXT("actor", actions.actor, 256),
                                           FROM_TO,
                                           ORDER,
                                           CURSOR,
                                           LIMIT,
                                           {0}};
static const struct api_param jobs[] = {OTHER("unended", API_FLAG, flag), CURSOR, LIMIT, {0}};
static const struct api_param job_letters[] = {OTHER("unsent", API_FLAG, flag), CURSOR, LIMIT, {0}};
static const struct api_param tasks[] = {TEXT("task_id", tasks.task_id, 128),
                                         TEXT("session_id", tasks.session_id, 128),
                                         TEXT("agent", tasks.agent, 64),
                                         OTHER("status", API_TASK_STATUS, tasks.statuses),
                                         FROM_TO,
                                         CURSOR,
                                         LIMIT,
                                         {0}};

#define V1 "/api/v1"

/* A fixed segment before a "{…}" in its place: the first that fits counts. */
const struct api_route api_routes[] = {
    {"GET", V1 "/openapi.json", CONFIG_ROLE_NONE, false, none, begin_openapi},
    {"GET", V1 "/me", CONFIG_ROLE_VIEW, false, none, begin_me},
    {"GET", V1 "/overview", CONFIG_ROLE_VIEW, false, overview, begin_overview},
    {"GET", V1 "/letters", CONFIG_ROLE_VIEW, false, api_letter_params, begin_letters},
    {"GET", V1 "/letters/{id}", CONFIG_ROLE_VIEW, false, none, begin_letter},
    {"GET", V1 "/letters/{id}/value", CONFIG_ROLE_EDIT, false, none, begin_value},
    {"POST", V1 "/letters/{id}/edit", CONFIG_ROLE_EDIT, true, none, begin_edit},
    {"GET", V1 "/groups", CONFIG_ROLE_VIEW, false, groups, begin_groups},
    {"GET", V1 "/groups/{fingerprint}", CONFIG_ROLE_VIEW, false, none, begin_group},
    {"GET", V1 "/actions", CONFIG_ROLE_VIEW, false, actions, begin_actions},
    {"POST", V1 "/actions", CONFIG_ROLE_REDRIVE, true, none, begin_act},
    {"GET", V1 "/redrives", CONFIG_ROLE_VIEW, false, jobs, begin_jobs},
    {"POST", V1 "/redrives", CONFIG_ROLE_REDRIVE, true, none, begin_redrive},
    {"POST", V1 "/redrives/dry-run", CONFIG_ROLE_REDRIVE, false, none, begin_dry_run},
    {"GET", V1 "/redrives/{id}", CONFIG_ROLE_VIEW, false, none, begin_job},
    {"GET", V1 "/redrives/{id}/letters", CONFIG_ROLE_VIEW, false, job_letters, begin_job_letters},
    {"POST", V1 "/redrives/{id}/pause", CONFIG_ROLE_REDRIVE, true, none, begin_pause},
    {"POST", V1 "/redrives/{id}/resume", CONFIG_ROLE_REDRIVE, true, none, begin_resume},
    {"POST", V1 "/redrives/{id}/cancel", CONFIG_ROLE_REDRIVE, true, none, begin_cancel},
    {"POST", V1 "/exports", CONFIG_ROLE_VIEW, false, none, begin_export},
    {"GET", V1 "/tasks", CONFIG_ROLE_VIEW, false, tasks, begin_tasks},
    {"GET", V1 "/tasks/{task_id}", CONFIG_ROLE_VIEW, false, none, begin_task},
    {"GET", V1 "/events", CONFIG_ROLE_VIEW, false, none, begin_events},
};
const size_t api_route_count = sizeof api_routes / sizeof *api_routes;

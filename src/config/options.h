/* The option table: every option there is, once. Reading, checking, showing, the reference and the JSON Schema are made from it.
 */
#ifndef CONFIG_OPTIONS_H
#define CONFIG_OPTIONS_H

#include "stepmill/config.h"
#include "tree.h"

enum option_type {
    OPTION_STRING,   /* const char * */
    OPTION_TEXT,     /* const char *; also from a file, under the name with _file behind */
    OPTION_SECRET,   /* struct config_secret; also from a file, under the name with _file behind */
    OPTION_INT,      /* int32_t, or int64_t where `wide` */
    OPTION_BOOL,     /* bool */
    OPTION_DOUBLE,   /* double */
    OPTION_DURATION, /* int64_t, milliseconds */
    OPTION_SIZE,     /* int64_t, bytes */
    OPTION_ENUM,     /* int, the index in `values` */
    OPTION_TOPICS,   /* const char *const *, count at `second` */
    OPTION_TOOLS,    /* const char *const *, count at `second` */
    OPTION_MODELS,   /* const struct config_model *const *, count at `second` */
    OPTION_FILE,     /* const char *: a file that can be read */
    OPTION_FOLDER,   /* const char * */
    OPTION_STATE,    /* const char *: a folder of ours, made when it is missing */
    OPTION_URL,      /* const char *; `values` are the schemes */
    OPTION_ADDRESS,  /* const char *: host:port */
    OPTION_TOPIC,    /* const char *: a Kafka topic's name, or its beginning */
    OPTION_JSON,     /* struct slice: one object */
    OPTION_KAFKA,    /* any other librdkafka property */
};

/* Whose member an option is. */
enum option_scope { SCOPE_ROOT, SCOPE_AGENT, SCOPE_MODEL };

struct option {
    const char *path; /* "redis.url", "agents.*.max_steps" */
    enum option_type type;
    size_t offset;             /* in struct config, config_agent or config_model */
    const char *help;          /* one line */
    size_t second;             /* the count of a list, or the has_ member that says a number was set; 0: none */
    const char *fallback;      /* as it would be written in the file; NULL: not set */
    int64_t min, max;          /* of numbers, in the unit of the member */
    const char *const *values; /* NULL at the end */
    bool wide, reloadable;
    unsigned need; /* who needs it set: enum config_need */
};

/* Whether its value is a list. */
static inline bool option_is_list(const struct option *o)
{
    return o->type == OPTION_TOPICS || o->type == OPTION_TOOLS || o->type == OPTION_MODELS;
}

extern const struct option option_table[];
extern const size_t option_count;

enum option_scope option_scope(const struct option *o);
/* Its name within the scope: "max_steps" of agents.*.max_steps, "redis.url" of redis.url. */
const char *option_name(const struct option *o);
/* Whether "<name>_file" is an option too. */
bool option_has_file(const struct option *o);

/* The option at a full path such as "agents.search.max_steps"; *file: it is the _file form. NULL: no such option. */
const struct option *option_find(const char *path, bool *file);
/* Whether options lie below this path: "redis", "agents.search", "retry.model". */
bool option_is_section(const char *path);
/* For a path that is no option: the most likely right one, appended to `to`: a neighbour's name near to it, or the section that
 * this name belongs to. False: nothing like it. */
bool option_suggest(const char *path, struct buf *to);

/* What a name of an agent or model must be. */
bool option_name_valid(struct slice name);

#endif

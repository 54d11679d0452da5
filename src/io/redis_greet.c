/* The first words on a connection: who we are, what the server is, our scripts, and whether it takes writes. All of them leave at
 * once. */
#include <stdio.h>
#include <string.h>

#include "redis_private.h"

struct step {
    struct error (*check)(struct link *k, const redisReply *reply);
};

static void keep(char *to, size_t room, const char *from, size_t len)
{
    snprintf(to, room, "%.*s", (int)(len < room ? len : room - 1), from);
}

/* The value of "name:value" in INFO's text. */
static void read_info(const redisReply *info, const char *name, char *to, size_t room)
{
    const char *at = strstr(info->str, name);
    size_t n = strlen(name);

    if (at && at[n] == ':')
        keep(to, room, at + n + 1, strcspn(at + n + 1, "\r\n"));
}

static struct error error_of(const redisReply *reply)
{
    bool outage;

    return reply->type == REDIS_REPLY_ERROR ? redis_error_of(reply->str, &outage) : error_none();
}

static struct error too_old(void) { return error_make(CLASS_CONFIG, "redis_version", "stepmill needs Redis 6.2 or later"); }

static struct error check_version(const char *version)
{
    int major, minor;

    return sscanf(version, "%d.%d", &major, &minor) == 2 && (major > 6 || (major == 6 && minor >= 2)) ? error_none() : too_old();
}

/* A map, which RESP2 gives as a list: name, value, name, value, … */
static const char *hello_says(const redisReply *reply, const char *name)
{
    for (size_t i = 0; i + 1 < reply->elements; i += 2)
        if (reply->element[i]->type == REDIS_REPLY_STRING && reply->element[i + 1]->type == REDIS_REPLY_STRING &&
            !strcmp(reply->element[i]->str, name))
            return reply->element[i + 1]->str;
    return "";
}

static struct error check_hello(struct link *k, const redisReply *reply)
{
    struct redis_info *info = &k->redis->info;
    const char *version;

    if (reply->type == REDIS_REPLY_ERROR)
        return strstr(reply->str, "unknown command") ? too_old() : error_of(reply);
    if (reply->type != REDIS_REPLY_ARRAY)
        return error_make(CLASS_CONFIG, "redis_version", "what answers at redis.url does not speak like Redis");
    version = hello_says(reply, "version");
    keep(info->version, sizeof info->version, version, strlen(version));
    if (!strcmp(hello_says(reply, "mode"), "cluster"))
        return error_make(
            CLASS_CONFIG, "redis_cluster",
            "redis.url leads to a Redis Cluster, which stepmill can't use: give it one server (with replicas, if you like)");
    if (!strcmp(hello_says(reply, "mode"), "sentinel"))
        return error_make(CLASS_CONFIG, "redis_sentinel", "redis.url leads to a Sentinel: give the address of the server itself");
    if (!strcmp(hello_says(reply, "role"), "replica") || !strcmp(hello_says(reply, "role"), "slave"))
        return error_make(CLASS_WAIT, "redis_readonly",
                          "Redis is a replica and takes no writes: redis.url must lead to the master");
    return check_version(info->version);
}

static struct error check_plain(struct link *k, const redisReply *reply)
{
    (void)k;
    return error_of(reply);
}

/* An ACL may forbid the question; that is no reason not to work. */
static bool forbidden(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_ERROR && (!strncmp(reply->str, "NOPERM", 6) || strstr(reply->str, "unknown command"));
}

static struct error check_info(struct link *k, const redisReply *reply)
{
    struct redis_info *info = &k->redis->info;
    char aof[4] = "";

    if (forbidden(reply) || reply->type == REDIS_REPLY_ERROR)
        return forbidden(reply) ? error_none() : error_of(reply);
    if (reply->type != REDIS_REPLY_STRING)
        return error_none();
    read_info(reply, "maxmemory_policy", info->maxmemory_policy, sizeof info->maxmemory_policy);
    read_info(reply, "aof_enabled", aof, sizeof aof);
    if (aof[0])
        keep(info->appendonly, sizeof info->appendonly, aof[0] == '1' ? "yes" : "no", 3);
    return error_none();
}

static struct error check_fsync(struct link *k, const redisReply *reply)
{
    struct redis_info *info = &k->redis->info;

    if (reply->type == REDIS_REPLY_ERROR)
        return forbidden(reply) ? error_none() : error_of(reply);
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 && reply->element[1]->type == REDIS_REPLY_STRING)
        keep(info->appendfsync, sizeof info->appendfsync, reply->element[1]->str, reply->element[1]->len);
    return error_none();
}

static struct error check_script(struct link *k, const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ERROR)
        return error_of(reply);
    if (reply->type != REDIS_REPLY_STRING || reply->len != SHA_LEN)
        return error_make(CLASS_CONFIG, "redis_version", "what answers at redis.url does not speak like Redis");
    memcpy(k->redis->scripts[k->loaded++].sha, reply->str, SHA_LEN);
    return error_none();
}

static const struct step hello = {check_hello}, chosen = {check_plain}, informed = {check_info}, fsync_known = {check_fsync},
                         script_loaded = {check_script}, probed = {check_plain};

static void on_answer(redisAsyncContext *async, void *answer, void *ctx)
{
    struct link *k = async->data;
    const struct step *step = ctx;
    const redisReply *reply = answer;
    struct error error;

    if (!reply || failed(k->why)) /* the connection ends anyhow */
        return;
    k->unread = async->c.reader->len - async->c.reader->pos;
    error = step->check(k, reply);
    if (failed(error)) {
        redis_link_drop(k->redis, error, error_none(), reply->type == REDIS_REPLY_ERROR ? reply->str : "");
        return;
    }
    k->awaited--;
    if (k->awaited == 0)
        redis_set_up(k->redis);
}

static bool say(struct link *k, const struct step *step, int n, const char *const *words)
{
    size_t lens[8];

    for (int i = 0; i < n; i++)
        lens[i] = strlen(words[i]);
    k->awaited++;
    return redisAsyncCommandArgv(k->async, on_answer, (void *)(uintptr_t)step, n, (const char **)(uintptr_t)words, lens) ==
           REDIS_OK;
}

static bool say_hello(struct link *k)
{
    const struct redis *r = k->redis;
    const char *words[7] = {"HELLO", "2"};
    int n = 2;

    if (r->address.password[0]) {
        words[n++] = "AUTH";
        words[n++] = r->address.user[0] ? r->address.user : "default";
        words[n++] = r->address.password;
    }
    words[n++] = "SETNAME";
    words[n++] = r->options.client_name;
    return say(k, &hello, n, words);
}

static bool load_scripts(struct link *k)
{
    const struct redis *r = k->redis;
    bool said = true;

    for (int i = 0; said && i < r->nscripts; i++) {
        struct slice source = r->scripts[i].source;

        k->awaited++;
        said = redisAsyncCommand(k->async, on_answer, (void *)(uintptr_t)&script_loaded, "SCRIPT LOAD %b", source.at,
                                 source.len) == REDIS_OK;
    }
    return said;
}

struct error redis_greet(struct link *k)
{
    const struct redis *r = k->redis;
    struct redis_info *info = &k->redis->info;
    char db[16];
    bool said;

    *info = (struct redis_info){.maxmemory_policy = "unknown", .appendonly = "unknown", .appendfsync = "unknown"};
    snprintf(db, sizeof db, "%d", r->address.db);
    k->awaited = 0;
    said = say_hello(k) && say(k, &chosen, 2, (const char *const[]){"SELECT", db}) &&
           say(k, &informed, 1, (const char *const[]){"INFO"}) &&
           say(k, &fsync_known, 3, (const char *const[]){"CONFIG", "GET", "appendfsync"}) && load_scripts(k) &&
           say(k, &probed, 5, (const char *const[]){"SET", r->options.probe_key, "1", "PX", "1000"});
    return said ? error_none() : error_make(CLASS_INTERNAL, "out_of_memory", "no memory for the greeting to Redis");
}

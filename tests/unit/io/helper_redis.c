/* Starts and stops redis-server for tests. */
#include "helper_redis.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stepmill/clock.h"
#include "stepmill/error.h"
#include "stepmill/random.h"

static struct sockaddr_in loopback(unsigned port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static bool is_free(unsigned port)
{
    struct sockaddr_in at = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), bound = bind(fd, (struct sockaddr *)&at, sizeof at);

    close(fd);
    return bound == 0;
}

/* Below the range that outgoing connections take theirs from (32768): a server that is stopped must find its port free again.
 * A Redis in cluster mode takes the port 10000 above its own too, and ends without it. */
static unsigned free_port(void)
{
    for (int tries = 0; tries < 1000; tries++) {
        uint16_t random;
        unsigned port;

        random_bytes(&random, sizeof random);
        port = 20000u + random % 2700u;
        if (is_free(port) && is_free(port + 10000))
            return port;
    }
    bug("no free port: %s", strerror(errno));
}

static int dial(unsigned port)
{
    struct sockaddr_in at = loopback(port);
    struct timeval patience = {.tv_sec = 5};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (fd >= 0 && !connect(fd, (struct sockaddr *)&at, sizeof at))
        return fd;
    close(fd);
    return -1;
}

void redis_server_prepare(struct redis_server *s)
{
    *s = (struct redis_server){.port = free_port()};
    snprintf(s->folder, sizeof s->folder, "/tmp/stepmill-redis-XXXXXX");
    if (!mkdtemp(s->folder))
        bug("no folder for Redis: %s", strerror(errno));
}

static void become_server(const struct redis_server *s, const char *const *more)
{
    char port[16];
    const char *words[40] = {"redis-server",           "--port", port, "--bind", "127.0.0.1", "--dir", s->folder, "--save", "",
                             "--enable-debug-command", "yes"};
    int n = 11, null = open("/dev/null", O_RDWR);

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    snprintf(port, sizeof port, "%u", s->port);
    for (; more && *more && n < 39; more++)
        words[n++] = *more;
    dup2(null, 0);
    dup2(null, 1);
    dup2(null, 2);
    execvp(words[0], (char *const *)(uintptr_t)words);
    _exit(127);
}

void redis_server_start(struct redis_server *s, const char *const *more)
{
    s->pid = fork();
    if (s->pid < 0)
        bug("fork: %s", strerror(errno));
    if (s->pid == 0)
        become_server(s, more);
    for (int tries = 0; tries < 500; tries++) {
        int fd = dial(s->port);

        if (fd >= 0) {
            close(fd);
            return;
        }
        if (waitpid(s->pid, NULL, WNOHANG) == s->pid)
            bug("redis-server does not start: is it installed (6.2 or later)?");
        usleep(20000);
    }
    bug("redis-server does not listen");
}

void redis_server_kill(struct redis_server *s)
{
    if (s->pid <= 0)
        return;
    kill(s->pid, SIGKILL);
    waitpid(s->pid, NULL, 0);
    s->pid = 0;
}

void redis_server_end(struct redis_server *s)
{
    char command[128];

    redis_server_kill(s);
    snprintf(command, sizeof command, "rm -rf '%s'", s->folder);
    if (system(command))
        bug("could not remove %s", s->folder);
}

const char *redis_server_ask(const struct redis_server *s, const char *command)
{
    static char answer[4096];
    char line[512];
    int fd = dial(s->port);
    ssize_t got = -1;

    answer[0] = '\0';
    if (fd < 0)
        return answer;
    snprintf(line, sizeof line, "%s\r\n", command);
    if (send(fd, line, strlen(line), MSG_NOSIGNAL) > 0)
        got = recv(fd, answer, sizeof answer - 1, 0);
    answer[got > 0 ? got : 0] = '\0';
    close(fd);
    return answer;
}

static void on_tick(void *timer) { loop_timer_set(timer, 5); }

bool turn_until(struct loop *l, bool (*done)(void *ctx), void *ctx, int seconds)
{
    struct loop_timer tick;
    int64_t end = clock_mono_ms() + 1000 * (int64_t)seconds;

    loop_timer_init(&tick, l, on_tick, &tick);
    loop_timer_set(&tick, 5);
    while (!done(ctx) && clock_mono_ms() < end)
        loop_turn(l, true);
    loop_timer_cancel(&tick);
    return done(ctx);
}

static bool past(void *end) { return clock_mono_ms() >= *(int64_t *)end; }

void turn_for(struct loop *l, int ms)
{
    int64_t end = clock_mono_ms() + ms;

    (void)turn_until(l, past, &end, ms / 1000 + 5);
}

/* stepmill-fakes: starts the processes that share one port, and ends them. */
#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "options.h"
#include "server.h"

enum { PROCESSES_MAX = 64, BACKLOG = 8192, SCRIPT_MAX = 64 << 20 };

static void raise_open_files(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int port_of(int fd)
{
    struct sockaddr_storage bound;
    char port[16];
    socklen_t size = sizeof bound;

    if (getsockname(fd, (struct sockaddr *)&bound, &size) != 0 ||
        getnameinfo((struct sockaddr *)&bound, size, NULL, 0, port, sizeof port, NI_NUMERICSERV) != 0)
        return 0;
    return (int)strtol(port, NULL, 10);
}

/* One listening socket; the kernel spreads connections over those that share the port. */
static int listen_on(const struct options *o, int port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *found = NULL;
    char service[16];
    int fd, wrong;

    snprintf(service, sizeof service, "%d", port);
    wrong = getaddrinfo(o->host.at, service, &hints, &found);
    if (wrong) {
        fprintf(stderr, "stepmill-fakes: %s: %s\n", o->host.at, gai_strerror(wrong));
        return -1;
    }
    fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
        if (o->processes > 1)
            setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &(int){1}, sizeof(int));
        if (bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
            fprintf(stderr, "stepmill-fakes: cannot listen on %s:%d: %s; is another one running?\n", o->host.at, port,
                    strerror(errno));
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(found);
    return fd;
}

static bool read_script(const char *path, struct text *out)
{
    FILE *file = fopen(path, "rb");
    char buffer[4096];
    size_t n;
    bool ok;

    if (!file) {
        fprintf(stderr, "stepmill-fakes: %s: %s\n", path, strerror(errno));
        return false;
    }
    while ((n = fread(buffer, 1, sizeof buffer, file)) > 0 && out->len <= SCRIPT_MAX)
        text_add(out, buffer, n);
    ok = !ferror(file) && out->len <= SCRIPT_MAX;
    if (!ok)
        fprintf(stderr, "stepmill-fakes: %s: cannot be read, or is larger than 64 MiB\n", path);
    fclose(file);
    return ok;
}

static void on_signal(evutil_socket_t number, short what, void *arg)
{
    (void)number;
    (void)what;
    event_base_loopbreak(arg);
}

/* What one process does until SIGTERM or SIGINT. */
static int serve(struct fakes *f, int listening)
{
    struct event_config *config = event_config_new();
    struct event_base *base;
    struct event *term, *interrupt;
    struct server *server;
    int ended;

    event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER); /* latencies are measured: 4 ms of coarse clock would show */
    base = event_base_new_with_config(config);
    event_config_free(config);
    server = base ? server_new(base, f, listening) : NULL;
    if (!server) {
        fputs("stepmill-fakes: libevent does not start\n", stderr);
        return 1;
    }
    term = evsignal_new(base, SIGTERM, on_signal, base);
    interrupt = evsignal_new(base, SIGINT, on_signal, base);
    event_add(term, NULL);
    event_add(interrupt, NULL);
    ended = event_base_dispatch(base);
    server_free(server);
    event_free(term);
    event_free(interrupt);
    event_base_free(base);
    return ended < 0;
}

/* Starts the processes; each keeps one of the sockets. Returns in the parent when all have ended: when one ends, all shall. */
static int serve_many(struct fakes *f, const int *listening, int n)
{
    pid_t children[PROCESSES_MAX], parent = getpid();
    sigset_t waited;
    int status, failed = 0, caught;

    sigemptyset(&waited);
    sigaddset(&waited, SIGTERM);
    sigaddset(&waited, SIGINT);
    sigaddset(&waited, SIGCHLD);
    sigprocmask(SIG_BLOCK, &waited, NULL);
    for (int i = 0; i < n; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            prctl(PR_SET_PDEATHSIG, SIGTERM);
            if (getppid() != parent)
                _exit(1);
            sigprocmask(SIG_UNBLOCK, &waited, NULL);
            for (int k = 0; k < n; k++)
                if (k != i)
                    close(listening[k]);
            f->random += (uint64_t)i * 2;
            return serve(f, listening[i]);
        }
    }
    for (int i = 0; i < n; i++)
        close(listening[i]);
    sigwait(&waited, &caught);
    for (int i = 0; i < n; i++) {
        if (children[i] > 0)
            kill(children[i], SIGTERM);
        if (children[i] < 0 || waitpid(children[i], &status, 0) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
            failed = 1;
    }
    return caught == SIGCHLD ? 1 : failed;
}

static int run(struct fakes *f, const struct options *o)
{
    int listening[PROCESSES_MAX], port = o->port;

    for (int i = 0; i < o->processes; i++) {
        listening[i] = listen_on(o, port);
        if (listening[i] < 0)
            return 1;
        port = port_of(listening[i]);
    }
    if (!o->quiet) {
        printf("stepmill-fakes listens on http://%s:%d (processes: %d)\n", o->host.at, port, o->processes);
        fflush(stdout);
    }
    return o->processes == 1 ? serve(f, listening[0]) : serve_many(f, listening, o->processes);
}

int main(int argc, char **argv)
{
    struct options o;
    struct fakes f = {.options = &o};
    struct text script = {0}, why = {0};
    enum options_outcome outcome = options_read(&o, argc, argv);
    int code = 1;

    raise_open_files();
    signal(SIGPIPE, SIG_IGN);
    if (outcome == OPTIONS_RUN && (!o.script || read_script(o.script, &script))) {
        f.script = span_text(&script);
        f.shared = shared_new(o.call_bytes, o.request_bytes);
        if (fakes_init(&f, &why))
            code = run(&f, &o);
        else
            fprintf(stderr, "stepmill-fakes: %s: %s\n", o.script, why.at);
        fakes_free(&f);
        shared_free(f.shared);
    }
    text_free(&script);
    text_free(&why);
    text_free(&o.host);
    return outcome == OPTIONS_SHOWN ? 0 : outcome == OPTIONS_WRONG ? 2 : code;
}

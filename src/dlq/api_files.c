/* The dashboard's files, as they were compiled in. They hold no data: whoever can reach the address may have them. */
#include "api_parts.h"
#include "stepmill/embedded.h"

extern const struct embedded_file dashboard_files[];
extern const size_t dashboard_files_count;

static const char *type_of(const char *name)
{
    static const struct {
        const char *ending, *type;
    } types[] = {{".html", "text/html; charset=utf-8"},
                 {".css", "text/css; charset=utf-8"},
                 {".js", "text/javascript; charset=utf-8"},
                 {".svg", "image/svg+xml"},
                 {".json", "application/json"}};
    const char *ending = strrchr(name, '.');

    for (size_t i = 0; ending && i < sizeof types / sizeof *types; i++)
        if (!strcmp(ending, types[i].ending))
            return types[i].type;
    return "application/octet-stream";
}

static void on_file(void *ctx, struct http_server_call *http)
{
    const struct embedded_file *file = ctx;

    api_safe_headers(NULL, http);
    http_server_set_header(http, "Cache-Control", "no-cache");
    http_server_set_header(
        http, "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'");
    http_server_set_header(http, "X-Frame-Options", "DENY");
    http_server_answer(http, 200, type_of(file->name), file->text);
}

size_t api_file_routes(struct api *api, struct http_server_route *routes, size_t room)
{
    size_t n = 0;

    for (size_t i = 0; i < dashboard_files_count && n + 1 < room; i++) {
        const struct embedded_file *file = &dashboard_files[i];
        char *path = arena_alloc(api->arena, strlen(file->name) + 2);

        if (!path || !strcmp(file->name, "openapi.json"))
            continue;
        path[0] = '/';
        memcpy(path + 1, file->name, strlen(file->name) + 1);
        routes[n++] = (struct http_server_route){"GET", path, on_file, (void *)(uintptr_t)file};
        if (!strcmp(file->name, "index.html"))
            routes[n++] = (struct http_server_route){"GET", "/", on_file, (void *)(uintptr_t)file};
    }
    return n;
}

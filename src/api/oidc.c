/* Sign-in by the outside provider: away to it, and back. A browser comes here by a link and is sent
 * on, so that what goes wrong is told to the log, and to the person by the console's door. */
#include "identity/oidc.h"
#include "api/session_internal.h"
#include "base/log.h"
#include "base/secret.h"
#include <stdio.h>

#define COOKIE "__Host-gatehouse-oidc"
#define CALLBACK "/api/v1/session/oidc/callback"

/* Ours, as the browser spells this host. */
static struct gh_slice redirect_uri(struct call *call)
{
    return gh_slice_text(gh_arena_print(call->arena, "https://%.*s" CALLBACK,
                                        GH_PRINT(gh_http_header_get(call->request, "host"))));
}

enum gh_error_code api_session_provider(struct call *call)
{
    const struct gh_api_services *services = &call->api->services;
    call->answer = services->oidc == NULL
                       ? json_pack("{s:n}", "provider")
                       : json_pack("{s:{s:s}}", "provider", "title", services->oidc_title);
    return GH_OK;
}

/* Answers with the way to `location` and the call's cookies. */
static enum gh_error_code send_to(struct call *call, struct gh_slice location)
{
    struct gh_http_header headers[2 + CALL_COOKIES_MAX] = {
        {GH_SLICE("location"), location}, {GH_SLICE("cache-control"), GH_SLICE("no-store")}};
    size_t count = 2;
    for (size_t i = 0; i < CALL_COOKIES_MAX; i++)
        if (call->cookies[i][0] != '\0')
            headers[count++] =
                (struct gh_http_header){GH_SLICE("set-cookie"), gh_slice_text(call->cookies[i])};
    gh_exchange_answer(
        call->exchange,
        &(struct gh_http_answer){.status = 302, .headers = headers, .headers_count = count});
    call->taken = true;
    return GH_OK;
}

/* The door says that it did not work; why stands in the log. */
static enum gh_error_code send_back(struct call *call)
{
    gh_log(GH_LOG_WARN, "api", "%s from %.*s", call->error.text, GH_PRINT(call_source(call)));
    return send_to(call, GH_SLICE("/?sign-in=refused"));
}

static enum gh_error_code no_provider(struct call *call)
{
    return call_fail(call, GH_ERROR_NOT_FOUND, "there is no sign-in provider");
}

enum gh_error_code api_session_oidc(struct call *call)
{
    struct gh_oidc_start start;
    if (call->api->services.oidc == NULL)
        return no_provider(call);
    if (gh_oidc_begin(call->api->services.oidc, redirect_uri(call), call->now_ms, call->arena,
                      &start, &call->error) != GH_OK)
        return send_back(call);
    /* Lax, as the way back begins on the provider's page. */
    session_cookie(call->cookies[0], COOKIE, start.cookie, GH_OIDC_MINUTES * 60, "Lax");
    return send_to(call, start.location);
}

enum gh_error_code api_session_oidc_back(struct call *call)
{
    const struct gh_api_services *services = &call->api->services;
    if (services->oidc == NULL)
        return no_provider(call);
    const struct gh_oidc_return back = {.cookie = call_cookie(call->request, COOKIE),
                                        .redirect_uri = redirect_uri(call),
                                        .code = call_query(call, "code"),
                                        .state = call_query(call, "state"),
                                        .issuer = call_query(call, "iss")};
    const struct gh_sign_in sign_in = {.source = call_source(call),
                                       .agent = gh_http_header_get(call->request, "user-agent")};
    struct gh_operator_row row;
    struct gh_sign_in_outcome outcome;
    session_cookie(call->cookies[2], COOKIE, "", 0, "Lax");
    call->deed.note.method = GH_SLICE("oidc");
    enum gh_error_code code =
        gh_oidc_finish(services->oidc, &back, call->now_ms, call->arena, &row, &call->error);
    if (code == GH_OK)
        code = gh_operators_let_in(services->operators, &row, &sign_in, "oidc", call->now_ms,
                                   call->arena, &outcome, &call->error);
    if (code == GH_OK)
        call->deed.note.actor = row.name;
    if (!call_settle(call, code))
        return call->error.code;
    if (code != GH_OK)
        return send_back(call);
    code = session_answer(call, &outcome);
    return code == GH_OK ? send_to(call, GH_SLICE("/")) : code;
}
